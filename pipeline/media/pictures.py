"""Pictures in and out: a still image or a folder of frames as a source, and frames as PNG.

The intermediate video is H.264 without loss in QuickTime, which keeps any rate and all colour tags
exactly, so nothing is lost after the pictures became planar:

- YUV pictures (JPEG) keep their samples, range and matrix.
- RGB, palette and gray pictures become yuv420p, BT.709 limited, 8 bits, as every player shows;
  deeper ones keep 10. Alpha is dropped.
- Where a side is odd, chroma is brought to full size: half of it would not be whole.
"""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from natsort import natsorted

from pipeline.errors import UnreadableMediaError, UnusableMediaError
from pipeline.media.opening import PICTURE_DEMUXERS, one_line, open_media
from pipeline.media.planes import bit_depth, planar_format, to_planar

#: What a folder of frames is searched for; other files in it are left alone.
PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".dpx", ".exr", ".jxl"}
    | {".jp2", ".j2k", ".ppm", ".pgm", ".qoi", ".sgi"}
)

#: x264 without loss, every frame a keyframe.
_LOSSLESS = {"qp": "0", "preset": "ultrafast", "g": "1", "bf": "0"}

_BT709 = 1


def is_pictures(path: Path) -> bool:
    """Is it a folder, or a file that is one picture?"""
    if path.is_dir():
        return True
    try:
        with open_media(path, PICTURE_DEMUXERS):
            return True
    except UnreadableMediaError:
        return False


def list_pictures(path: Path) -> list[Path]:
    """The picture itself, or those of a folder in a person's order: frame2 before frame10.

    Raises:
        UnusableMediaError: the folder holds none.
    """
    if not path.is_dir():
        return [path]
    found = [f for f in path.iterdir() if f.suffix.lower() in PICTURE_SUFFIXES and f.is_file()]
    if not found:
        raise UnusableMediaError(f"{one_line(path)}: holds no pictures (PNG, JPEG, TIFF …)")
    return list(natsorted(found, key=lambda f: f.name))


def images_to_source(path: Path, fps: Fraction, out_path: Path) -> None:
    """Make a lossless video of a picture, or of a folder of frames.

    Args:
        path: of the picture or the folder.
        fps: frames a second.
        out_path: written anew; QuickTime whatever its suffix, as that keeps any rate exactly.

    Raises:
        UnreadableMediaError: a picture cannot be read.
        UnusableMediaError: there is none, or they differ in size.
    """
    pictures = list_pictures(path)
    first = _read_picture(pictures[0])
    options = {"video_track_timescale": str(fps.numerator)}
    with av.open(str(out_path), "w", format="mov", container_options=options) as container:
        stream = container.add_stream("libx264", rate=fps, options=dict(_LOSSLESS))
        _describe(stream, first, fps)
        for number, picture in enumerate(pictures):
            frame = first if number == 0 else _read_picture(picture)
            if (frame.width, frame.height) != (first.width, first.height):
                raise UnusableMediaError(
                    f"{one_line(picture)}: is {frame.width}×{frame.height}, but the first picture"
                    f" is {first.width}×{first.height}"
                )
            converted = _convert(frame, stream.pix_fmt or "yuv420p")
            converted.pts, converted.time_base = number, 1 / fps
            container.mux(stream.encode(converted))
        container.mux(stream.encode())


def write_picture(frame: av.VideoFrame, path: Path, rotation: int = 0) -> None:
    """Write a frame as PNG: RGB, 8 bits, or 16 where the frame has more than 8.

    Args:
        frame: to write.
        path: the PNG.
        rotation: degrees counter-clockwise that turn it upright, as ``VideoInfo.rotation``.
    """
    deep = bit_depth(frame.format.name) > 8
    bgr = frame.to_ndarray(format="bgr48le" if deep else "bgr24", dst_color_range=ColorRange.JPEG)
    _, png = cv2.imencode(".png", np.rot90(bgr, rotation // 90))
    path.write_bytes(png.tobytes())


def _read_picture(path: Path) -> av.VideoFrame:
    with open_media(path, PICTURE_DEMUXERS) as container:
        try:
            return next(container.decode(video=0))
        except (av.FFmpegError, StopIteration, IndexError):
            raise UnreadableMediaError(f"{one_line(path)}: does not decode") from None


def _is_yuv(frame: av.VideoFrame) -> bool:
    described = frame.format
    return not described.is_rgb and not described.has_palette and len(described.components) >= 3


def _describe(stream: VideoStream, first: av.VideoFrame, fps: Fraction) -> None:
    """Size, format and colours of the intermediate, after the first picture."""
    context = stream.codec_context
    context.width, context.height, context.time_base = first.width, first.height, 1 / fps
    context.pix_fmt = _intermediate_format(first)
    if _is_yuv(first):
        planar = to_planar(first)
        context.color_range, context.colorspace = planar.color_range, planar.colorspace
        context.color_primaries, context.color_trc = planar.color_primaries, planar.color_trc
        return
    context.color_range, context.colorspace = int(ColorRange.MPEG), _BT709
    context.color_primaries = context.color_trc = _BT709


def _intermediate_format(first: av.VideoFrame) -> str:
    planar = planar_format(first.format.name)
    family = planar[: len("yuv420p")] if _is_yuv(first) else "yuv420p"
    if first.width % 2 or first.height % 2:
        family = "yuv444p"
    return f"{family}10le" if bit_depth(planar) > 8 else family


def _convert(frame: av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
    if _is_yuv(frame):
        planar = to_planar(frame)
        return planar if planar.format.name == pix_fmt else planar.reformat(format=pix_fmt)
    converted = frame.reformat(
        format=pix_fmt, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
    converted.colorspace, converted.color_range = _BT709, int(ColorRange.MPEG)
    return converted
