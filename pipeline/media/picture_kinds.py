"""What kind of picture a file is. Its first bytes tell, never its name, nor what FFmpeg guesses.

FFmpeg guesses by scores in which the name counts: a JPEG above two kilobytes named ``.jpg`` is a
list of files to it, ``shot%03d.png`` a pattern. So a picture's demuxer is named, not guessed.

What moves is a film: a GIF, PNG or AVIF of several pictures, and motion JPEG, which is one JPEG
behind another. Of a file that holds further pictures beside the one it shows (the pages of a TIFF,
the depth or gain map of a telephone's JPEG) the first is taken, as viewers take it.

============  ===================================================================================
taken         JPEG, JPEG-LS, JPEG 2000, PNG, GIF, BMP, TIFF, WebP, AVIF, HEIC of one piece, DPX,
              OpenEXR, Radiance HDR, PFM, PHM, PPM, PGM, PBM, PAM, QOI, SGI, Sun raster, PSD
refused       HEIC in tiles, JPEG XL, WebP that moves, BigTIFF, JPEG or camera raw within TIFF,
              OpenEXR whose display window does not begin at 0, 0, Cineon: no decoder here reads
              them rightly
============  ===================================================================================
"""

import contextlib
import mmap
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av

from pipeline.errors import UnreadableMediaError, UnusableMediaError
from pipeline.media.opening import check_regular_file, one_line, open_media


@dataclass(frozen=True, slots=True)
class PictureKind:
    """``name`` as people call it; ``demuxer`` is FFmpeg's."""

    name: str
    demuxer: str


_JPEG = PictureKind("JPEG", "jpeg_pipe")
_PNG = PictureKind("PNG", "png_pipe")
_GIF = PictureKind("GIF", "gif_pipe")
_TIFF = PictureKind("TIFF", "tiff_pipe")
_WEBP = PictureKind("WebP", "webp_pipe")
_EXR = PictureKind("OpenEXR", "exr_pipe")
_QOI = PictureKind("QOI", "qoi_pipe")
_JPEG_2000 = PictureKind("JPEG 2000", "j2k_pipe")
_DPX = PictureKind("DPX", "dpx_pipe")
_HDR = PictureKind("Radiance HDR", "hdr_pipe")
_SUN = PictureKind("Sun raster", "sunrast_pipe")
_AVIF, _HEIC = PictureKind("AVIF", "mov"), PictureKind("HEIC", "mov")

#: The first that matches counts.
_FIRST_BYTES = (
    (b"\xff\xd8\xff\xf7", PictureKind("JPEG-LS", "jpegls_pipe")),
    (b"\xff\xd8\xff", _JPEG),
    (b"\x89PNG\r\n\x1a\n", _PNG),
    (b"GIF87a", _GIF),
    (b"GIF89a", _GIF),
    (b"BM", PictureKind("BMP", "bmp_pipe")),
    (rb"II\*\0|MM\0\*", _TIFF),
    (b"RIFF....WEBP", _WEBP),
    (b"SDPX", _DPX),
    (b"XPDS", _DPX),
    (b"v/1\x01", _EXR),
    (b"\xff\x4f\xff\x51", _JPEG_2000),
    (b"\0\0\0\x0cjP  \r\n\x87\n", _JPEG_2000),
    (rb"P[36]\s", PictureKind("PPM", "ppm_pipe")),
    (rb"P[25]\s", PictureKind("PGM", "pgm_pipe")),
    (rb"P[14]\s", PictureKind("PBM", "pbm_pipe")),
    (b"P7\n", PictureKind("PAM", "pam_pipe")),
    (rb"P[Ff]\s", PictureKind("PFM", "pfm_pipe")),
    (rb"P[Hh]\s", PictureKind("PHM", "phm_pipe")),
    (b"#\\?RADIANCE|#\\?RGBE", _HDR),
    (b"\x01\xda[\0\1][\1\2]", PictureKind("SGI", "sgi_pipe")),
    (b"\x59\xa6\x6a\x95", _SUN),
    (b"qoif", _QOI),
    (b"8BPS", PictureKind("PSD", "psd_pipe")),
    (b"....ftypavif", _AVIF),
    (b"....ftyp(heic|heix|heim|heis)", _HEIC),
    (b"....ftypmif1.{4,64}avif", _AVIF),
    (b"....ftypmif1", _HEIC),
)
_PATTERNS = tuple((re.compile(first, re.DOTALL), kind) for first, kind in _FIRST_BYTES)

