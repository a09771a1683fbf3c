"""What light the samples of a picture stand for, and how that becomes a film's.

=============================================================  ====================================
a picture says                                                 in the film
=============================================================  ====================================
nothing; sRGB, BT.709, BT.601 or gamma 2.2 in whatever way     the same code values, as BT.709
linear light: OpenEXR, Radiance, PFM, PHM and all samples      sRGB's curve over it; light beyond
that are floats; gAMA 1; DPX whose header says "linear"        diffuse white (1.0) is clipped
other primaries: an ICC profile (Display P3, Adobe RGB …),     brought to BT.709; colours beyond it
cICP, nclx, cHRM, OpenEXR's ``chromaticities``                 are clipped
another curve: an ICC profile, gAMA                            brought to sRGB's
an ICC profile of tables, CMYK among them                      the same by littlecms, in 8 bits
CMYK without a profile                                         RGB as FFmpeg makes it
PQ or HLG (cICP, nclx)                                         the same code values, tagged so
film log: DPX whose header says printing density or            refused: what it looks like is not
"logarithmic"                                                  in the file
=============================================================  ====================================

sRGB's curve stands for BT.709's in the film, as it does in every still that becomes one: its code
values are kept, so linear light gets the code values that its sRGB twin has.

Sources: IEC 61966-2-1 (sRGB), ICC.1:2022 (profiles), ITU-T H.273 (numbers of primaries and
transfers), SMPTE ST 268 (DPX), OpenEXR's technical introduction.
"""

import contextlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange
from numpy.typing import NDArray
from PIL import Image, ImageCms

from pipeline.errors import UnusableMediaError
from pipeline.media.info import UNSPECIFIED
from pipeline.media.opening import one_line
from pipeline.media.picture_kinds import PictureKind, exr_attributes
from pipeline.media.planes import bit_depth, plane_array
from pipeline.media.sidedata import side_data

Floats = NDArray[np.floating[Any]]
Curve = Callable[[Floats], Floats]

#: Transfers of ITU-T H.273.
_GAMMA_28, _LINEAR, _LOGS = 5, 8, (9, 10)
HDR_TRANSFERS = (16, 18)

#: x and y of red, green, blue and white, by H.273's number.
_PRIMARIES = {
    1: (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, 0.3127, 0.3290),
    4: (0.670, 0.330, 0.210, 0.710, 0.140, 0.080, 0.310, 0.316),
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, 0.310, 0.316),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290),
}

#: DPX's transfer characteristics, one byte of the first image element.
_DPX_TRANSFER_AT, _DPX_PRINTING_DENSITY, _DPX_LINEAR, _DPX_LOG = 801, 1, 2, 3

#: What Pillow may take a picture for; it would start other programs for some.
_MANAGED_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "JPEG2000", "AVIF", "PSD", "GIF", "BMP")

#: How far from sRGB a picture may be and count as sRGB: of the matrix, and of code values of 0…1.
_SAME_MATRIX, _SAME_CODES = 0.01, 2.5 / 255

_PEAK = 65535
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def _srgb_to_linear(codes: Floats) -> Floats:
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)


def _linear_to_srgb(light: Floats) -> Floats:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def _same(codes: Floats) -> Floats:
    return codes


_SRGB_CODES = np.rint(_PEAK * _linear_to_srgb(np.arange(_PEAK + 1) / _PEAK)).astype(np.uint16)


@dataclass(frozen=True)
class Light:
    """``curves`` make linear light of R, G, B of 0…1, ``matrix`` (3, 3) BT.709 of that."""

    curves: tuple[Curve, ...]
    matrix: Floats | None = None

    @property
    def is_srgb(self) -> bool:
        """Is it so near to sRGB that the code values may stay?"""
        codes = np.linspace(0, 1, 256)
        shown = [_linear_to_srgb(curve(codes)) for curve in self.curves]
        matrix = np.eye(3) if self.matrix is None else self.matrix
        is_near = np.abs(np.array(shown) - codes).max() < _SAME_CODES
        return bool(is_near and np.abs(matrix - np.eye(3)).max() < _SAME_MATRIX)


def in_film_light(frame: av.VideoFrame, path: Path, kind: PictureKind) -> av.VideoFrame:
    """The frame with the code values that it has in a film: itself, or RGB of 16 bits.

    Args:
        frame: as decoded.
        path: of the picture.
        kind: of it.

    Raises:
        UnusableMediaError: it is film log.
    """
    if frame.color_trc in HDR_TRANSFERS:
        return frame
    profile = _profile_of(frame, path, kind)
    if profile is not None and _is_of_tables(profile):
        return _managed(path, profile) or frame
    light = _profile_light(profile) if profile is not None else None
    light = light or _told_light(frame, path, kind)
    with np.errstate(all="ignore"):
        return frame if light.is_srgb else _converted(frame, light)


