"""YUV planes ↔ BGR for one box of a frame, in the source's own matrix, range, depth and siting.

The frame outside the box is never converted. Code values are those of the planes: 0…255 in 8-bit
video, 0…1023 in 10-bit. BGR is uint8, 0…255, as OpenCV and the networks have it; transfer curves
are left alone, PQ and HLG included: their code values look like a flatter SDR picture, which
networks read well, and only the change is written back.

Rules where the tags are silent:

- matrix: BT.2020 primaries mean the BT.2020 matrix; else pictures of at least ``HD_LINES`` lines
  are BT.709, smaller ones BT.601, as broadcast equipment and players guess;
- range: limited;
- chroma siting of 4:2:0: at the left pixel between two lines (the default of MPEG-2, H.264 and
  H.265); at the top left pixel for BT.2020, as ITU-R BT.2100 asks.

Boxes are in the upright picture; ``rotation`` (degrees counter-clockwise, as `VideoInfo` has it)
says how the stored picture is turned to be upright.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from pipeline.geometry import Box
from pipeline.media.info import ColorTags
from pipeline.media.planes import Plane, plane_arrays

#: Untagged pictures of at least this many lines are BT.709.
HD_LINES = 720

# FFmpeg's numbers (ITU-T H.273).
_RANGE_FULL = 2
_SPACE_BT709, _SPACE_SMPTE170M, _SPACE_YCGCO, _SPACE_BT2020 = 1, 6, 8, 9
_PRIMARIES_BT2020 = 9

# (Kr, Kb) of each matrix. Constant-luminance BT.2020 and ICtCp are not linear in R'G'B'; only the
# *change* of a box is written back, so the nearest linear matrix serves.
_LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
    14: (0.2627, 0.0593),
}

#: float32; OpenCV's annotations keep no type.
Floats = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Conversion:
    """How the planes of one kind of frame become BGR and back.

    ``to_bgr`` is (3, 4): BGR in 0…255 from code values (Y, U, V, 1); ``to_planes`` is its inverse.
    ``step`` is luma pixels per chroma sample, (x, y); ``site`` where the first chroma sample lies,
    in luma pixels.
    """

    planes: int
    depth: int
    step: tuple[int, int]
    site: tuple[float, float]
    to_bgr: Floats
    to_planes: Floats

    @property
    def peak(self) -> int:
        return (1 << self.depth) - 1


def conversion_of(frame: av.VideoFrame, color: ColorTags) -> Conversion:
    """The conversion for frames of that (planar) pixel format and those tags."""
    return _conversion(frame.format.name, frame.height, color.range, color.space, color.primaries)


@lru_cache(maxsize=64)
def _conversion(
    pix_fmt: str, height: int, range_tag: int, space: int, primaries: int
) -> Conversion:
    parts = av.VideoFormat(pix_fmt, 64, 64).components
    step = (64 // parts[-1].width, 64 // parts[-1].height)
    space = resolve_matrix(space, primaries, height)
    to_bgr = _bgr_matrix(space, parts[0].bits, full=range_tag == _RANGE_FULL, gray=len(parts) == 1)
    return Conversion(
        planes=len(parts),
        depth=parts[0].bits,
        step=step,
        site=(0.0, 0.0 if space == _SPACE_BT2020 else (step[1] - 1) / 2),
        to_bgr=to_bgr.astype(np.float32),
        to_planes=_inverse(to_bgr).astype(np.float32),
    )


def resolve_matrix(space: int, primaries: int, height: int) -> int:
    """The matrix to use, as FFmpeg's colour space number: the tag, or the rule if silent."""
    if space in _LUMA_WEIGHTS or space == _SPACE_YCGCO:
        return space
    if primaries == _PRIMARIES_BT2020:
        return _SPACE_BT2020
    return _SPACE_BT709 if height >= HD_LINES else _SPACE_SMPTE170M


