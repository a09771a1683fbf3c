"""A film is not judged by its first frame."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest

from pipeline.errors import UnreadableMediaError, UnusableMediaError
from pipeline.media.info import ColorTags
from pipeline.media.packets import scan_packets
from pipeline.media.probe import probe, require_source
from pipeline.running.commands import run
from tests.patience import LONG_SECONDS

MPEG2, X264, X265 = ("-c:v", "mpeg2video"), ("-c:v", "libx264"), ("-c:v", "libx265")
GOP = ("-g", "12", "-bf", "0")
WOVEN = (*MPEG2, "-flags", "+ilme+ildct")
TEN_BITS = (*X265, "-pix_fmt", "yuv420p10le", "-x265-params")
QUIET = "log-level=none:keyint=12"
PQ = f"{QUIET}:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
LIGHT = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"


def tagged(transfer: str, matrix: str = "bt709") -> tuple[str, ...]:
    return (*X264, "-x264-params", f"colorprim=bt709:transfer={transfer}:colormatrix={matrix}")


def spliced(ffmpeg: str, path: Path, parts: Sequence[tuple[int, tuple[str, ...]]]) -> Path:
    """Seconds of each kind, one after the other as one stream."""
    kind = "mpeg2video" if path.suffix == ".bare" else "mpegts"
    joined, start = b"", 0
    for seconds, options in parts:
        picture = f"testsrc2=size=96x64:rate=25:duration={seconds}"
        argv = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", picture, *GOP, *options]
        joined += run(
            [*argv, "-output_ts_offset", str(start), "-f", kind, "-"], timeout=LONG_SECONDS
        )
        start += seconds
    whole = path if kind == "mpeg2video" else path.with_suffix(".ts")
    whole.write_bytes(joined)
    if whole != path:
        run(
            [ffmpeg, "-v", "error", "-i", str(whole), "-c", "copy", str(path)], timeout=LONG_SECONDS
        )
    return path


@pytest.mark.parametrize("name", ["mixed.ts", "mixed.mkv", "mixed.mpg", "mixed.bare"])
def test_fields_that_come_later_refuse_the_film(ffmpeg: str, tmp_path: Path, name: str) -> None:
    film = spliced(ffmpeg, tmp_path / name, [(3, MPEG2), (2, WOVEN)])
    assert probe(film).video is not None
    info = probe(film, everywhere=True)
    assert info.video is not None
    assert info.video.interlaced_at is not None
    assert 2.9 <= info.video.interlaced_at <= 5
    with pytest.raises(UnusableMediaError, match=r"is interlaced at \d\.\d s.*bwdif"):
        scan_packets(film, info)


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (
            (*MPEG2, "-aspect", "4:3"),
            (*MPEG2, "-aspect", "16:9"),
            "the shape of its pixels changes from 8:9 to 32:27",
        ),
        ((*MPEG2,), (*MPEG2, "-s", "64x48"), "the picture changes from 96×64 to 64×48"),
        (
            (*X264, "-pix_fmt", "yuv420p"),
            (*X264, "-pix_fmt", "yuv422p"),
            "its pixel format changes from yuv420p to yuv422p",
        ),
        (
            tagged("bt709"),
            tagged("smpte2084"),
            "the transfer of its light changes from bt709 to smpte2084",
        ),
        (
            (*TEN_BITS, QUIET),
            (*TEN_BITS[:-2], "yuv420p", "-x265-params", QUIET),
            "its pixel format changes from yuv420p10le to yuv420p",
        ),
    ],
)
def test_what_cannot_be_one_stream_is_refused_with_the_place(
    ffmpeg: str, tmp_path: Path, first: tuple[str, ...], second: tuple[str, ...], what: str
) -> None:
    film = spliced(ffmpeg, tmp_path / "changes.ts", [(2, first), (1, second)])
    with pytest.raises(UnusableMediaError, match=rf"{what} at [23]\.\d s; .* first"):
        require_source(probe(film, everywhere=True))


def test_what_begins_later_holds_for_all(ffmpeg: str, tmp_path: Path) -> None:
    """A black leader often says nothing of its colours and light."""
    parts = [(1, (*TEN_BITS, QUIET)), (2, (*TEN_BITS, f"{PQ}:{LIGHT}:max-cll=1000,400"))]
    film = spliced(ffmpeg, tmp_path / "leader.ts", parts)
    first = require_source(probe(film))
    assert first.hdr is None
    video = require_source(probe(film, everywhere=True))
    assert video.color == ColorTags(1, 9, 9, 16)
    assert video.hdr is not None
    assert video.hdr.max_cll == 1000


@pytest.mark.parametrize("transfer", ["smpte170m", "bt2020-10"])
def test_another_number_for_the_same_is_no_change(
    ffmpeg: str, tmp_path: Path, transfer: str
) -> None:
    film = spliced(ffmpeg, tmp_path / "same.ts", [(1, tagged("bt709")), (1, tagged(transfer))])
    assert require_source(probe(film, everywhere=True)).change is None


def test_a_plain_film_has_no_change(clips: Path) -> None:
    for name in ("film.mkv", "film_hdr10.mp4", "film_rotated.mp4", "film_vfr.mkv"):
        video = require_source(probe(clips / name, everywhere=True))
        assert (video.change, video.interlaced_at) == (None, None)
        assert video.frame_rate > Fraction(1)


def test_a_place_that_cannot_be_read_is_told_as_such(ffmpeg: str, tmp_path: Path) -> None:
    """In IVF a damaged length is one that no memory has room for."""
    film = tmp_path / "film.ivf"
    picture = ["-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=4", "-c:v", "libvpx"]
    run([ffmpeg, "-v", "error", *picture, "-g", "12", str(film)], timeout=LONG_SECONDS)
    whole = film.read_bytes()
    middle = len(whole) // 2
    film.write_bytes(whole[:middle] + b"\xff" * (len(whole) - middle))
    with pytest.raises(UnreadableMediaError, match="cannot be read on"):
        probe(film, everywhere=True)