def _converted(frame: av.VideoFrame, light: Light) -> av.VideoFrame:
    linear = _apply_curves(_code_values(frame), light.curves)
    if light.matrix is not None:
        linear = linear @ light.matrix.T.astype(np.float32)
    steps = np.clip(np.nan_to_num(linear, nan=0.0, posinf=1.0), 0, 1) * _PEAK + 0.5
    return av.VideoFrame.from_ndarray(_SRGB_CODES[steps.astype(np.uint16)], format="rgb48le")


def is_float(frame: av.VideoFrame) -> bool:
    """Are its samples floats?"""
    return frame.format.name.removesuffix("le").removesuffix("be").endswith(("f32", "f16"))


def _profile_of(frame: av.VideoFrame, path: Path, kind: PictureKind) -> bytes | None:
    if kind.name != "PNG":
        return side_data(frame, "ICC_PROFILE")
    return _png_info(path).get("icc_profile")


def _png_info(path: Path) -> dict[str, Any]:
    """What a PNG says outside its samples, where FFmpeg does not hand it on."""
    try:
        with Image.open(path, formats=("PNG",)) as opened:
            return {str(name): value for name, value in opened.info.items()}
    except (OSError, ValueError, SyntaxError):
        return {}  # it is damaged there, and FFmpeg took no offence


def _told_light(frame: av.VideoFrame, path: Path, kind: PictureKind) -> Light:
    """What the file says outside a profile."""
    transfer = _dpx_transfer(path) if kind.name == "DPX" else frame.color_trc
    if transfer in _LOGS:
        raise UnusableMediaError(
            f"{one_line(path)}: holds film log, and what it is to look like is not in the file;"
            " convert it to Rec. 709 first, with the film's lookup table"
        )
    curve: Curve = _srgb_to_linear
    if transfer == _LINEAR or is_float(frame):
        curve = _same
    elif transfer == _GAMMA_28:
        curve = _power(2.8)
    elif kind.name == "PNG" and transfer == UNSPECIFIED and "gamma" in frame.metadata:
        with contextlib.suppress(ValueError, ZeroDivisionError):
            curve = _power(float(1 / Fraction(frame.metadata["gamma"])))
    return Light((curve,) * 3, _told_matrix(frame, path, kind))


def _told_matrix(frame: av.VideoFrame, path: Path, kind: PictureKind) -> Floats | None:
    chromaticities = _PRIMARIES.get(frame.color_primaries)
    if kind.name == "OpenEXR":
        raw = exr_attributes(path).get("chromaticities", b"")
        chromaticities = struct.unpack("<8f", raw) if len(raw) == 32 else None
    elif kind.name == "PNG" and frame.color_primaries == UNSPECIFIED:
        white_first = _png_info(path).get("chromaticity")
        chromaticities = white_first and (*white_first[2:], *white_first[:2])
    if not chromaticities:
        return None
    with np.errstate(all="ignore"):
        try:
            return _to_bt709(_to_xyz(chromaticities))
        except (np.linalg.LinAlgError, ZeroDivisionError):
            return None  # no primaries at all, as all zeros are


def _dpx_transfer(path: Path) -> int:
    with path.open("rb") as file:
        file.seek(_DPX_TRANSFER_AT)
        said = file.read(1)[0]
    if said in (_DPX_PRINTING_DENSITY, _DPX_LOG):
        return _LOGS[0]
    return _LINEAR if said == _DPX_LINEAR else UNSPECIFIED


def _power(exponent: float) -> Curve:
    return lambda codes: np.maximum(codes, 0) ** exponent


def _white(x: float, y: float) -> Floats:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _to_xyz(chromaticities: tuple[float, ...]) -> Floats:
    """(3, 3): CIE XYZ of linear RGB with these primaries and white."""
    points = np.array(chromaticities).reshape(4, 2)
    columns = np.stack([_white(x, y) for x, y in points[:3]], axis=1)
    scaled: Floats = columns * np.linalg.solve(columns, _white(*points[3]))
    return scaled


def _adapt(white: Floats) -> Floats:
    """(3, 3): brings XYZ from that white to BT.709's, as Bradford has it."""
    cones = (_BRADFORD @ _white(*_PRIMARIES[1][6:])) / (_BRADFORD @ white)
    adapted: Floats = np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD
    return adapted


def _to_bt709(to_xyz: Floats) -> Floats | None:
    """(3, 3): BT.709 of linear RGB, from the matrix that makes XYZ of it; None of an absurd one."""
    # White is what the three make together.
    matrix: Floats = np.linalg.inv(_to_xyz(_PRIMARIES[1])) @ _adapt(to_xyz.sum(axis=1)) @ to_xyz
    return matrix if np.isfinite(matrix).all() else None


