"""Pictures in and out: a still image or a folder of frames as a source, and frames as PNG.

The intermediate video is H.264 without loss in QuickTime, which keeps any rate and all colour tags
exactly, so nothing is lost after the pictures became planar:

- YUV pictures (JPEG) keep their samples, range and matrix.
- RGB, palette and gray pictures become yuv420p, limited, 8 bits, as every player shows; deeper ones
  keep 10. The matrix is BT.709's; BT.2020's for PQ and HLG. Alpha is dropped.
- Light and primaries other than sRGB's become so, or are tagged: see picture_light.py.
- Where a side is odd, chroma is brought to full size: half of it would not be whole.
- Pictures come upright. What EXIF, PNG's eXIf, TIFF's tag or an HEIC say of their orientation is
  done to the pixels, not handed on as a display matrix: frames of one folder may differ in it, and
  no container, player or network has to know.

All frames become what the first one is; one that is of another size, or HDR where the first is not,
is refused by name.
"""

import re
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from natsort import natsorted

from pipeline.errors import UnreadableMediaError, UnusableMediaError
from pipeline.media.extras import ALPHA, has_alpha
from pipeline.media.opening import one_line, open_media, picture_stream
from pipeline.media.picture_kinds import moves, picture_kind, require_whole_picture
from pipeline.media.picture_light import HDR_TRANSFERS, in_film_light
from pipeline.media.planes import bit_depth, filtered, planar_format, to_planar
from pipeline.media.probe import MAX_LONG_SIDE, MAX_SHORT_SIDE, MIN_SIDE
from pipeline.media.sidedata import side_data

#: What a folder of frames is searched for; other files in it are left alone, hidden ones always.
PICTURE_SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".tif", ".tiff", ".webp"}
    | {".dpx", ".cin", ".exr", ".hdr", ".pfm", ".phm", ".jxl", ".jp2", ".j2k", ".j2c", ".jpc"}
    | {".jls", ".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".qoi", ".sgi", ".rgb", ".ras", ".psd"}
    | {".gif", ".avif", ".heic", ".heif", ".dng"}
)

_MOST_GAPS = 10

#: The last number in a name counts frames.
_NUMBERED = re.compile(r"(?P<name>.*?)(?P<number>\d+)(?P<rest>\D*)", re.DOTALL)

#: x264 without loss, every frame a keyframe.
_LOSSLESS = {"qp": "0", "preset": "ultrafast", "g": "1", "bf": "0"}

_BT709, _BT2020 = 1, 9

