"""The output is the source with other pictures and one more track: nothing lost, nothing moved."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from pipeline.artifacts import sha256_of
from pipeline.errors import InternalError, StorageFullError
from pipeline.media.frames import decode_source
from pipeline.media.info import MediaInfo, VideoInfo
from pipeline.media.planes import plane_arrays
from pipeline.media.probe import probe
from pipeline.output.encode import SegmentEncoder
from pipeline.output.verify import Expected, priming, verify_output
from pipeline.running.commands import run
from pipeline.sound.dialogue import encode_dialogue
from pipeline.stitch import Timing, join_segments, stitch
from tests.patience import LONG_SECONDS

FRAMES = 36
FRAMES_PER_SEGMENT = 17


@dataclass
class Piece:
    """The first frames of a source, encoded in segments, with what they were."""

    info: MediaInfo
    video: VideoInfo
    segments: list[Path]
    timing: Timing
    digests: list[str]


def digest(frame: av.VideoFrame) -> str:
    return hashlib.sha256(b"".join(p.tobytes() for p in plane_arrays(frame))).hexdigest()


def encode_piece(source: Path, folder: Path, count: int = FRAMES, crf: float = 0) -> Piece:
    info = probe(source)
    assert info.video is not None
    segments: list[Path] = []
    pts: list[int] = []
    digests: list[str] = []
    frames = islice(decode_source(source), count)
    while batch := list(islice(frames, FRAMES_PER_SEGMENT)):
        segments.append(folder / f"segment{len(segments)}.nut")
        with SegmentEncoder(segments[-1], info.video, crf=crf) as encoder:
            for frame in batch:
                pts.append(frame.pts)
                if crf == 0:
                    digests.append(digest(frame))
                encoder.encode(frame)
    frame_length = round(1 / (info.video.frame_rate * info.video.time_base))
    timing = Timing(np.array(pts, np.int64), pts[-1] + frame_length, info.video.time_base)
    return Piece(info, info.video, segments, timing, digests)


def stitch_piece(piece: Piece, dialogue: Path, output: Path, **choices: Any) -> dict[str, Any]:
    work = piece.segments[0].parent
    track = work / "dialogue.m4a"
    encode_dialogue(dialogue, track, piece.timing.duration_seconds)
    return stitch(piece.segments, piece.timing, piece.info, track, output, work, **choices)


def shown_times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return sorted(p.pts * p.time_base for p in container.demux(stream) if p.size)


def sound_on_timeline(path: Path, index: int) -> tuple[npt.NDArray[np.float32], int, Fraction]:
    """(samples, rate, seconds of the first sample after the first picture)."""
    start = shown_times(path)[0]
    with av.open(str(path)) as container:
        frames = list(container.decode(container.streams.audio[index]))
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    return samples, frames[0].sample_rate, frames[0].pts * frames[0].time_base - start


def lag_seconds(path: Path, index: int, wanted: npt.NDArray[np.float32]) -> float:
    """How much later than the picture's first frame a recording is heard in the output."""
    samples, rate, first = sound_on_timeline(path, index)
    size = 1 << (2 * max(len(samples), len(wanted)) - 1).bit_length()
    spectrum = np.fft.rfft(samples, size) * np.conj(np.fft.rfft(wanted, size))
    shift = int(np.argmax(np.fft.irfft(spectrum)))
    return (shift if shift < size // 2 else shift - size) / rate + float(first)


@pytest.mark.parametrize("extension", ["mkv", "mp4"])
@pytest.mark.parametrize(
    "name", ["film.mkv", "film_hdr10.mp4", "film_rotated.mp4", "talk_29_97fps.mp4"]
)
def test_output_is_the_source_frame_for_frame(
    clips: Path, tmp_path: Path, name: str, extension: str
) -> None:
    piece = encode_piece(clips / name, tmp_path, 20)
    output = tmp_path / f"out.{extension}"
    facts = stitch_piece(piece, clips / "dialogue_en.flac", output, language="deu")
    assert [digest(frame) for frame in decode_source(output)] == piece.digests
    found, slack = shown_times(output), Fraction(1, 1000) if extension == "mkv" else 0
    wanted = [int(p - piece.timing.pts[0]) * piece.timing.time_base for p in piece.timing.pts]
    assert all(abs(a - found[0] - b) <= slack for a, b in zip(found, wanted, strict=True))
    assert facts["frames"] == 20
    assert abs(facts["av_offset_ms"]) <= 1
    info = probe(output)
    assert info.video is not None
    for trait in ("color", "hdr", "rotation", "timecode", "sample_aspect_ratio", "pix_fmt"):
        assert getattr(info.video, trait) == getattr(piece.video, trait), trait


def test_variable_frame_rate_and_vorbis_live_in_mkv(clips: Path, tmp_path: Path) -> None:
    piece = encode_piece(clips / "film_vfr.mkv", tmp_path, 10**6, crf=30)
    output = tmp_path / "out.mkv"
    stitch_piece(piece, clips / "dialogue_en.flac", output)
    found = shown_times(output)
    wanted = shown_times(clips / "film_vfr.mkv")
    assert [t - found[0] for t in found] == [t - wanted[0] for t in wanted]
    assert len({b - a for a, b in pairwise(found)}) > 2
    assert [a.codec for a in probe(output).audio] == ["aac", "vorbis"]


@pytest.fixture(scope="module")
def both_chapters(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Piece:
    """Enough of the film to reach its second chapter, at 20 s."""
    return encode_piece(clips / "film.mkv", tmp_path_factory.mktemp("film"), 490, crf=35)


@pytest.mark.parametrize(("extension", "text"), [("mkv", "subrip"), ("mp4", "mov_text")])
def test_every_stream_tag_and_chapter_of_the_film_is_kept(
    clips: Path, tmp_path: Path, both_chapters: Piece, extension: str, text: str
) -> None:
    output = tmp_path / f"out.{extension}"
    dialogue = clips / "dialogue_en.flac"
    facts = stitch_piece(both_chapters, dialogue, output, language="deu", title="Deutsch")
    info = probe(output)
    assert [(a.codec, a.language, a.is_default) for a in info.audio] == [
        ("aac", "deu", True),
        ("ac3", "eng", False),
        ("aac", "fra", False),
    ]
    assert "dub" in info.audio[0].disposition
    assert [a.channels for a in info.audio[1:]] == [6, 2]
    names = [a.title or a.metadata.get("name") for a in info.audio]
    assert names == ["Deutsch", "Original 5.1", "Commentary"]
    subtitles = [stream for stream in info.others if stream.kind == "subtitle"]
    assert [s.language for s in subtitles] == ["eng"]
    assert facts["streams"][-1]["codec"] == text
    assert [(c.title, round(c.start)) for c in info.chapters] == [("One", 0), ("Two", 20)]
    assert info.metadata["title"] == "Test film a"
    assert info.video is not None
    assert "encoder" not in {key.lower() for key in info.video.metadata}
    for place in (0, 1):
        kept = sound_packets(output, place + 1)
        original = sound_packets(clips / "film.mkv", place)
        assert kept == original[: len(kept)]
        assert abs(len(kept) / len(original) - 490 / 1133) < 0.01


def sound_packets(path: Path, place: int) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(container.streams.audio[place]) if p.size]


@pytest.mark.parametrize("extension", ["mkv", "mp4"])
@pytest.mark.parametrize("name", ["film.mkv", "film_rotated.mp4"])
def test_dialogue_starts_with_the_first_frame(
    clips: Path, tmp_path: Path, name: str, extension: str
) -> None:
    piece = encode_piece(clips / name, tmp_path, crf=35)
    output = tmp_path / f"out.{extension}"
    stitch_piece(piece, clips / "dialogue_en.flac", output)
    wanted, _ = soundfile.read(clips / "dialogue_en.flac", frames=96000, dtype="float32")
    assert abs(lag_seconds(output, 0, wanted)) < 0.0011


@pytest.fixture
def late_picture(clips: Path, ffmpeg: str, tmp_path: Path) -> Path:
    """Picture from 0.5 s, sound from 0 s, samples wider than high."""
    source = tmp_path / "late.mkv"
    argv = [ffmpeg, "-v", "error", "-itsoffset", "0.5", "-f", "lavfi"]
    argv += ["-i", "testsrc2=size=96x64:rate=24000/1001:duration=3,setsar=64/45"]
    argv += ["-i", str(clips / "dialogue_zh.flac"), "-map", "0", "-map", "1", "-c:v", "libx264"]
    run([*argv, "-c:a", "flac", "-t", "3.5", str(source)], timeout=LONG_SECONDS)
    return source


@pytest.mark.parametrize("extension", ["mkv", "mp4"])
def test_a_late_picture_stays_late_against_the_original_sound(
    clips: Path, tmp_path: Path, late_picture: Path, extension: str
) -> None:
    piece = encode_piece(late_picture, tmp_path)
    output = tmp_path / f"out.{extension}"
    stitch_piece(piece, clips / "dialogue_en.flac", output)
    original, _ = soundfile.read(clips / "dialogue_zh.flac", frames=88200, dtype="float32")
    dubbed, _ = soundfile.read(clips / "dialogue_en.flac", frames=96000, dtype="float32")
    assert abs(lag_seconds(output, 1, original) + float(piece.timing.start_seconds)) < 0.0011
    assert abs(lag_seconds(output, 0, dubbed)) < 0.0011
    info = probe(output)
    assert info.video is not None
    assert info.video.sample_aspect_ratio == Fraction(64, 45)


def test_original_sound_ends_with_a_shorter_output(clips: Path, tmp_path: Path) -> None:
    piece = encode_piece(clips / "film.mkv", tmp_path, 24)
    stitch_piece(piece, clips / "dialogue_en.flac", tmp_path / "out.mkv")
    for audio in probe(tmp_path / "out.mkv").audio:
        assert audio.duration is not None
        assert abs(audio.duration - piece.timing.duration_seconds) < Fraction(1, 20)


def test_without_original_sound_the_dub_is_alone(clips: Path, tmp_path: Path) -> None:
    piece = encode_piece(clips / "film_vfr.mkv", tmp_path, 24)
    facts = stitch_piece(piece, clips / "dialogue_en.flac", tmp_path / "out.mp4", keep_audio="none")
    assert len(probe(tmp_path / "out.mp4").audio) == 1
    assert facts["left_out"][0]["reason"] == "original sound is not wanted"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shortest_films_have_an_output(clips: Path, tmp_path: Path, count: int) -> None:
    piece = encode_piece(clips / "portrait_25fps.mp4", tmp_path, count)
    for extension in ("mkv", "mp4", "mov"):
        output = tmp_path / f"out.{extension}"
        assert stitch_piece(piece, clips / "dialogue_en.flac", output)["frames"] == count


@pytest.mark.parametrize("extension", ["mkv", "mp4"])
def test_equal_orders_give_equal_files(
    clips: Path, tmp_path: Path, both_chapters: Piece, extension: str
) -> None:
    """However busy the machine is: four at once, twice."""

    def digest_of(run: int) -> str:
        folder = tmp_path / f"{run}"
        folder.mkdir()
        output = folder / f"out.{extension}"
        work = both_chapters.segments[0].parent
        stitch(
            both_chapters.segments,
            both_chapters.timing,
            both_chapters.info,
            work / "dialogue.m4a",
            output,
            folder,
            language="deu",
        )
        return sha256_of(output)

    seconds = both_chapters.timing.duration_seconds
    track = both_chapters.segments[0].parent / "dialogue.m4a"
    encode_dialogue(clips / "dialogue_en.flac", track, seconds)
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(digest_of, range(8)))) == 1


