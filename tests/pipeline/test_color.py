from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.color import add_change, read_crop, replace_box, resolve_matrix, stored_box
from pipeline.geometry import Box
from pipeline.media.info import ColorTags
from pipeline.media.planes import plane_arrays

FORMATS = ["yuv420p", "yuv422p", "yuv444p", "gray", "yuv420p10le", "yuv422p10le", "yuv444p12le"]
EVEN, ODD = Box(20, 16, 60, 50), Box(21, 17, 58, 49)


def smooth_picture(width: int = 96, height: int = 80) -> np.ndarray:
    """(h, w, 3) BGR with every hue, but no edge that two chroma filters would treat differently."""
    y, x = np.mgrid[0:height, 0:width] / [[[height]], [[width]]]
    parts = [
        np.sin(3 * x + y),
        np.cos(2.5 * y - x),
        np.sin(2 * (x + y) + 1),
    ]
    return (127 + 90 * np.stack(parts, axis=2)).astype(np.uint8)


def frame_of(pix_fmt: str, seed: int = 5) -> av.VideoFrame:
    """A frame of noise: every sample is its own."""
    frame = av.VideoFrame(96, 80, pix_fmt)
    random = np.random.default_rng(seed)
    for plane in plane_arrays(frame):
        peak = (1 << frame.format.components[0].bits) - 1
        plane[:] = random.integers(0, peak + 1, plane.shape)
    return frame


def copies(frame: av.VideoFrame) -> list[np.ndarray]:
    return [plane.copy() for plane in plane_arrays(frame)]