#: Known by their first bytes, too, and not taken.
_JPEG_XL = re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n")
_CINEON = re.compile(rb"\x80\x2a\x5f\xd7|\xd7\x5f\x2a\x80")
_BIG_TIFF = re.compile(rb"II\+\0|MM\0\+")

#: Where an HEIC says that its picture is put together from tiles: an item of the type "grid".
_GRID_ITEM = re.compile(rb"infe[\x02\x03].{3}.{2}(?:.{2})?.{2}grid", re.DOTALL)

#: TIFF tags (TIFF 6.0, DNG 1.6).
_NEW_SUBFILE_TYPE, _COMPRESSION, _PHOTOMETRIC, _DNG_VERSION = 254, 259, 262, 50706
_JPEG_COMPRESSIONS, _COLOR_FILTER_ARRAY, _LINEAR_RAW = (6, 7), 32803, 34892
_TIFF_SHORT = 3

#: OpenEXR: lines in a block by the number of the compression, and flags in the version field.
_EXR_LINES = (1, 1, 1, 16, 32, 16, 32, 32, 32, 256)
_EXR_TILED_OR_DEEP_OR_PARTS = 0x1A00

_HEAD_BYTES = 1 << 16


def picture_kind(path: Path) -> PictureKind | None:
    """The kind of picture that a file holds, or None if it is none.

    Raises:
        UnreadableMediaError: missing, empty, not a regular file, or cut short.
        UnusableMediaError: it is a picture of a kind that is not taken.
    """
    check_regular_file(path)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise UnreadableMediaError(f"{one_line(path)}: cannot be read: {error.strerror}") from None
    kind = next((each for pattern, each in _PATTERNS if pattern.match(head)), None)
    look_closer = {_TIFF: _why_refused_tiff, _EXR: _why_refused_exr}
    refused = look_closer[kind](path) if kind in look_closer else _why_refused(head, kind)
    if refused:
        raise UnusableMediaError(f"{one_line(path)}: {refused}; save it as PNG, JPEG or TIFF")
    return kind


def moves(path: Path, kind: PictureKind) -> bool:
    """Does a file of that kind hold a film?"""
    if kind is _GIF or (kind is _PNG and _is_animated_png(path)):
        return _pictures_in(path, "gif" if kind is _GIF else "apng") > 1
    if kind is not _JPEG:
        return False
    with path.open("rb") as file:
        if b"MPF\0" in file.read(_HEAD_BYTES):
            return False  # CIPA DC-007: what follows belongs to the first picture
    return _pictures_in(path, kind.demuxer) > 1


def require_whole_picture(path: Path, kind: PictureKind) -> None:
    """FFmpeg decodes the half of a picture of some kinds without a word; here it is told.

    Raises:
        UnreadableMediaError: its end is missing.
    """
    check = {_JPEG: _ends_as_jpeg, _EXR: _holds_all_lines, _QOI: _ends_as_qoi, _SUN: _fills_raster}
    if kind not in check:
        return
    # Mapped, not read: a stranger's file may be larger than the memory.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        is_whole = check[kind](data)
    if not is_whole:
        raise UnreadableMediaError(
            f"{one_line(path)}: is cut short, or is still being written; copy it again"
        )