@pytest.mark.parametrize("extension", ["mkv", "mp4"])
def test_packets_lie_in_order_of_time(
    clips: Path, tmp_path: Path, both_chapters: Piece, extension: str
) -> None:
    """A player that reads the file as it arrives never waits for sound or picture."""
    output = tmp_path / f"out.{extension}"
    stitch_piece(both_chapters, clips / "dialogue_en.flac", output)
    newest = late = Fraction(0)
    with av.open(str(output)) as container:
        for packet in container.demux():
            if packet.size and packet.pts is not None:
                time = (packet.pts if packet.dts is None else packet.dts) * packet.time_base
                newest, late = max(newest, time), max(late, newest - time)
    assert late < Fraction(1, 5)


@pytest.mark.parametrize("language", ["de", "DEU", "pt-BR", "und", "", None])
def test_no_language_tag_fails_a_finished_film(
    clips: Path, tmp_path: Path, language: str | None
) -> None:
    piece = encode_piece(clips / "portrait_25fps.mp4", tmp_path, 3)
    for extension in ("mkv", "mp4"):
        output = tmp_path / f"out.{extension}"
        stitch_piece(piece, clips / "dialogue_short.flac", output, language=language)


@pytest.mark.parametrize("extension", ["mkv", "mp4", "mov"])
def test_subtitles_that_begin_after_the_end_harm_nothing(
    clips: Path, tmp_path: Path, extension: str
) -> None:
    """MP4 holds a track of one empty sample; in Matroska nothing would be left."""
    piece = encode_piece(clips / "film.mkv", tmp_path, 3)
    facts = stitch_piece(piece, clips / "dialogue_short.flac", tmp_path / f"out.{extension}")
    reasons = [left["reason"] for left in facts["left_out"] if left["kind"] == "subtitle"]
    assert reasons == (["nothing of it lies within the film"] if extension == "mkv" else [])