def _code_values(frame: av.VideoFrame) -> Floats:
    """(h, w, 3) float32: RGB, 1.0 being the peak."""
    if not is_float(frame):
        # swscale widens 8 bits inexactly.
        narrow = frame.format.is_rgb and bit_depth(frame.format.name) == 8
        wanted, peak = ("rgb24", 255) if narrow else ("rgb48le", _PEAK)
        codes = frame.to_ndarray(format=wanted, dst_color_range=ColorRange.JPEG)
        return codes.astype(np.float32) / peak
    name = frame.format.name
    if name.startswith(("gbr", "gray")):
        # In place: NumPy knows half floats, PyAV does not.
        kind = np.dtype(np.float16 if "f16" in name else np.float32)
        kind = kind.newbyteorder(">" if name.endswith("be") else "<")
        planes = [plane_array(plane, kind) for plane in frame.planes]
        order = (2, 0, 1) if name.startswith("gbr") else (0, 0, 0)
        return np.stack([planes[i] for i in order], axis=2).astype(np.float32)
    return np.asarray(frame.to_ndarray()[:, :, :3], np.float32)


def _apply_curves(codes: Floats, curves: tuple[Curve, ...]) -> Floats:
    if all(curve is _same for curve in curves):
        return codes  # beyond 0…1, too, which a matrix may bring back
    steps = (np.clip(np.nan_to_num(codes), 0, 1) * _PEAK + 0.5).astype(np.uint16)
    ramp = np.arange(_PEAK + 1) / _PEAK
    tables = {curve: curve(ramp).astype(np.float32) for curve in curves}
    return np.stack([tables[c][steps[:, :, i]] for i, c in enumerate(curves)], axis=2)


# --- ICC profiles -----------------------------------------------------------------------------


def _profile_tags(profile: bytes) -> dict[bytes, bytes]:
    tags = {}
    with contextlib.suppress(struct.error):
        (count,) = struct.unpack_from(">I", profile, 128)
        for entry in range(132, 132 + 12 * min(count, 200), 12):
            name, start, size = struct.unpack_from(">4sII", profile, entry)
            tags[name] = profile[start : start + size]
    return tags


def _is_of_tables(profile: bytes) -> bool:
    space, tags = profile[16:20], _profile_tags(profile)
    if space == b"GRAY":
        return b"kTRC" not in tags
    return space != b"RGB " or not {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"} <= {*tags}


def _profile_light(profile: bytes) -> Light | None:
    """Of a profile of curves and a matrix; None where it is broken, which viewers pass over."""
    tags = _profile_tags(profile)
    try:
        if profile[16:20] == b"GRAY":
            return Light((_profile_curve(tags[b"kTRC"]),) * 3)
        columns = [struct.unpack_from(">3i", tags[n], 8) for n in (b"rXYZ", b"gXYZ", b"bXYZ")]
        curves = [_profile_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")]
    except (KeyError, struct.error, ValueError, ZeroDivisionError):
        return None
    with np.errstate(all="ignore"):
        matrix = _to_bt709(np.array(columns).T / 65536)
    return None if matrix is None else Light(tuple(curves), matrix)


def _profile_curve(tag: bytes) -> Curve:
    """ICC.1:2022, 10.6 (curveType) and 10.18 (parametricCurveType)."""
    if tag[:4] == b"para":
        return _parametric_curve(tag)
    (count,) = struct.unpack_from(">I", tag, 8)
    values = np.frombuffer(tag, ">u2", count, 12)
    if count == 0:
        return _same
    if count == 1:
        return _power(values[0] / 256)
    return lambda codes: np.interp(codes, np.linspace(0, 1, count), values / 65535)


def _parametric_curve(tag: bytes) -> Curve:
    (function,) = struct.unpack_from(">H", tag, 8)
    lengths = (1, 3, 4, 5, 7)
    if function >= len(lengths):
        raise ValueError(f"parametric curve {function}")
    numbers = [n / 65536 for n in struct.unpack_from(f">{lengths[function]}i", tag, 12)]
    g, a, b, c, d, e, f = numbers + [0.0] * (7 - len(numbers))
    if function == 0:
        return _power(g)
    if function in (1, 2):  # below -b/a it is flat
        c, d, e, f = 0.0, -b / a, c, c
    # From type 3 on: (aX + b)^g + e from d on, cX + f below.
    return lambda codes: np.where(codes >= d, np.maximum(a * codes + b, 0) ** g + e, c * codes + f)


def _managed(path: Path, profile: bytes) -> av.VideoFrame | None:
    """The picture in sRGB by littlecms; None where that cannot use the profile on it."""
    try:
        with Image.open(path, formats=_MANAGED_FORMATS) as opened:
            converted = ImageCms.profileToProfile(
                opened,
                ImageCms.ImageCmsProfile(BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
            )
    except (OSError, ValueError, SyntaxError, ImageCms.PyCMSError):
        return None
    return None if converted is None else av.VideoFrame.from_ndarray(np.asarray(converted), "rgb24")