def exr_attributes(path: Path) -> dict[str, bytes]:
    """The attributes of an OpenEXR file's (first) header, by name, as they lie there."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return {name: value for name, value, _ in _walk_exr_header(head)}


def _why_refused(head: bytes, kind: PictureKind | None) -> str | None:
    if _JPEG_XL.match(head):
        return "is JPEG XL, which is not taken"
    if _CINEON.match(head):
        return "is Cineon, film log that is not taken"
    if _BIG_TIFF.match(head):
        return "is a BigTIFF, which is not taken"
    if kind is _WEBP and head[12:16] == b"VP8X" and head[20:21] and head[20] & 2:
        return "is a WebP that moves, which is not taken"
    if kind is _HEIC and _GRID_ITEM.search(head):
        return "is an HEIC whose picture is cut into tiles, which is not taken"
    return None


def _why_refused_tiff(path: Path) -> str | None:
    tags = _tiff_tags(path)
    is_raw = tags.get(_PHOTOMETRIC) in (_COLOR_FILTER_ARRAY, _LINEAR_RAW) or _DNG_VERSION in tags
    # Cameras put a thumbnail first, which is not to be taken for the picture.
    if is_raw or tags.get(_NEW_SUBFILE_TYPE, 0) & 1:
        return "is a camera's raw picture, which is to be developed first"
    if tags.get(_COMPRESSION) in _JPEG_COMPRESSIONS:
        return "is a TIFF with JPEG in it, which is not taken"
    return None


def _why_refused_exr(path: Path) -> str | None:
    window = exr_attributes(path).get("displayWindow", b"")
    if len(window) == 16 and any(window[:8]):
        # FFmpeg places the picture as if it did.
        return "is an OpenEXR whose display window does not begin at 0, 0, which is not taken"
    return None


def _tiff_tags(path: Path) -> dict[int, int]:
    """The first directory's tags that are one number each."""
    tags: dict[int, int] = {}
    with path.open("rb") as file, contextlib.suppress(struct.error):
        head = file.read(8)
        order = "<" if head[:2] == b"II" else ">"
        file.seek(*struct.unpack(order + "I", head[4:]))
        (count,) = struct.unpack(order + "H", file.read(2))
        for tag, kind, _, value in struct.iter_unpack(order + "HHI4s", file.read(12 * count)):
            short = kind == _TIFF_SHORT
            tags[tag] = struct.unpack(order + ("H" if short else "I"), value[: 2 if short else 4])[
                0
            ]
    return tags


def _is_animated_png(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    control = head.find(b"acTL")
    return 0 <= control < head.find(b"IDAT") % (len(head) + 1)


def _pictures_in(path: Path, demuxer: str) -> int:
    """How many pictures of one size follow one another, as far as two."""
    sizes: list[tuple[int, int]] = []
    try:
        with open_media(path, (demuxer,)) as container:
            frames = islice(container.decode(video=0), 2)
            sizes = [(frame.width, frame.height) for frame in frames]
    except (av.FFmpegError, IndexError, UnreadableMediaError):
        pass
    return len(sizes) if len(set(sizes)) == 1 else min(len(sizes), 1)


def _ends_as_jpeg(data: bytes | mmap.mmap) -> bool:
    """Whether an end-of-image marker follows the first scan; thumbnails come before it."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # filling
            position += 1
            continue
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0xDA:
            break
    return data.find(b"\xff\xd9", position) >= 0


def _ends_as_qoi(data: bytes | mmap.mmap) -> bool:
    return bytes(7) + b"\x01" in data[-64:]


def _fills_raster(data: bytes | mmap.mmap) -> bool:
    return len(data) >= 32 + int.from_bytes(data[16:20], "big")


def _walk_exr_header(data: bytes | mmap.mmap) -> Iterator[tuple[str, bytes, int]]:
    """Name, value and where the value ends of each attribute of the first header."""
    position = 8
    while position < len(data) and data[position]:
        name_end = data.find(b"\0", position)
        type_end = data.find(b"\0", name_end + 1)
        if min(name_end, type_end) < 0 or type_end + 5 > len(data):
            return
        (size,) = struct.unpack_from("<I", data, type_end + 1)
        end = type_end + 5 + size
        yield data[position:name_end].decode("latin-1"), data[type_end + 5 : end], end
        position = end


def _holds_all_lines(data: bytes | mmap.mmap) -> bool:
    """Whether every block of lines that the table of offsets names lies in the file."""
    flags = int.from_bytes(data[4:8], "little")
    if flags & _EXR_TILED_OR_DEEP_OR_PARTS:
        return True  # their tables are of other kinds
    header = list(_walk_exr_header(data))
    found = {name: value for name, value, _ in header}
    try:
        _, top, _, bottom = struct.unpack("<4i", found["dataWindow"])
        lines = _EXR_LINES[found["compression"][0]]
        count = -(-(bottom + 1 - top) // lines)
        offsets = struct.unpack_from(f"<{count}Q", data, header[-1][2] + 1)
        sizes = [struct.unpack_from("<I", data, offset + 4)[0] for offset in offsets]
    except (KeyError, IndexError, OverflowError, struct.error):
        return False
    ends = (offset + 8 + size for offset, size in zip(offsets, sizes, strict=True))
    return all(offsets) and max(ends, default=0) <= len(data)