@pytest.mark.parametrize(("language", "found"), [("deu", "ger"), ("fra", "fra"), ("hrv", None)])
def test_mov_names_languages_as_it_can(
    clips: Path, tmp_path: Path, language: str, found: str | None
) -> None:
    piece = encode_piece(clips / "film.mkv", tmp_path, 3)
    output = tmp_path / "out.mov"
    stitch_piece(piece, clips / "dialogue_short.flac", output, language=language)
    assert [a.language for a in probe(output).audio] == [found, "eng", "fra"]


def test_names_mean_nothing(clips: Path, tmp_path: Path) -> None:
    source = tmp_path / "-i http:a 'b' \"c\"\n%03d é.mkv"
    source.write_bytes((clips / "film.mkv").read_bytes())
    piece = encode_piece(source, tmp_path, 5)
    output = tmp_path / "-y file:out 'ü'\n\".mp4"
    stitch_piece(piece, clips / "dialogue_en.flac", output)
    assert output.is_file()


def test_a_missing_or_foreign_segment_is_found(clips: Path, tmp_path: Path) -> None:
    piece = encode_piece(clips / "portrait_25fps.mp4", tmp_path)
    joined = tmp_path / "joined.mp4"
    for wrong in (piece.segments[:-1], piece.segments[1:], piece.segments * 2, []):
        with pytest.raises(InternalError):
            join_segments(wrong, piece.timing, piece.video, joined)
    other = tmp_path / "other"
    other.mkdir()
    foreign = encode_piece(clips / "film_rotated.mp4", other, FRAMES_PER_SEGMENT)
    mixed = [foreign.segments[0], *piece.segments[1:]]
    with pytest.raises(InternalError):
        join_segments(mixed, piece.timing, piece.video, joined)


