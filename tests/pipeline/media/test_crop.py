"""What a container hides of the picture is not shown."""

from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.media.decoding import decode_source
from pipeline.media.frames import read_frames
from pipeline.media.info import Crop
from pipeline.media.planes import plane_arrays, whole_samples
from pipeline.media.probe import probe, require_source
from pipeline.media.segments import cut_segments, plan_segments, scan_packets
from pipeline.running.commands import run
from tests.patience import LONG_SECONDS

WIDTH, HEIGHT = 96, 64

#: Matroska's elements (RFC 9559): the muxer writes the first two, with one byte of data each.
DISPLAY_WIDTH, DISPLAY_HEIGHT = b"\x54\xb0\x81", b"\x54\xba\x81"
CROPS = {"left": b"\x54\xcc", "top": b"\x54\xbb", "right": b"\x54\xdd", "bottom": b"\x54\xaa"}


def film(ffmpeg: str, path: Path, *options: str, pix_fmt: str = "yuv420p") -> Path:
    picture = f"testsrc2=size={WIDTH}x{HEIGHT}:rate=25:duration=1,setsar=2"
    argv = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", picture, "-pix_fmt", pix_fmt]
    run([*argv, "-c:v", "libx264", "-g", "5", *options, str(path)], timeout=LONG_SECONDS)
    return path


def hide(path: Path, **edges: int) -> Path:
    """Two edges in place of the elements that say how wide and how high to show it."""
    data = path.read_bytes()
    for old, (name, lines) in zip((DISPLAY_WIDTH, DISPLAY_HEIGHT), edges.items(), strict=True):
        at = data.index(old)
        data = data[:at] + CROPS[name] + b"\x81" + bytes([lines]) + data[at + 4 :]
    path.write_bytes(data)
    return path


def add_clean_aperture(path: Path, width: int, height: int, right: int, down: int) -> Path:
    """A clap box into the sample entry: size and how far its middle is off, in whole pixels."""
    data = bytearray(path.read_bytes())
    numbers = [width, 1, height, 1, right, 1, down, 1]
    box = b"\0\0\0\x28clap" + b"".join(n.to_bytes(4, "big", signed=True) for n in numbers)
    entry = data.index(b"avc1", data.index(b"stsd")) - 4
    end = entry + int.from_bytes(data[entry : entry + 4], "big")
    data[end:end] = box
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        at = data.index(name, data.index(b"moov")) - 4
        at = entry if name == b"avc1" else at
        size = int.from_bytes(data[at : at + 4], "big") + len(box)
        data[at : at + 4] = size.to_bytes(4, "big")
    path.write_bytes(data)
    return path


def shown(path: Path) -> np.ndarray:
    return plane_arrays(next(decode_source(path)))[0].copy()


def stored(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return plane_arrays(next(container.decode(video=0)))[0].copy()


def test_matroska_crops(ffmpeg: str, tmp_path: Path) -> None:
    path = hide(film(ffmpeg, tmp_path / "crop.mkv"), top=8, right=16)
    video = require_source(probe(path))
    assert (video.width, video.height) == (WIDTH - 16, HEIGHT - 8)
    assert video.crop == Crop(0, 8, 16, 0)
    assert np.array_equal(shown(path), stored(path)[8:, :-16])


def test_quicktime_crops(ffmpeg: str, tmp_path: Path) -> None:
    path = add_clean_aperture(film(ffmpeg, tmp_path / "crop.mov"), 64, 32, 8, -4)
    video = require_source(probe(path))
    assert (video.width, video.height) == (64, 32)
    assert video.crop == Crop(24, 12, 8, 20)
    assert np.array_equal(shown(path), stored(path)[12:44, 24:88])


@pytest.mark.parametrize(
    ("pix_fmt", "expected"),
    [
        ("yuv420p", Crop(0, 8, 6, 0)),
        ("yuv422p", Crop(0, 7, 6, 0)),
        ("yuv444p", Crop(0, 7, 5, 0)),
    ],
)
def test_an_edge_inside_a_chroma_sample_hides_it_whole(
    ffmpeg: str, tmp_path: Path, pix_fmt: str, expected: Crop
) -> None:
    path = hide(film(ffmpeg, tmp_path / "odd.mkv", pix_fmt=pix_fmt), top=7, right=5)
    assert require_source(probe(path)).crop == expected
    assert np.array_equal(shown(path), stored(path)[expected.top :, : -expected.right])


def test_segments_give_what_is_shown(ffmpeg: str, tmp_path: Path) -> None:
    path = hide(film(ffmpeg, tmp_path / "crop.mkv"), top=8, bottom=8)
    info = probe(path)
    plan = scan_packets(path, info)
    assert (plan.width, plan.height) == (WIDTH, HEIGHT - 16)
    segments = plan_segments(plan, 0.5)
    objects = cut_segments(path, plan, segments, tmp_path)
    frames = list(read_frames(objects, plan, segments, range(len(plan))))
    assert len(frames) == 25
    for ours, plain in zip(frames, decode_source(path), strict=True):
        assert (ours.width, ours.height) == (WIDTH, HEIGHT - 16)
        assert np.array_equal(plane_arrays(ours)[1], plane_arrays(plain)[1])


def test_what_the_bitstream_crops_is_not_cropped_again(ffmpeg: str, tmp_path: Path) -> None:
    """64×50 is coded as 64×64."""
    path = tmp_path / "coded.mkv"
    picture = "testsrc2=size=64x50:rate=25:duration=1"
    run([ffmpeg, "-v", "error", "-f", "lavfi", "-i", picture, str(path)], timeout=LONG_SECONDS)
    video = require_source(probe(path))
    assert (video.width, video.height, video.crop) == (64, 50, None)


def test_a_crop_that_leaves_nothing_is_nonsense() -> None:
    assert whole_samples(Crop(0, 40, 0, 40), "yuv420p", (WIDTH, HEIGHT)) is None


def test_the_picture_is_cropped_before_it_is_turned(ffmpeg: str, tmp_path: Path) -> None:
    straight = film(ffmpeg, tmp_path / "straight.mov")
    turned = tmp_path / "turned.mov"
    argv = [ffmpeg, "-v", "error", "-display_rotation", "90", "-i", str(straight)]
    run([*argv, "-c", "copy", str(turned)], timeout=LONG_SECONDS)
    add_clean_aperture(turned, 64, 32, 0, 0)
    video = require_source(probe(turned))
    assert (video.width, video.height, video.rotation) == (64, 32, 90)
    assert np.array_equal(shown(turned), stored(straight)[16:48, 16:80])
