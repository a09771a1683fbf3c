"""Cheap small pictures of a frame, straight from its planes.

Detection and cut finding need a few thousand pixels of a frame, not a colour-correct copy of it.
Shrinking the planes first and converting what is left costs a fraction of a millisecond, where
converting the whole frame costs several. Nothing made here is ever composited.
"""

import math
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange

from pipeline.geometry import Box
from pipeline.media.planes import Plane, bit_depth, to_planar

Picture = npt.NDArray[np.uint8]

#: Regions start and end on multiples of this, so that no chroma sample is split.
CHROMA_GRID = 4

#: The signature of a frame: luma and both chroma planes at these sizes (width, height).
_SIGNATURE_LUMA = (32, 24)
_SIGNATURE_CHROMA = (16, 12)
PLANE_SIZES = (32 * 24, 16 * 12, 16 * 12)


@dataclass(frozen=True, slots=True)
class FramePlanes:
    """A frame's luma and two chroma planes, upright: turned as the frame is to be shown.

    Attributes:
        planes: y, u, v; chroma may be smaller than luma by any factor.
        bit_depth: significant bits of a sample.
        full_range: samples use all codes, not only 16–235 of 256.
    """

    planes: tuple[Plane, Plane, Plane]
    bit_depth: int
    full_range: bool

    @property
    def width(self) -> int:
        return int(self.planes[0].shape[1])

    @property
    def height(self) -> int:
        return int(self.planes[0].shape[0])

    def picture(self, region: Box, width: int, height: int) -> Picture:
        """A region of the frame as a (height, width, 3) BGR picture.

        Args:
            region: luma pixels, inside the frame and not empty; see :data:`CHROMA_GRID`.
            width: of the picture, in pixels.
            height: of the picture, in pixels.
        """
        small = [
            self._as_bytes(_resize(_cut(plane, self.planes[0], region), width, height))
            for plane in self.planes
        ]
        if not self.full_range:
            small[0] = np.asarray(cv2.LUT(small[0], _EXPAND_LUMA), dtype=np.uint8)
        return np.asarray(cv2.cvtColor(cv2.merge(small), cv2.COLOR_YUV2BGR), dtype=np.uint8)

    def signature(self) -> Picture:
        """(sum(PLANE_SIZES),) uint8: the frame in so few samples that noise is averaged out."""
        sizes = (_SIGNATURE_LUMA, _SIGNATURE_CHROMA, _SIGNATURE_CHROMA)
        parts = [
            self._as_bytes(_resize(_thin(plane, size), *size)).ravel()
            for plane, size in zip(self.planes, sizes, strict=True)
        ]
        return np.concatenate(parts)

    def _as_bytes(self, plane: Plane) -> Picture:
        if plane.dtype == np.uint8:
            return plane.astype(np.uint8, copy=False)
        return (plane >> (self.bit_depth - 8)).astype(np.uint8)


def read_planes(frame: av.VideoFrame, rotation: int = 0) -> FramePlanes:
    """The planes of a decoded frame, without a copy where its layout allows.

    Args:
        frame: a decoded frame; must not be written into while the result is in use.
        rotation: degrees counter-clockwise that turn the stored picture upright, a multiple of
            90, as in ``frame.rotation``.
    """
    frame = to_planar(frame)
    depth = bit_depth(frame.format.name)
    planes = [np.rot90(_view(plane, depth), rotation // 90) for plane in frame.planes]
    if len(planes) == 1:
        neutral = np.full((1, 1), 1 << (depth - 1), dtype=planes[0].dtype)
        planes += [neutral, neutral]
    y, u, v = planes
    return FramePlanes((y, u, v), depth, int(frame.color_range) == ColorRange.JPEG)


def _view(plane: VideoPlane, depth: int) -> Plane:
    # Unlike frames.plane_arrays this leaves the frame where it is: nothing is written here.
    dtype: Any = np.uint8 if depth == 8 else np.uint16
    lines: Plane = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)
    if plane.line_size < 0:
        lines = lines[::-1]
    return lines[:, : plane.width]


def _cut(plane: Plane, luma: Plane, region: Box) -> Plane:
    across = luma.shape[1] / plane.shape[1]
    down = luma.shape[0] / plane.shape[0]
    rows = slice(int(region.y1 / down), math.ceil(region.y2 / down))
    columns = slice(int(region.x1 / across), math.ceil(region.x2 / across))
    return plane[rows, columns]


def _resize(plane: Plane, width: int, height: int) -> Plane:
    # Averaging when shrinking, so fine texture does not turn into moving speckle.
    shrinks = plane.shape[0] >= height and plane.shape[1] >= width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized: Any = cv2.resize(plane, (width, height), interpolation=method)
    return resized  # type: ignore[no-any-return]


def _thin(plane: Plane, size: tuple[int, int]) -> Plane:
    """Keep every n-th row and column: four samples a cell each way are enough for a mean."""
    step = max(1, min(plane.shape[1] // (4 * size[0]), plane.shape[0] // (4 * size[1])))
    return plane[::step, ::step].copy()


def _expand_luma() -> Picture:
    codes = np.arange(256, dtype=np.float32)
    return np.clip(np.rint((codes - 16) * 255 / 219), 0, 255).astype(np.uint8)


_EXPAND_LUMA = _expand_luma()
