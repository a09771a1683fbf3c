"""What becomes of tracks of every codec, in every container: read back from finished outputs."""

import io
import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import ToolError
from pipeline.media.probe import probe
from pipeline.output.containers import COVER_FILES, HELD, Container
from pipeline.running.commands import run
from tests.patience import LONG_SECONDS
from tests.pipeline.output.tiny import PICTURE, dub_film, make_film, packets

ENDINGS = ("mp4", "mov", "mkv")

#: Formats films come in. NUT, which takes nearly all, breaks with fifty tracks, and so is last.
SOURCES = ("mkv", "mov", "m2ts", "vob", "nut")


@pytest.mark.parametrize("container", HELD)
def test_the_muxer_takes_every_codec_of_the_tables(container: Container) -> None:
    for kind in ("video", "audio", "subtitle"):
        for codec in HELD[container][kind]:
            muxer = av.open(io.BytesIO(), "w", format=container)
            assert muxer.add_mux_stream(codec).type == kind, codec


@pytest.mark.parametrize("place", [0, 1])
def test_a_track_that_does_not_decode_costs_itself_alone(
    ffmpeg: str, tmp_path: Path, place: int
) -> None:
    """FLAC becomes PCM in MOV, and of this not one frame is whole."""
    source = tmp_path / "film.mkv"
    argv = ["-map", "0", "-map", "1", "-map", "1", "-c:a", "aac", f"-c:a:{place}", "flac"]
    make_film(ffmpeg, source, *argv)
    whole = source.read_bytes()
    for packet in packets(source, 1 + place):
        whole = whole.replace(packet[4:], bytes(len(packet) - 4))
    source.write_bytes(whole)
    facts = dub_film(ffmpeg, source, tmp_path / "out.mov")
    assert [(left["index"], left["reason"]) for left in facts["left_out"]] == [
        (1 + place, "ffmpeg fails on it")
    ]
    assert [audio.codec for audio in probe(tmp_path / "out.mov").audio] == ["aac", "aac"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_track_that_a_broadcast_only_announces_is_left_out(
    ffmpeg: str, tmp_path: Path, ending: str
) -> None:
    source = tmp_path / "film.ts"
    make_film(ffmpeg, source, "-map", "0", "-map", "1", "-map", "1", "-c:a", "aac")
    whole = source.read_bytes()
    parts = [whole[i : i + 188] for i in range(0, len(whole), 188)]
    third = [part for part in parts if (part[1] & 31, part[2]) != (1, 2)]
    source.write_bytes(b"".join(third))
    assert len(third) < len(parts)
    (left,) = dub_film(ffmpeg, source, tmp_path / f"out.{ending}")["left_out"]
    assert (left["index"], left["codec"]) == (2, "aac")
    assert left["reason"] == "its rate and channels are unknown"


@pytest.mark.parametrize("codec", ["mjpeg", "png", "gif", "tiff"])
def test_a_cover_in_mkv_stays_a_cover(ffmpeg: str, tmp_path: Path, codec: str) -> None:
    ending, kind = COVER_FILES[codec]
    cover = tmp_path / f"front.{ending}"
    run([ffmpeg, "-v", "error", *PICTURE, "-frames:v", "1", str(cover)], timeout=LONG_SECONDS)
    argv = ["-map", "0", "-map", "1", "-c:a", "aac", "-attach", str(cover)]
    source = make_film(ffmpeg, tmp_path / "film.mkv", *argv, "-metadata:s:t", f"mimetype={kind}")
    assert dub_film(ffmpeg, source, tmp_path / "out.mkv")["left_out"] == []
    (found,) = probe(tmp_path / "out.mkv").others
    assert (found.codec, found.disposition) == (codec, ("attached_pic",))
    assert found.metadata == {"filename": cover.name, "mimetype": kind}
    assert packets(tmp_path / "out.mkv", found.index) == [cover.read_bytes()]


def test_fonts_and_a_cover_are_kept_side_by_side(ffmpeg: str, tmp_path: Path) -> None:
    argv = ["-map", "0", "-map", "1", "-c:a", "aac"]
    for place, name in enumerate(("cover.png", "a.ttf", "b.ttf")):
        run([ffmpeg, "-v", "error", *PICTURE, "-frames:v", "1", "-f", "image2", "-c:v", "png",
             str(tmp_path / name)], timeout=LONG_SECONDS)  # fmt: skip
        kind = "image/png" if place == 0 else "font/ttf"
        argv += ["-attach", str(tmp_path / name), f"-metadata:s:t:{place}", f"mimetype={kind}"]
    source = make_film(ffmpeg, tmp_path / "film.mkv", *argv)
    assert dub_film(ffmpeg, source, tmp_path / "out.mkv")["left_out"] == []
    found = [(s.kind, s.metadata["filename"]) for s in probe(tmp_path / "out.mkv").others]
    assert sorted(found) == [
        ("attachment", "a.ttf"),
        ("attachment", "b.ttf"),
        ("video", "cover.png"),
    ]


@pytest.fixture
def chaptered(ffmpeg: str, tmp_path: Path) -> Path:
    """Picture from 0.2 s, sound from 0 s, text, a cover, and a second chapter at 0.7 s."""
    text, chapters = tmp_path / "text.srt", tmp_path / "chapters"
    text.write_text("1\n00:00:00,300 --> 00:00:00,800\nHello\n")
    parts = (f"[CHAPTER]\nTIMEBASE=1/10\nSTART={a}\nEND={b}\ntitle={t}" for a, b, t in CHAPTERS)
    chapters.write_text("\n".join((";FFMETADATA1", *parts)))
    argv = ["-i", str(text), "-i", str(chapters), "-map", "0", "-map", "1", "-map", "2"]
    argv += ["-filter:v", "setpts=PTS+0.2/TB", "-map_chapters", "3", "-c:a", "aac"]
    return make_film(ffmpeg, tmp_path / "film.mkv", *argv)


#: Tenths of seconds, and titles with what ffmpeg's own file of chapters escapes.
CHAPTERS = ((0, 7, "One"), (7, 12, r"T\=w\;o"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_tracks_that_do_not_move_with_the_picture_are_left_out(
    ffmpeg: str, tmp_path: Path, chaptered: Path, ending: str
) -> None:
    output = tmp_path / f"out.{ending}"
    facts = dub_film(ffmpeg, chaptered, output, moved_by="remap", stretch=Fraction(3, 2))
    told = [(left["kind"], left["reason"], left["way_out"]) for left in facts["left_out"]]
    reason = "the sync mode remap moves the picture in time", "choose the sync mode silence"
    assert told == [("audio", *reason), ("subtitle", *reason)]
    info = probe(output)
    assert len(info.audio) == 1
    # 0.7 s is half a second after the first frame, so it is three quarters after it now.
    found = [(round(float(c.start), 2), c.title) for c in info.chapters]
    assert found == [(0, "One"), (0.95, "T=w;o")]


@pytest.fixture(scope="module")
def sounds(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each format films of sound by every encoder of ffmpeg that it takes before others do."""
    folder = tmp_path_factory.mktemp("sounds")
    listing = run([ffmpeg, "-hide_banner", "-encoders"], timeout=LONG_SECONDS).decode()
    missing = set(re.findall(r"^ A[.F]\S+ (\w+)", listing, re.MULTILINE))
    films = {}
    for ending in SOURCES:
        taken = [name for name in sorted(missing) if _takes(ffmpeg, folder, ending, name)]
        missing -= set(taken)
        argv = ["-map", "0"]
        for place, name in enumerate(taken):
            argv += ["-map", "1", f"-c:a:{place}", name, *_rate(name, f":{place}")]
        films[ending] = make_film(ffmpeg, folder / f"film.{ending}", *argv)
    assert "aac" not in missing
    return films


def _takes(ffmpeg: str, folder: Path, ending: str, encoder: str) -> bool:
    path = folder / f"try.{ending}"
    try:
        make_film(ffmpeg, path, "-map", "0", "-map", "1", "-c:a", encoder, *_rate(encoder, ""))
    except ToolError:
        return False
    return bool(probe(path).audio)


def _rate(encoder: str, place: str) -> list[str]:
    """What an encoder wants that has no default for our sound."""
    if encoder == "s302m":
        return [f"-ac:a{place}", "2"]
    low = {"libopencore_amrnb": "12200", "g723_1": "6300"}.get(encoder)
    return [] if low is None else [f"-ar:a{place}", "8000", f"-b:a{place}", low]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("source", SOURCES)
def test_sound_of_every_encoder_is_kept_sample_for_sample_or_left_out_and_named(
    ffmpeg: str, tmp_path: Path, sounds: dict[str, Path], source: str, ending: str
) -> None:
    output = tmp_path / f"out.{ending}"
    facts = dub_film(ffmpeg, sounds[source], output)
    kept = {s["index"]: s["codec"] for s in facts["streams"] if "index" in s}
    left_out = {s["index"]: s for s in facts["left_out"]}
    info, found = probe(sounds[source]), probe(output).audio[1:]
    assert set(kept) | set(left_out) == {audio.index for audio in info.audio}
    for audio in info.audio:
        if audio.index in left_out:
            assert left_out[audio.index]["reason"]
            assert audio.codec not in ("aac", "mp3", "ac3", "pcm_s16le", "flac")
            continue
        place = list(kept).index(audio.index)
        # MP4 has one number for both.
        assert {found[place].codec, kept[audio.index]} in ({kept[audio.index]}, {"mp2", "mp3"})
        if audio.codec == kept[audio.index]:
            before = packets(sounds[source], audio.index)
            assert packets(output, found[place].index)[:5] == before[:5], audio.codec
            continue
        original, copy = samples(sounds[source], audio.index), samples(output, found[place].index)
        common = min(len(original), len(copy))
        assert common > 0.9 * len(original), audio.codec
        assert np.array_equal(original[:common], copy[:common]), audio.codec


def samples(path: Path, index: int) -> np.ndarray:
    """(n,) of the first channel, as fractions of full scale."""
    with av.open(str(path)) as container:
        frames = list(container.decode(container.streams[index]))
    parts = [frame.to_ndarray().reshape(-1) for frame in frames]
    channels = 1 if frames[0].format.is_planar else frames[0].layout.nb_channels
    joined = np.concatenate([part[::channels] for part in parts])
    if joined.dtype == np.uint8:
        return (joined.astype(np.float64) - 128) / 128
    scale = np.iinfo(joined.dtype).max + 1.0 if joined.dtype.kind == "i" else 1.0
    return joined.astype(np.float64) / scale


@pytest.mark.parametrize(
    ("layout", "codec", "kept"),
    [
        ("3.0", "pcm_s16le", ("flac", "3.0")),
        ("quad", "pcm_s24le", ("flac", "quad")),
        ("3.0(back)", "pcm_s16le", ("flac", "3.0(back)")),
        ("5.1(side)", "pcm_s16le", ("pcm_s16le", "6 channels")),
        ("stereo", "pcm_s16le", ("pcm_s16le", "2 channels")),
        ("3.0", "pcm_f32le", None),
        ("FL+FC+FR", "pcm_s16le", None),
    ],
)
def test_pcm_in_mkv_loses_no_channel_s_place(
    ffmpeg: str, tmp_path: Path, layout: str, codec: str, kept: tuple[str, str] | None
) -> None:
    """Matroska has no layout for PCM; players go by the number of channels."""
    count = len(av.AudioLayout(layout).channels)
    raw = tmp_path / "raw"
    tones = [np.sin(np.arange(48_000) * (number + 1) / 50) for number in range(count)]
    raw.write_bytes((np.stack(tones, 1) * 8000).astype("<i2").tobytes())
    source = tmp_path / "film.mov"
    sound = ["-f", "s16le", "-ar", "48000", "-ch_layout", layout, "-i", str(raw)]
    argv = [ffmpeg, "-v", "error", *PICTURE, *sound, "-map", "0", "-map", "1", "-c:a", codec]
    run([*argv, "-t", "1", str(source)], timeout=LONG_SECONDS)
    facts = dub_film(ffmpeg, source, tmp_path / "out.mkv")
    found = [(audio.codec, audio.layout) for audio in probe(tmp_path / "out.mkv").audio[1:]]
    if kept is None:
        assert found == []
        (left,) = facts["left_out"]
        assert left["reason"] == f"MKV cannot hold the channel layout of {codec}"
        assert left["way_out"] == "name the output .mov"
    else:
        assert found == [kept]
        assert _samples(ffmpeg, tmp_path / "out.mkv", 1) == _samples(ffmpeg, source, 0)


def _samples(ffmpeg: str, path: Path, stream: int) -> bytes:
    argv = [ffmpeg, "-v", "error", "-i", str(path), "-map", f"0:a:{stream}"]
    decoded = run([*argv, "-c:a", "pcm_s32le", "-f", "s32le", "-"], timeout=LONG_SECONDS)
    return decoded[: 4 * 40_000]
