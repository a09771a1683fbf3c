"""Planes of a frame as arrays, and the pixel formats that frames are handed on in.

Everything behind the decoder sees planar YUV or gray of 8 to 12 bits, little-endian, with each
plane its own array. What decoders deliver otherwise is brought to that here:

================================  ==================================================  =========
decoded                           handed on                                           loses
================================  ==================================================  =========
yuv420p/422p/444p 8, 9, 10, 12    as it is                                            nothing
gray, gray9/10/12                 as it is                                            nothing
yuvj420p/422p/444p                yuv420p/422p/444p, tagged full range                nothing
nv12, nv16, nv24, p010 …          the planar format of the same depth                 nothing
yuyv422, uyvy422 and other packed yuv422p                                             nothing
yuva…                             the same without alpha                              alpha
yuv411p, yuv440p, yuv410p         yuv422p, yuv444p, yuv420p                           (resampled)
14 and 16 bits                    12 bits                                             low bits
RGB, palette (alpha dropped)      yuv444p at its depth (10 or 12 above 8), BT.709     rounding
                                  matrix, limited range
================================  ==================================================  =========
"""

from fractions import Fraction
from functools import cache
from typing import Any

import av
import numpy as np
from av.filter import Graph
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from pipeline.media.info import Crop
from pipeline.media.sidedata import without_named_profile

#: One plane: ``(h, w)``, uint8 or uint16.
Plane = NDArray[np.uint8] | NDArray[np.uint16]

#: Formats that pass through untouched.
PLANAR_FORMATS = frozenset(
    {f"yuv{chroma}p" for chroma in ("420", "422", "444")}
    | {f"yuv{chroma}p{bits}le" for chroma in ("420", "422", "444") for bits in (9, 10, 12)}
    | {"gray", "gray9le", "gray10le", "gray12le"}
)

#: Depths that planar formats exist in; others are brought to the next, or to the last.
_DEPTHS = (8, 9, 10, 12)


def bit_depth(pix_fmt: str) -> int:
    """Bits of one luma (or first) component, as in 10 for yuv420p10le."""
    return int(av.VideoFormat(pix_fmt, 16, 16).components[0].bits)


@cache
def planar_format(pix_fmt: str) -> str:
    """The format that frames decoded as ``pix_fmt`` are handed on in."""
    if pix_fmt in PLANAR_FORMATS:
        return pix_fmt
    described = av.VideoFormat(pix_fmt, 16, 16)
    deepest = min(max(c.bits for c in described.components), _DEPTHS[-1])
    if described.has_palette or described.is_rgb:
        return _name("yuv444p", 8 if deepest <= 8 else 10 if deepest <= 10 else 12)
    depth = next(d for d in _DEPTHS if d >= deepest)
    if all(c.is_luma or c.is_alpha for c in described.components):
        return _name("gray", depth)
    across, down = (16 // described.chroma_width(16), 16 // described.chroma_height(16))
    if across == 1:
        return _name("yuv444p", depth)
    return _name("yuv420p" if down > 1 else "yuv422p", depth)


def _name(family: str, depth: int) -> str:
    return family if depth == 8 else f"{family}{depth}le"


def to_planar(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame in its planar format: itself where it already is, else converted as the table says.

    Times, colour tags and the rest of its properties stay, except that RGB becomes BT.709 limited
    range and says so.
    """
    wanted = planar_format(frame.format.name)
    if frame.format.name == wanted:
        return frame
    frame = without_named_profile(frame)
    if frame.format.is_rgb or frame.format.has_palette:
        converted = frame.reformat(
            format=wanted,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation="BICUBIC",
        )
        converted.colorspace = int(Colorspace.ITU709)
        converted.color_range = int(ColorRange.MPEG)
    else:
        # The same range on both sides, so that swscale only moves samples.
        full = frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG
        span = ColorRange.JPEG if full else ColorRange.MPEG
        converted = frame.reformat(format=wanted, src_color_range=span, dst_color_range=span)
        converted.colorspace = frame.colorspace
        converted.color_range = int(span) if full else frame.color_range
    converted.color_primaries = frame.color_primaries
    converted.color_trc = frame.color_trc
    converted.pts = frame.pts
    if frame.time_base is not None:
        converted.time_base = frame.time_base
    converted.duration = frame.duration
    return converted


def whole_samples(crop: Crop, pix_fmt: str, size: tuple[int, int]) -> Crop | None:
    """The crop as planes of that format can have it; None where it hides nothing, or all.

    An edge inside a chroma sample moves inwards: what was hidden stays hidden, at the cost of a
    line that was not, and no chroma sample is moved against its luma.
    """
    described = av.VideoFormat(planar_format(pix_fmt), 64, 64)
    across, down = 64 // described.chroma_width(64), 64 // described.chroma_height(64)

    def inwards(edge: int, step: int) -> int:
        return -(-edge // step) * step

    width, height = size
    left, top = inwards(crop.left, across), inwards(crop.top, down)
    right = width - (width - crop.right) // across * across if crop.right else 0
    bottom = height - (height - crop.bottom) // down * down if crop.bottom else 0
    is_something = left or top or right or bottom
    is_sound = left + right < width and top + bottom < height
    return Crop(left, top, right, bottom) if is_something and is_sound else None


def cropped(frame: av.VideoFrame, crop: Crop | None) -> av.VideoFrame:
    """The frame without what is hidden: the same memory and properties; itself without a crop."""
    if crop is None:
        return frame
    width, height = frame.width - crop.left - crop.right, frame.height - crop.top - crop.bottom
    return filtered(frame, "crop", f"{width}:{height}:{crop.left}:{crop.top}:exact=1")


def filtered(frame: av.VideoFrame, name: str, arguments: str = "") -> av.VideoFrame:
    """The frame as one of FFmpeg's filters gives it, its time base and properties kept."""
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or Fraction(1, av.time_base),  # a still may have none
    )
    step = graph.add(name, arguments)
    source.link_to(step)
    step.link_to(graph.add("buffersink"))
    graph.configure()
    graph.vpush(frame)
    return graph.vpull()


def plane_arrays(frame: av.VideoFrame) -> list[Plane]:
    """The planes of a planar frame as arrays that write into the frame.

    Decoders keep a hand on frames that later frames refer to; such a frame is given its own memory
    first, so that what is written here never reaches another frame. No other copy is made.

    Returns:
        One ``(h, w)`` array a plane, uint8 or (above 8 bits) uint16 holding the samples in their
        low bits, in the order Y, U, V. They live as long as the frame.
    """
    if frame.format.name not in PLANAR_FORMATS:
        raise ValueError(f"{frame.format.name} is not a planar format; see to_planar")
    frame.make_writable()
    dtype = np.uint8 if bit_depth(frame.format.name) == 8 else np.uint16
    return [plane_array(plane, np.dtype(dtype)) for plane in frame.planes]


def plane_array(plane: VideoPlane, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A plane of any format whose samples are of that type, ``(h, w)``."""
    # Lines may be longer than the picture is wide, and may run upwards in memory.
    lines: NDArray[Any] = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)
    if plane.line_size < 0:
        lines = lines[::-1]
    return lines[:, : plane.width]