def test_verification_sees_what_is_wrong(clips: Path, tmp_path: Path) -> None:
    piece = encode_piece(clips / "film.mkv", tmp_path, 24)
    output = tmp_path / "out.mkv"
    stitch_piece(piece, clips / "dialogue_en.flac", output, language="deu")
    from pipeline.output.containers import plan_output  # noqa: PLC0415

    plan = plan_output(piece.info, output)
    bare = plan_output(piece.info, output, "none")
    before = priming(tmp_path / "dialogue.m4a")
    timing = piece.timing
    shifted = timing.pts.copy()
    shifted[7] += 3
    verify_output(output, Expected(timing, plan, "deu", before))
    for wrong in (
        Expected(replace(timing, pts=timing.pts[:-1]), plan, "deu", before),
        Expected(replace(timing, pts=shifted), plan, "deu", before),
        Expected(replace(timing, end=timing.end + 3 * FRAMES), plan, "deu", before),
        Expected(timing, bare, "deu", before),
        Expected(timing, plan, "fra", before),
        Expected(timing, plan, "deu", before + Fraction(3, 1000)),
        Expected(timing, plan, "deu", before - Fraction(3, 1000)),
    ):
        with pytest.raises(InternalError):
            verify_output(output, wrong)


def test_failing_leaves_neither_output_nor_remains(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    piece = encode_piece(clips / "portrait_25fps.mp4", tmp_path, 5)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "out.mp4").write_text("before")

    def fails(*_: object) -> None:
        raise StorageFullError("no space left")

    monkeypatch.setattr("pipeline.stitch.verify_output", fails)
    with pytest.raises(StorageFullError):
        stitch_piece(piece, clips / "dialogue_en.flac", folder / "out.mp4")
    assert [(p.name, p.read_text()) for p in folder.iterdir()] == [("out.mp4", "before")]
    assert not list(tmp_path.glob("tmp*")), "nothing is left in the work folder"


@pytest.mark.slow
@pytest.mark.parametrize("extension", ["mkv", "mp4"])
def test_fifteen_minutes_end_without_drift(
    clips: Path, ffmpeg: str, tmp_path: Path, extension: str
) -> None:
    source = tmp_path / "long.mp4"
    argv = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", "color=size=32x32:rate=24000/1001"]
    run(
        [*argv, "-frames:v", "21579", "-c:v", "libx264", "-preset", "ultrafast", str(source)],
        timeout=LONG_SECONDS,
    )
    piece = encode_piece(source, tmp_path, 10**6, crf=30)
    output = tmp_path / f"out.{extension}"
    facts = stitch_piece(piece, clips / "dialogue_zh.flac", output)
    assert facts["frames"] == len(piece.timing.pts) == 21579
    exact = 21579 * Fraction(1001, 24000)
    assert abs(Fraction(facts["picture_seconds"]) - exact) <= Fraction(1, 500)
    assert abs(Fraction(facts["sound_seconds"]) - exact) <= Fraction(1024, 44100)
    found = shown_times(output)
    assert abs(found[-1] - found[0] - 21578 * Fraction(1001, 24000)) <= Fraction(1, 1000)