def psnr(one: np.ndarray, two: np.ndarray) -> float:
    error = np.square(one.astype(float) - two.astype(float)).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def assert_same_outside(frame: av.VideoFrame, before: list[np.ndarray], box: Box) -> None:
    """Chroma samples any of whose pixels lie outside count as outside."""
    for plane, old in zip(plane_arrays(frame), before, strict=True):
        step_y, step_x = frame.height // plane.shape[0], frame.width // plane.shape[1]
        outside = np.ones(plane.shape, bool)
        outside[
            -(-box.y1 // step_y) : box.y2 // step_y, -(-box.x1 // step_x) : box.x2 // step_x
        ] = False
        assert (plane[outside] == old[outside]).all()


@pytest.mark.parametrize("pix_fmt", [name for name in FORMATS if name != "gray"])
@pytest.mark.parametrize(("space", "name"), [(1, "ITU709"), (6, "ITU601"), (9, "bt2020")])
@pytest.mark.parametrize("range_tag", [1, 2])
def test_a_crop_is_what_swscale_makes_of_the_whole_frame(
    pix_fmt: str, space: int, name: str, range_tag: int
) -> None:
    span = {1: "MPEG", 2: "JPEG"}[range_tag]
    source = av.VideoFrame.from_ndarray(smooth_picture(), "bgr24")
    colorspace: int | str = 9 if name == "bt2020" else name
    frame = source.reformat(
        format=pix_fmt, dst_colorspace=colorspace, dst_color_range=span, interpolation="BICUBIC"
    )
    whole = frame.reformat(
        format="bgr24",
        src_colorspace=colorspace,
        src_color_range=span,
        dst_color_range="JPEG",
        interpolation="BICUBIC",
    ).to_ndarray()
    tags = ColorTags(range=range_tag, space=space)
    for box in (EVEN, ODD, Box(0, 0, 96, 80)):
        crop = read_crop(frame, box, tags)
        assert crop.shape == (box.height, box.width, 3)
        assert crop.dtype == np.uint8
        assert psnr(crop, whole[box.y1 : box.y2, box.x1 : box.x2]) > 40


def test_real_frames_read_as_swscale_reads_them(clips: Path) -> None:
    for name, box in (
        ("portrait_25fps.mp4", Box(217, 158, 336, 319)),
        ("vertical_1080x1920_hevc.mp4", Box(513, 595, 698, 845)),
        ("film_hdr10.mp4", Box(611, 353, 824, 643)),
    ):
        with av.open(str(clips / name)) as container:
            frame = next(container.decode(video=0))
        tags = ColorTags(int(frame.color_range), int(frame.colorspace), int(frame.color_primaries))
        whole = frame.reformat(
            format="bgr24",
            src_colorspace=resolve_matrix(tags.space, tags.primaries, frame.height),
            interpolation="BICUBIC",
        ).to_ndarray()
        assert psnr(read_crop(frame, box, tags), whole[box.y1 : box.y2, box.x1 : box.x2]) > 40


def test_a_silent_matrix_follows_primaries_then_lines() -> None:
    assert resolve_matrix(2, 9, 480) == 9
    assert resolve_matrix(2, 2, 720) == 1
    assert resolve_matrix(2, 2, 719) == 6
    assert resolve_matrix(6, 9, 2160) == 6


@pytest.mark.parametrize("tags", [ColorTags(1, 1), ColorTags(2, 1), ColorTags(1, 9)])
def test_gray_stays_gray(tags: ColorTags) -> None:
    frame = av.VideoFrame(96, 80, "yuv420p")
    luma, *chroma = plane_arrays(frame)
    luma[:] = np.arange(96) + 60
    for plane in chroma:
        plane[:] = 128
    crop = read_crop(frame, ODD, tags).astype(int)
    assert np.ptp(crop, axis=2).max() == 0
    replace_box(frame, ODD, np.full((ODD.height, ODD.width, 3), 90, np.uint8), tags)
    assert all((plane == 128).all() for plane in chroma)


def test_limited_white_and_black_are_255_and_0() -> None:
    for pix_fmt, scale in (("yuv420p", 1), ("yuv420p10le", 4), ("yuv444p12le", 16)):
        frame = av.VideoFrame(96, 80, pix_fmt)
        planes = plane_arrays(frame)
        for plane in planes[1:]:
            plane[:] = 128 * scale
        for code, value in ((16, 0), (235, 255)):
            planes[0][:] = code * scale
            assert (read_crop(frame, ODD, ColorTags(1, 1)) == value).all()


@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("box", [EVEN, ODD, Box(0, 0, 96, 80), Box(95, 79, 96, 80)])
def test_nothing_outside_the_box_changes(pix_fmt: str, box: Box) -> None:
    for tags in (ColorTags(1, 1), ColorTags(2, 9)):
        frame = frame_of(pix_fmt)
        before = copies(frame)
        add_change(frame, box, np.full((box.height, box.width, 3), 30, np.float32), tags)
        assert_same_outside(frame, before, box)
        assert (plane_arrays(frame)[0] != before[0]).any()
        frame = frame_of(pix_fmt)
        replace_box(frame, box, np.full((box.height, box.width, 3), 30, np.uint8), tags)
        assert_same_outside(frame, before, box)
        assert (plane_arrays(frame)[0] != before[0]).any()


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_a_change_of_nothing_leaves_every_sample(pix_fmt: str) -> None:
    frame = frame_of(pix_fmt)
    before = copies(frame)
    add_change(frame, ODD, np.zeros((ODD.height, ODD.width, 3), np.float32), ColorTags(1, 1))
    assert all((a == b).all() for a, b in zip(plane_arrays(frame), before, strict=True))


def test_a_change_keeps_the_bits_below_eight() -> None:
    frame = av.VideoFrame(96, 80, "yuv420p10le")
    luma, *chroma = plane_arrays(frame)
    luma[:] = 400 + np.arange(96) % 4
    for plane in chroma:
        plane[:] = 512
    # 10 of 255 grey levels are 10 / 255 × 876 = 34.35 of the 876 codes of limited 10-bit luma.
    add_change(frame, EVEN, np.full((EVEN.height, EVEN.width, 3), 10, np.float32), ColorTags(1, 1))
    inside = luma[EVEN.y1 : EVEN.y2, EVEN.x1 : EVEN.x2].astype(int)
    assert (inside - 34 == 400 + np.arange(EVEN.x1, EVEN.x2) % 4).all()


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_what_is_written_is_read_back(pix_fmt: str) -> None:
    frame = frame_of(pix_fmt)
    patch = smooth_picture()[: EVEN.height, : EVEN.width]
    for tags in (ColorTags(1, 1), ColorTags(2, 6), ColorTags(1, 9)):
        replace_box(frame, EVEN, patch, tags)
        inner = slice(2, -2), slice(2, -2)  # border chroma is interpolated with its neighbours
        assert psnr(read_crop(frame, EVEN, tags)[inner], patch[inner]) > 40


def test_samples_do_not_leave_their_depth() -> None:
    for pix_fmt, peak in (("yuv420p", 255), ("yuv420p10le", 1023), ("yuv444p12le", 4095)):
        frame = frame_of(pix_fmt)
        change = np.full((EVEN.height, EVEN.width, 3), 500, np.float32)
        add_change(frame, EVEN, change, ColorTags(2, 1))
        luma = plane_arrays(frame)[0]
        assert (luma[EVEN.y1 : EVEN.y2, EVEN.x1 : EVEN.x2] == peak).all()
        add_change(frame, EVEN, -4 * change, ColorTags(2, 1))
        assert (luma[EVEN.y1 : EVEN.y2, EVEN.x1 : EVEN.x2] == 0).all()


@pytest.mark.parametrize("rotation", [-90, 0, 90, 180, 270])
@pytest.mark.parametrize("size", [(96, 80), (95, 79)])
def test_a_rotated_box_is_read_and_written_upright(rotation: int, size: tuple[int, int]) -> None:
    frame = av.VideoFrame(*size, "yuv444p")
    random = np.random.default_rng(3)
    for plane in plane_arrays(frame):
        plane[:] = random.integers(0, 256, plane.shape)
    tags = ColorTags(2, 1)
    whole = read_crop(frame, Box(0, 0, *size), tags)
    upright = np.rot90(whole, rotation // 90)
    crop = read_crop(frame, ODD, tags, rotation)
    assert (crop == upright[ODD.y1 : ODD.y2, ODD.x1 : ODD.x2]).all()
    patch = np.zeros((ODD.height, ODD.width, 3), np.uint8)
    patch[:4] = 255
    before = copies(frame)
    replace_box(frame, ODD, patch, tags, rotation)
    assert (read_crop(frame, ODD, tags, rotation) == patch).all()
    assert_same_outside(frame, before, stored_box(ODD, frame, rotation))


def test_chroma_sites_move_the_reading_half_a_pixel() -> None:
    """BT.2020 has its chroma on the line, others between two."""
    frame = av.VideoFrame(96, 80, "yuv420p")
    luma, u, v = plane_arrays(frame)
    luma[:], u[:] = 128, 128
    v[:] = (60 + 2 * np.arange(40))[:, None]
    box, rows = Box(8, 8, 40, 40), np.arange(8, 40)
    for tags, site in ((ColorTags(2, 1), 0.5), (ColorTags(2, 9), 0.0)):
        red = read_crop(frame, box, tags)[:, 0, 2]
        kr = {0.5: 0.2126, 0.0: 0.2627}[site]
        expected = 128 + 2 * (1 - kr) * (60 + (rows - site) - 128)
        assert np.abs(red - np.clip(expected, 0, 255)).max() <= 0.51


def test_rates_are_not_touched() -> None:
    frame = frame_of("yuv420p")
    frame.pts, frame.time_base = 7, Fraction(1, 25)
    replace_box(frame, EVEN, np.zeros((EVEN.height, EVEN.width, 3), np.uint8), ColorTags(1, 1))
    assert (frame.pts, frame.time_base) == (7, Fraction(1, 25))
