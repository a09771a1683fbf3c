"""What can live where is decided, and said, before any work."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import OutputError
from pipeline.media.info import MediaInfo, StreamInfo
from pipeline.media.probe import probe
from pipeline.output.containers import check_container, container_of


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
    assert [kept.codec for kept in check_container(film, Path(name)).kept] == codecs


@pytest.mark.parametrize(
    ("kind", "codec", "name", "fits"),
    [
        ("subtitle", "hdmv_pgs_subtitle", "o.mp4", False),
        ("subtitle", "hdmv_pgs_subtitle", "o.mkv", True),
        ("subtitle", "mov_text", "o.mkv", True),
        ("subtitle", "ass", "o.mp4", True),
        ("attachment", "ttf", "o.mp4", False),
        ("attachment", "ttf", "o.mkv", True),
        ("attachment", None, "o.mkv", True),
        ("video", "mjpeg", "o.mp4", True),
    ],
)
def test_a_stream_that_does_not_fit_is_named(
    film: MediaInfo, kind: str, codec: str | None, name: str, fits: bool
) -> None:
    info = replace(film, others=(stream(kind, codec),))
    if fits:
        assert check_container(info, Path(name)).kept[-1].stream.index == 9
        return
    with pytest.raises(OutputError, match=rf"stream 9 .*{codec}.*cannot live in MP4.*\.mkv"):
        check_container(info, Path(name))


def test_vorbis_in_mp4_is_refused_with_both_ways_out(clips: Path) -> None:
    info = probe(clips / "film_vfr.mkv")
    with pytest.raises(OutputError, match=r"vorbis.*\.mkv or .*--keep-audio none"):
        check_container(info, Path("o.mp4"))
    assert check_container(info, Path("o.mp4"), "none").kept == ()


def test_data_is_left_out_and_told_why(film: MediaInfo) -> None:
    tracks = (stream("data", None, timecode="01:00:00:00"), stream("data", "bin_data"))
    plan = check_container(replace(film, others=(*tracks, stream("data", "klv"))), Path("o.mp4"))
    assert [reason for _, reason in plan.left_out] == [
        "written anew from the timecode",
        "written anew from the chapters",
        "data that no muxer can copy",
    ]


@pytest.mark.parametrize("name", ["out.avi", "out", "out.webm"])
def test_other_extensions_are_refused(name: str) -> None:
    with pytest.raises(OutputError, match=r"must end in one of \.mp4"):
        container_of(Path(name))
