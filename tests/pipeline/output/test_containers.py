"""What can live where is decided, and said, before any work."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import OutputError
from pipeline.media.info import AudioInfo, MediaInfo, StreamInfo
from pipeline.media.probe import probe
from pipeline.output.containers import container_of, plan_output


def stream(kind: str, codec: str | None, **metadata: str) -> StreamInfo:
    return StreamInfo(9, kind, codec, "eng", None, (), None, None, metadata)


@pytest.fixture(scope="module")
def film(clips: Path) -> MediaInfo:
    return probe(clips / "film.mkv")


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("o.mkv", ["copy", "copy", "copy"]),
        ("o.mp4", ["copy", "copy", "mov_text"]),
        ("o.MOV", ["copy", "copy", "mov_text"]),
    ],
)
def test_text_subtitles_change_codec_where_they_must(
    film: MediaInfo, name: str, codecs: list[str]
) -> None:
    assert [kept.codec for kept in plan_output(film, Path(name)).kept] == codecs


def sound(codec: str, sample_format: str) -> AudioInfo:
    return AudioInfo(
        8, "audio", codec, None, None, (), None, None, {}, 48000, 2, "stereo", sample_format
    )


@pytest.mark.parametrize(
    ("kind", "codec", "name", "told"),
    [
        ("subtitle", "hdmv_pgs_subtitle", "o.mp4", "MP4 cannot hold hdmv_pgs_subtitle; name.*mkv"),
        ("subtitle", "hdmv_pgs_subtitle", "o.mkv", None),
        ("subtitle", "dvb_subtitle", "o.mov", r"name the output \.mkv"),
        ("subtitle", "mov_text", "o.mkv", None),
        ("subtitle", "ass", "o.mp4", None),
        ("subtitle", "eia_608", "o.mov", None),
        ("subtitle", "eia_608", "o.mkv", r"name the output \.mov"),
        ("subtitle", "xsub", "o.mkv", "convert it in the source first"),
        ("subtitle", None, "o.mkv", "there is no decoder for its codec"),
        ("audio", None, "o.mp4", "there is no decoder for its codec"),
        ("attachment", "ttf", "o.mp4", r"MP4 cannot hold ttf; name the output \.mkv"),
        ("attachment", None, "o.mov", r"MOV cannot hold attachments; name the output \.mkv"),
        ("attachment", None, "o.mkv", None),
        ("video", "mjpeg", "o.mp4", None),
        ("video", "wmv3", "o.mp4", "convert it in the source first"),
    ],
)
def test_a_stream_that_does_not_fit_costs_itself_alone(
    film: MediaInfo, kind: str, codec: str | None, name: str, told: str | None
) -> None:
    plan = plan_output(replace(film, others=(stream(kind, codec),)), Path(name))
    assert [kept.stream for kept in plan.kept[:2]] == list(film.audio)
    assert len(plan.kept) + len(plan.left_out) == 3
    if told is None:
        assert plan.kept[-1].stream.index == 9
    else:
        assert re.search(
            rf"^(sound|picture|\w+) stream 9 .* left out: .*{told}$", str(plan.left_out[0])
        )


@pytest.mark.parametrize(
    ("codec", "sample_format", "name", "wanted"),
    [
        ("mp3", "fltp", "o.mp4", "copy"),
        ("pcm_bluray", "s32", "o.mkv", "pcm_s24le"),
        ("pcm_bluray", "s16", "o.mp4", "pcm_s16le"),
        ("pcm_dvd", "s32", "o.mov", "pcm_s24le"),
        ("s302m", "s16", "o.mkv", "pcm_s16le"),
        ("pcm_f64be", "dbl", "o.mkv", "pcm_f64le"),
        ("pcm_f64be", "dbl", "o.mp4", "copy"),
        ("pcm_u8", "u8", "o.mp4", "pcm_s16le"),
        ("pcm_s8", "u8", "o.mkv", "pcm_u8"),
        ("pcm_u16le", "s16", "o.mov", "pcm_s16le"),
        ("pcm_mulaw", "s16", "o.mp4", "pcm_s16le"),
        ("flac", "s32", "o.mov", "pcm_s32le"),
        ("wavpack", "fltp", "o.mp4", "pcm_f32le"),
        ("pcm_s64le", "s64", "o.mkv", None),
        ("pcm_s24daud", "s16", "o.mkv", None),
        ("truehd", "s32", "o.mp4", None),
        ("vorbis", "fltp", "o.mp4", None),
        ("adpcm_ms", "s16", "o.mkv", None),
        ("aac_latm", "fltp", "o.mkv", None),
        ("wmav2", "fltp", "o.mkv", None),
        ("dts", "fltp", "o.mov", None),
    ],
)
def test_sound_that_decodes_without_loss_becomes_pcm_of_the_same_samples(
    film: MediaInfo, codec: str, sample_format: str, name: str, wanted: str | None
) -> None:
    info = replace(film, audio=(sound(codec, sample_format), *film.audio), others=())
    plan = plan_output(info, Path(name))
    assert [each.stream for each in plan.kept[-2:]] == list(film.audio)
    assert [each.codec for each in plan.kept[:-2]] == [wanted] * (wanted is not None)
    assert [each.stream.index for each in plan.left_out] == [8] * (wanted is None)


def test_covers_stay_where_there_is_room_for_them(film: MediaInfo) -> None:
    cover = replace(stream("video", "png"), disposition=("attached_pic",))
    info = replace(film, others=(cover,))
    assert plan_output(info, Path("o.mp4")).kept[-1].is_file
    assert plan_output(info, Path("o.mkv")).kept[-1].is_file
    told = str(plan_output(info, Path("o.mov")).left_out[0])
    assert told.endswith("MOV cannot hold png as a cover; name the output .mkv")
    camera = replace(info, metadata={"com.apple.quicktime.make": "Maker"})
    told = str(plan_output(camera, Path("o.mp4")).left_out[0])
    assert told.endswith("cannot hold a cover beside a camera's keys; name the output .mkv")
    assert plan_output(camera, Path("o.mkv")).kept[-1].is_file


def test_vorbis_does_not_go_into_mp4(clips: Path) -> None:
    info = probe(clips / "film_vfr.mkv")
    (left,) = plan_output(info, Path("o.mp4")).left_out
    assert (left.stream.codec, left.way_out) == ("vorbis", "name the output .mkv")
    (left,) = plan_output(info, Path("o.mp4"), "none").left_out
    assert (left.reason, left.way_out) == ("original sound is not wanted", "")


def test_data_is_left_out_and_told_why(film: MediaInfo) -> None:
    tracks = (stream("data", None, timecode="01:00:00:00"), stream("data", "bin_data"))
    plan = plan_output(replace(film, others=(*tracks, stream("data", "klv"))), Path("o.mp4"))
    assert [left.reason for left in plan.left_out] == [
        "written anew from the timecode",
        "written anew from the chapters",
        "data that no muxer can copy",
    ]


@pytest.mark.parametrize("name", ["out.avi", "out", "out.webm"])
def test_other_extensions_are_refused(name: str) -> None:
    with pytest.raises(OutputError, match=r"must end in one of \.mp4"):
        container_of(Path(name))