#: swscale's matrices by H.273's numbers; all others are BT.601's to it.
_SWSCALE_MATRICES = {
    _BT709: Colorspace.ITU709,
    4: Colorspace.FCC,
    7: Colorspace.SMPTE240M,
    _BT2020: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
_BT601 = Colorspace.ITU601

#: By the first four numbers of a display matrix (a, b, c, d): FFmpeg's filters that do the same.
_UPRIGHT = {
    (-1, 0, 0, 1): (("hflip", ""),),
    (-1, 0, 0, -1): (("hflip", ""), ("vflip", "")),
    (1, 0, 0, -1): (("vflip", ""),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
    (0, -1, 1, 0): (("transpose", "cclock"),),
}

_ONE = 1 << 16


@dataclass(frozen=True, slots=True)
class _Look:
    """Size, format and colours of the intermediate, in FFmpeg's words and numbers."""

    width: int
    height: int
    pix_fmt: str
    color_range: int
    colorspace: int
    color_primaries: int
    color_trc: int


@dataclass(frozen=True, slots=True)
class _Picture:
    """A frame as :func:`read_picture` gives it, and what it does not tell: see :func:`_read`."""

    frame: av.VideoFrame
    carries: frozenset[str]
    pixel_aspect: Fraction


def is_pictures(path: Path) -> bool:
    """Is it a folder, or a file that is one picture?

    Raises:
        UnusableMediaError: it is a picture of a kind that is not taken.
    """
    if path.is_dir():
        return True
    try:
        kind = picture_kind(path)
    except UnreadableMediaError:
        return False
    return kind is not None and not moves(path, kind)


def list_pictures(path: Path) -> list[Path]:
    """The picture itself, or those of a folder in a person's order: frame2 before frame10.

    Hidden files, as macOS and others leave them beside pictures, are none of them.

    Raises:
        UnusableMediaError: the folder holds none.
    """
    if not path.is_dir():
        return [path]
    found = [
        file
        for file in path.iterdir()
        if file.suffix.lower() in PICTURE_SUFFIXES
        and not file.name.startswith(".")
        and not file.is_dir()
    ]
    if not found:
        raise UnusableMediaError(f"{one_line(path)}: holds no pictures (PNG, JPEG, TIFF …)")
    return list(natsorted(found, key=lambda f: f.name))


def numbering_gaps(pictures: Sequence[Path]) -> tuple[str, ...]:
    """A sentence for each place where numbers of frames are left out, as by a copy that broke off.

    Frames that are numbered by twos are whole: the step that is commonest counts. So do the first
    places: who sees ten looks at the folder.
    """
    numbered = [_NUMBERED.fullmatch(picture.name) for picture in pictures]
    pairs = [
        (before, after, int(after["number"]) - int(before["number"]))
        for before, after in pairwise(numbered)
        if before and after and (before["name"], before["rest"]) == (after["name"], after["rest"])
    ]
    if not pairs:
        return ()
    step, _ = Counter(difference for *_, difference in pairs).most_common(1)[0]
    gaps = [
        f"between {one_line(before[0])} and {one_line(after[0])} frames seem to be missing"
        for before, after, difference in pairs
        if difference > step > 0
    ]
    return tuple(gaps[:_MOST_GAPS])


def images_to_source(path: Path, fps: Fraction, out_path: Path) -> tuple[str, ...]:
    """Make a lossless video of a picture, or of a folder of frames.

    Args:
        path: of the picture or the folder.
        fps: frames a second.
        out_path: written anew; QuickTime whatever its suffix, as that keeps any rate exactly.

    Returns:
        What the pictures carried that the video does not, by its names in extras.py.

    Raises:
        UnreadableMediaError: a picture cannot be read.
        UnusableMediaError: there is none, one cannot be used, or they differ in size.
    """
    pictures = list_pictures(path)
    first = _read(pictures[0])
    look, carries = _look_of(first.frame), first.carries
    options = {"video_track_timescale": str(fps.numerator)}
    with av.open(str(out_path), "w", format="mov", container_options=options) as container:
        stream = container.add_stream("libx264", rate=fps, options=_LOSSLESS | _siting(look))
        _describe(stream, look, fps)
        stream.codec_context.sample_aspect_ratio = first.pixel_aspect
        for number, picture in enumerate(pictures):
            read = first if number == 0 else _read(picture)
            carries |= read.carries
            _require_alike(picture, _look_of(read.frame), look)
            converted = _convert(read.frame, look)
            converted.pts, converted.time_base = number, 1 / fps
            container.mux(stream.encode(converted))
        container.mux(stream.encode())
    return tuple(sorted(carries))


def read_picture(path: Path) -> av.VideoFrame:
    """A picture, upright, with the code values that it has in a film: planar YUV or RGB.

    Raises:
        UnreadableMediaError: it is none, or damaged.
        UnusableMediaError: it is of a kind or a size that is not taken, or film log.
    """
    return _read(path).frame


def _read(path: Path) -> _Picture:
    """Also names of extras.py that it carries; and how wide a pixel is to its height."""
    kind = picture_kind(path)
    if kind is None:
        raise UnreadableMediaError(f"{one_line(path)}: is no picture, or is damaged from the start")
    require_whole_picture(path, kind)
    frame, aspect = _decode(path, kind.demuxer)
    _require_size(path, frame)
    lit = in_film_light(frame, path, kind)
    plain = _plain(lit, deep=bit_depth(frame.format.name) > 8)
    carries = frozenset({ALPHA} if has_alpha(frame.format) else ())
    # Viewers heed it in what films are made of, and pass over the densities of all else.
    is_of_film = kind.name in ("OpenEXR", "DPX")
    for name, arguments in _turning_upright(frame):
        plain = filtered(plain, name, arguments)
    return _Picture(plain, carries, aspect if is_of_film else Fraction(1))


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


def _decode(path: Path, demuxer: str) -> tuple[av.VideoFrame, Fraction]:
    with open_media(path, (demuxer,)) as container:
        stream = picture_stream(container)
        try:
            if stream is not None and stream.codec_context is not None:
                frame = next(container.decode(stream))
                return frame, stream.codec_context.sample_aspect_ratio or Fraction(1)
        except (av.FFmpegError, StopIteration):
            pass
    raise UnreadableMediaError(f"{one_line(path)}: does not decode")


def _turning_upright(frame: av.VideoFrame) -> tuple[tuple[str, str], ...]:
    """The filters that do so."""
    raw = side_data(frame, "DISPLAYMATRIX")
    if raw is None:
        return ()
    a, b, _, c, d = struct.unpack("=5i", raw[:20])
    return _UPRIGHT.get((round(a / _ONE), round(b / _ONE), round(c / _ONE), round(d / _ONE)), ())


def _is_yuv(frame: av.VideoFrame) -> bool:
    described = frame.format
    return not described.is_rgb and not described.has_palette and len(described.components) >= 3


def _plain(frame: av.VideoFrame, *, deep: bool) -> av.VideoFrame:
    """Planar YUV of YUV, packed RGB of all else: formats that can be turned; without alpha."""
    if _is_yuv(frame):
        return to_planar(frame)
    plain = frame.reformat(format="rgb48le" if deep else "rgb24", dst_color_range=ColorRange.JPEG)
    plain.color_trc, plain.color_primaries = frame.color_trc, frame.color_primaries
    return plain


def _look_of(frame: av.VideoFrame) -> _Look:
    """What becomes of a picture that :func:`read_picture` has read."""
    deep = bit_depth(frame.format.name) > 8
    size = (frame.width, frame.height)
    is_whole = not (frame.width % 2 or frame.height % 2)
    if _is_yuv(frame):
        family = planar_format(frame.format.name)[: len("yuv420p")] if is_whole else "yuv444p"
        tags = (frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc)
    else:
        family = "yuv420p" if is_whole else "yuv444p"
        tags = (int(ColorRange.MPEG), _BT709, _BT709, _BT709)
        if frame.color_trc in HDR_TRANSFERS:
            tags = (int(ColorRange.MPEG), _BT2020, _BT2020, frame.color_trc)
    return _Look(*size, f"{family}10le" if deep else family, *tags)


def _require_size(path: Path, frame: av.VideoFrame) -> None:
    short_side, long_side = sorted((frame.width, frame.height))
    size = f"{one_line(path)}: is {frame.width}×{frame.height}"
    if long_side > MAX_LONG_SIDE or short_side > MAX_SHORT_SIDE:
        raise UnusableMediaError(
            f"{size}; the limit is {MAX_LONG_SIDE}×{MAX_SHORT_SIDE}, so scale it down"
        )
    if short_side < MIN_SIDE:
        raise UnusableMediaError(f"{size}; no face fits under {MIN_SIDE}")


def _require_alike(path: Path, look: _Look, first: _Look) -> None:
    if (look.width, look.height) != (first.width, first.height):
        raise UnusableMediaError(
            f"{one_line(path)}: is {look.width}×{look.height}, but the first picture is"
            f" {first.width}×{first.height}"
        )
    if look.color_trc != first.color_trc and {look.color_trc, first.color_trc} & {*HDR_TRANSFERS}:
        raise UnusableMediaError(
            f"{one_line(path)}: has another transfer (PQ, HLG or neither) than the first picture"
        )


def _siting(look: _Look) -> dict[str, str]:
    """JPEG has its chroma samples in the middle of four pixels, H.264 at the left of two."""
    is_jpeg = look.pix_fmt.startswith("yuv420p") and look.color_range == ColorRange.JPEG
    return {"chroma_sample_location": "center"} if is_jpeg else {}


def _describe(stream: VideoStream, look: _Look, fps: Fraction) -> None:
    context = stream.codec_context
    context.width, context.height, context.time_base = look.width, look.height, 1 / fps
    context.pix_fmt = look.pix_fmt
    context.color_range, context.colorspace = look.color_range, look.colorspace
    context.color_primaries, context.color_trc = look.color_primaries, look.color_trc


def _convert(frame: av.VideoFrame, look: _Look) -> av.VideoFrame:
    if _look_of(frame) == look and frame.format.name == look.pix_fmt:
        return frame
    span = int(frame.color_range or ColorRange.MPEG) if _is_yuv(frame) else int(ColorRange.JPEG)
    wanted = look.color_range or int(ColorRange.MPEG)
    is_alike = _is_yuv(frame) and (span, frame.colorspace) == (wanted, look.colorspace)
    converted = frame.reformat(
        format=look.pix_fmt,
        dst_colorspace=None if is_alike else _SWSCALE_MATRICES.get(look.colorspace, _BT601),
        src_color_range=span,
        dst_color_range=wanted,
    )
    converted.colorspace, converted.color_range = look.colorspace, look.color_range
    converted.color_primaries, converted.color_trc = look.color_primaries, look.color_trc
    return converted