def _bgr_matrix(space: int, depth: int, *, full: bool, gray: bool) -> npt.NDArray[np.float64]:
    """(3, 4): BGR in 0…255 of (Y, U, V, 1) in code values."""
    scale = 1 << (depth - 8)
    peak = (1 << depth) - 1
    black, luma, chroma = (0, peak, peak) if full else (16 * scale, 219 * scale, 224 * scale)
    y = np.array([1 / luma, 0, 0, -black / luma])
    u = np.array([0, 1 / chroma, 0, -(128 * scale) / chroma])
    v = np.array([0, 0, 1 / chroma, -(128 * scale) / chroma])
    if gray:
        return 255 * np.stack([y, y, y])
    if space == _SPACE_YCGCO:
        return 255 * np.stack([y - u - v, y + u, y - u + v])
    kr, kb = _LUMA_WEIGHTS[space]
    blue = y + 2 * (1 - kb) * u
    red = y + 2 * (1 - kr) * v
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return 255 * np.stack([blue, green, red])


def _inverse(to_bgr: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(3, 4) or, for grey, luma of the BT.601 weights in the first row."""
    back: npt.NDArray[np.float64]
    linear, offset = to_bgr[:, :3], to_bgr[:, 3]
    if not linear[:, 1:].any():
        back = np.zeros_like(linear)
        back[0] = np.array([0.114, 0.587, 0.299]) / linear[0, 0]
    else:
        back = np.asarray(np.linalg.inv(linear), np.float64)
    return np.hstack([back, -(back @ offset)[:, None]])


def stored_box(box: Box, frame: av.VideoFrame, rotation: int) -> Box:
    """Where a box of the upright picture lies in the picture as it is stored."""
    width, height = frame.width, frame.height
    match rotation // 90 % 4:
        case 1:
            return Box(width - box.y2, box.x1, width - box.y1, box.x2)
        case 2:
            return Box(width - box.x2, height - box.y2, width - box.x1, height - box.y1)
        case 3:
            return Box(box.y1, height - box.x2, box.y2, height - box.x1)
        case _:
            return box


def read_crop(frame: av.VideoFrame, box: Box, color: ColorTags, rotation: int = 0) -> Bytes:
    """The box's pixels as (h, w, 3) uint8 BGR, upright, from the source's own planes.

    The box must lie inside the upright frame.
    """
    conversion = conversion_of(frame, color)
    box = stored_box(box, frame, rotation)
    planes = plane_arrays(frame)
    luma = np.ascontiguousarray(planes[0][box.y1 : box.y2, box.x1 : box.x2], np.float32)
    if conversion.planes == 1:
        stacked = cv2.merge([luma, luma, luma])
    else:
        stacked = cv2.merge([luma, *_upsampled(planes[1:3], box, conversion)])
    bgr = cv2.transform(stacked, conversion.to_bgr)
    return np.ascontiguousarray(np.rot90(_saturated(bgr, cv2.CV_8U), rotation // 90), np.uint8)


def _upsampled(planes: Sequence[Plane], box: Box, conversion: Conversion) -> list[Floats]:
    """Both chroma planes at the box's luma pixels, bilinear, with the siting respected."""
    if conversion.step == (1, 1):
        return [
            np.ascontiguousarray(plane[box.y1 : box.y2, box.x1 : box.x2], np.float32)
            for plane in planes
        ]
    (step_x, step_y), (site_x, site_y) = conversion.step, conversion.site
    height, width = planes[0].shape
    # One sample of margin, so that interpolation at the box's border sees its neighbours.
    left, top = max(0, box.x1 // step_x - 1), max(0, box.y1 // step_y - 1)
    right = min(width, -(-box.x2 // step_x) + 1)
    bottom = min(height, -(-box.y2 // step_y) + 1)
    to_sample = np.array(
        [
            [1 / step_x, 0, (box.x1 - site_x) / step_x - left],
            [0, 1 / step_y, (box.y1 - site_y) / step_y - top],
        ]
    )
    return [
        cv2.warpAffine(
            np.ascontiguousarray(plane[top:bottom, left:right], np.float32),
            to_sample,
            (box.width, box.height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for plane in planes
    ]


def add_change(
    frame: av.VideoFrame, box: Box, change: Floats, color: ColorTags, rotation: int = 0
) -> None:
    """Add a change of BGR, (h, w, 3) float32 in 8-bit steps, to the planes under the box.

    Where the change is zero, samples keep their value, and with it the source's grain and the bits
    below 8-bit precision. Chroma samples that belong to pixels outside the box, too, stay.
    """
    conversion = conversion_of(frame, color)
    box = stored_box(box, frame, rotation)
    change = np.ascontiguousarray(np.rot90(change, -rotation // 90))
    linear = conversion.to_planes[: conversion.planes, :3]
    # Plane by plane: splitting a picture costs OpenCV more than computing it.
    parts = [cv2.transform(change, np.ascontiguousarray(row[None])) for row in linear]
    planes = plane_arrays(frame)
    _add(planes[0][box.y1 : box.y2, box.x1 : box.x2], parts[0], conversion.peak)
    for plane, part in zip(planes[1 : conversion.planes], parts[1:], strict=False):
        samples = _whole_samples(plane, box, conversion)
        _add(samples, _subsampled(part, box, conversion, cv2.BORDER_CONSTANT), conversion.peak)


def replace_box(
    frame: av.VideoFrame, box: Box, patch: Bytes, color: ColorTags, rotation: int = 0
) -> None:
    """Replace the box by a patch, (h, w, 3) uint8 BGR of the box's size.

    Chroma samples that belong to pixels outside the box, too, keep their value.
    """
    conversion = conversion_of(frame, color)
    box = stored_box(box, frame, rotation)
    patch = np.ascontiguousarray(np.rot90(patch, -rotation // 90))
    parts = cv2.split(cv2.transform(patch.astype(np.float32), conversion.to_planes))
    planes = plane_arrays(frame)
    _store(planes[0][box.y1 : box.y2, box.x1 : box.x2], parts[0], conversion.peak)
    for plane, part in zip(planes[1 : conversion.planes], parts[1:], strict=False):
        samples = _whole_samples(plane, box, conversion)
        _store(samples, _subsampled(part, box, conversion, cv2.BORDER_REPLICATE), conversion.peak)


def _whole_samples(plane: Plane, box: Box, conversion: Conversion) -> Plane:
    """The samples of a chroma plane whose every pixel lies inside the box."""
    step_x, step_y = conversion.step
    return plane[
        -(-box.y1 // step_y) : max(box.y2 // step_y, -(-box.y1 // step_y)),
        -(-box.x1 // step_x) : max(box.x2 // step_x, -(-box.x1 // step_x)),
    ]


def _subsampled(part: Floats, box: Box, conversion: Conversion, border: int) -> Floats:
    """The values of a full-size plane at the samples of `_whole_samples`."""
    if conversion.step == (1, 1):
        return part
    (step_x, step_y), (site_x, site_y) = conversion.step, conversion.site
    kernel_x, anchor_x = _decimation_kernel(step_x, cosited=site_x == 0)
    kernel_y, anchor_y = _decimation_kernel(step_y, cosited=site_y == 0)
    smooth = cv2.sepFilter2D(
        part, -1, kernel_x, kernel_y, anchor=(anchor_x, anchor_y), borderType=border
    )
    rows, columns = -box.y1 % step_y, -box.x1 % step_x
    height = max(box.y2 // step_y - -(-box.y1 // step_y), 0)
    width = max(box.x2 // step_x - -(-box.x1 // step_x), 0)
    samples: Floats = smooth[rows::step_y, columns::step_x][:height, :width]
    return samples


def _decimation_kernel(step: int, *, cosited: bool) -> tuple[Floats, int]:
    """The filter before taking every step-th value, and which tap lies on the value taken.

    Taps are symmetric about the chroma sample: a triangle where it lies on a pixel, a box where it
    lies between pixels.
    """
    if step == 1:
        return np.ones(1, np.float32), 0
    box = np.full(step, 1 / step, np.float32)
    if cosited:
        return np.convolve(box, box).astype(np.float32), step - 1
    return box, 0


def _add(samples: Plane, change: Floats, peak: int) -> None:
    if samples.size:
        _store(samples, cv2.add(np.ascontiguousarray(samples, np.float32), change), peak)


def _store(samples: Plane, values: Floats, peak: int) -> None:
    if not samples.size:
        return
    if samples.dtype == np.uint8:
        samples[:] = _saturated(np.ascontiguousarray(values), cv2.CV_8U)
    else:
        codes = _saturated(np.ascontiguousarray(values), cv2.CV_16U)
        samples[:] = np.minimum(codes, np.uint16(peak))


def _saturated(values: Floats, depth: int) -> npt.NDArray[Any]:
    """Rounded and clipped to an unsigned type in one pass."""
    return np.asarray(cv2.add(values, 0, dtype=depth))  # type: ignore[call-overload]
