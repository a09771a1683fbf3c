"""What the samples of a picture mean: linear light, profiles, HDR, film log."""

import io
import struct
import zlib
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageCms

from pipeline.errors import UnusableMediaError
from pipeline.media.frames import decode_source
from pipeline.media.pictures import images_to_source, read_picture
from pipeline.media.probe import probe

FACE = np.array(Image.fromarray(skimage.data.astronaut()).resize((96, 96))) / 255.0

#: x and y of red, green, blue and white.
BT709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
P3 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.3290)
ACES = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)
ADOBE = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, 0.3127, 0.3290)


def linear(codes: np.ndarray) -> np.ndarray:
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)


def curved(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def to_xyz(chromaticities: tuple[float, ...]) -> np.ndarray:
    """(3, 3), by SMPTE RP 177."""
    points = np.array([(x / y, 1, (1 - x - y) / y) for x, y in np.reshape(chromaticities, (4, 2))])
    columns = points[:3].T
    return columns * np.linalg.solve(columns, points[3])


def adaptation(white: np.ndarray, to: np.ndarray) -> np.ndarray:
    cones = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    return np.linalg.inv(cones) @ np.diag((cones @ to) / (cones @ white)) @ cones


def light_in(chromaticities: tuple[float, ...]) -> np.ndarray:
    """The face's linear light in those primaries."""
    here, there = to_xyz(BT709), to_xyz(chromaticities)
    matrix = np.linalg.inv(there) @ adaptation(here.sum(1), there.sum(1)) @ here
    return linear(FACE) @ matrix.T


def exr(path: Path, rgb: np.ndarray, **attributes: tuple[str, bytes]) -> Path:
    """An OpenEXR file of half floats, without compression, as any program writes one."""
    height, width = rgb.shape[:2]
    channels = b"".join(n + b"\0" + struct.pack("<IIII", 1, 0, 1, 1) for n in (b"B", b"G", b"R"))
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    header = {
        "channels": ("chlist", channels + b"\0"),
        "compression": ("compression", b"\0"),
        "dataWindow": ("box2i", window),
        "displayWindow": ("box2i", window),
        "lineOrder": ("lineOrder", b"\0"),
        "pixelAspectRatio": ("float", struct.pack("<f", 1)),
        "screenWindowCenter": ("v2f", bytes(8)),
        "screenWindowWidth": ("float", struct.pack("<f", 1)),
        **attributes,
    }
    start = struct.pack("<II", 20000630, 2)
    for name, (kind, value) in header.items():
        start += (
            name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<I", len(value)) + value
        )
    start += b"\0"
    size = 8 + 6 * width
    offsets = [len(start) + 8 * height + size * line for line in range(height)]
    data = start + struct.pack(f"<{height}Q", *offsets)
    for line, row in enumerate(rgb.astype("<f2")):
        data += struct.pack("<ii", line, 6 * width) + row[:, ::-1].T.tobytes()
    path.write_bytes(data)
    return path


def png(path: Path, codes: np.ndarray, *chunks: tuple[bytes, bytes], deep: bool = False) -> Path:
    """A PNG with chunks of its own."""
    height, width = codes.shape[:2]
    samples = np.rint(codes * (65535 if deep else 255)).astype(">u2" if deep else "u1")
    lines = b"".join(b"\0" + row.tobytes() for row in samples)
    head = struct.pack(">IIBBBBB", width, height, 16 if deep else 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for name, value in ((b"IHDR", head), *chunks, (b"IDAT", zlib.compress(lines)), (b"IEND", b"")):
        data += struct.pack(">I", len(value)) + name + value
        data += struct.pack(">I", zlib.crc32(name + value))
    path.write_bytes(data)
    return path


def profile(chromaticities: tuple[float, ...], curve: bytes) -> bytes:
    """An ICC profile of a matrix and curves, as displays and cameras have."""
    matrix = to_xyz(chromaticities)
    matrix = adaptation(matrix.sum(1), np.array([0.9642, 1, 0.8249])) @ matrix

    def xyz(value: np.ndarray) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *np.rint(value * 65536).astype(int))

    tags = {b"wtpt": xyz(np.array([0.9642, 1, 0.8249]))}
    for number, name in enumerate((b"r", b"g", b"b")):
        tags[name + b"XYZ"], tags[name + b"TRC"] = xyz(matrix[:, number]), curve
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(
        ">I4sI4s4s4s", start + len(body), b"test", 0x04000000, b"mntr", b"RGB ", b"XYZ "
    )
    head += (
        bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D) + bytes(48)
    )
    return head + struct.pack(">I", len(tags)) + table + body


GAMMA = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(563 / 256 * 256)) + b"\0\0"
SRGB_PARAMETERS = b"para\0\0\0\0" + struct.pack(
    ">HH5i", 3, 0, *(round(n * 65536) for n in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
)
SRGB_TABLE = b"curv\0\0\0\0" + struct.pack(
    ">I1024H", 1024, *np.rint(linear(np.linspace(0, 1, 1024)) * 65535).astype(int)
)
STRAIGHT = b"curv\0\0\0\0" + struct.pack(">I", 0)


def codes_of(path: Path) -> np.ndarray:
    frame = read_picture(path)
    if frame.format.name == "rgb24":
        return frame.to_ndarray() / 255
    return frame.to_ndarray(format="rgb48le") / 65535


def iccp(data: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"name\0\0" + zlib.compress(data)


def test_linear_light_gets_the_code_values_of_its_srgb_twin(tmp_path: Path) -> None:
    assert np.abs(codes_of(exr(tmp_path / "a.exr", linear(FACE))) - FACE).max() < 0.002


def test_anamorphic_plates_stay_so(tmp_path: Path) -> None:
    said = struct.pack("<f", 2)
    exr(tmp_path / "a.exr", linear(FACE), pixelAspectRatio=("float", said))
    images_to_source(tmp_path / "a.exr", Fraction(24), tmp_path / "out.mov")
    info = probe(tmp_path / "out.mov")
    assert info.video is not None
    assert info.video.sample_aspect_ratio == 2


def test_of_a_plate_the_display_window_is_shown(tmp_path: Path) -> None:
    def window(*corners: int) -> tuple[str, bytes]:
        return "box2i", struct.pack("<4i", *corners)

    exr(tmp_path / "a.exr", linear(FACE), displayWindow=window(0, 0, 63, 79))
    assert np.abs(codes_of(tmp_path / "a.exr") - FACE[:80, :64]).max() < 0.002
    exr(tmp_path / "b.exr", linear(FACE), displayWindow=window(10, 10, 85, 85))
    with pytest.raises(UnusableMediaError, match=r"b\.exr: is an OpenEXR whose display window"):
        read_picture(tmp_path / "b.exr")


def test_light_beyond_white_and_below_black_is_clipped(tmp_path: Path) -> None:
    light = linear(FACE)
    light[:10], light[10:20], light[20:30], light[30] = 40.0, -3.0, np.inf, np.nan
    codes = codes_of(exr(tmp_path / "a.exr", light))
    assert (codes[:10] == 1).all()
    assert (codes[10:20] == 0).all()
    assert (codes[20:30] == 1).all()
    assert (codes[30] == 0).all()
    assert np.abs(codes[31:] - FACE[31:]).max() < 0.002


@pytest.mark.parametrize("primaries", [P3, ACES, BT709])
def test_chromaticities_are_honoured(tmp_path: Path, primaries: tuple[float, ...]) -> None:
    said = struct.pack("<8f", *primaries)
    path = exr(tmp_path / "a.exr", light_in(primaries), chromaticities=("chromaticities", said))
    assert np.abs(codes_of(path) - FACE).max() < 0.01


def test_floats_are_linear_light_in_whatever_file(tmp_path: Path) -> None:
    light = linear(FACE).astype("<f4")
    (tmp_path / "a.pfm").write_bytes(b"PF\n96 96\n-1.0\n" + light[::-1].tobytes())
    assert np.abs(codes_of(tmp_path / "a.pfm") - FACE).max() < 0.002
    cv2.imwrite(str(tmp_path / "a.tif"), light[:, :, ::-1])
    assert np.abs(codes_of(tmp_path / "a.tif") - FACE).max() < 0.002


def test_radiance_is_linear_light(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.hdr"), linear(FACE)[:, :, ::-1].astype(np.float32))
    assert np.abs(codes_of(tmp_path / "a.hdr") - FACE).max() < 0.05  # 8 bits and an exponent


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    ("primaries", "curve"),
    [(P3, SRGB_PARAMETERS), (P3, SRGB_TABLE), (ADOBE, GAMMA), (BT709, STRAIGHT)],
)
def test_profiles_are_honoured(
    tmp_path: Path, primaries: tuple[float, ...], curve: bytes, deep: bool
) -> None:
    light = np.clip(light_in(primaries), 0, 1)
    codes = {GAMMA: light ** (256 / 563), STRAIGHT: light}.get(curve, curved(light))
    path = png(tmp_path / "a.png", codes, iccp(profile(primaries, curve)), deep=deep)
    near = 0.06 if curve == STRAIGHT and not deep else 0.02 if not deep else 0.002
    difference = np.abs(codes_of(path) - FACE)
    assert difference.mean() < near / 5
    assert np.quantile(difference, 0.99) < near


@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_telephones_jpeg_in_display_p3_is_brought_to_srgb(
    tmp_path: Path, subsampling: int
) -> None:
    codes = np.rint(curved(np.clip(light_in(P3), 0, 1)) * 255).astype(np.uint8)
    told = profile(P3, SRGB_PARAMETERS)
    options = {"quality": 97, "subsampling": subsampling, "icc_profile": told}
    Image.fromarray(codes).save(tmp_path / "a.jpg", **options)
    # An independent opinion.
    with Image.open(tmp_path / "a.jpg") as opened:
        managed = ImageCms.profileToProfile(
            opened, ImageCms.ImageCmsProfile(io.BytesIO(told)), ImageCms.createProfile("sRGB")
        )
    difference = np.abs(codes_of(tmp_path / "a.jpg") - np.array(managed) / 255)
    assert difference.mean() < 0.01
    images_to_source(tmp_path / "a.jpg", Fraction(25), tmp_path / "out.mov")
    film = next(decode_source(tmp_path / "out.mov")).to_ndarray(format="rgb24")
    assert np.abs(film / 255 - FACE).mean() < 0.03
    assert np.abs(film.mean((0, 1)) / 255 - FACE.mean((0, 1))).max() < 0.006


def test_each_channel_may_have_a_curve_of_its_own(tmp_path: Path) -> None:
    told = profile(BT709, SRGB_PARAMETERS)
    green, straight = told.index(b"gTRC"), b"curv" + bytes(len(SRGB_PARAMETERS) - 4)
    where = struct.unpack_from(">I", told, green + 4)[0]
    told = told[:where] + straight + told[where + len(straight) :]
    codes = FACE.copy()
    codes[:, :, 1] = linear(codes[:, :, 1])
    shown = codes_of(png(tmp_path / "a.png", codes, iccp(told), deep=True))
    assert np.abs(shown - FACE).max() < 0.005


def test_an_srgb_profile_leaves_the_samples_alone(tmp_path: Path) -> None:
    told = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Image.fromarray(np.rint(FACE * 255).astype(np.uint8))
    picture.save(tmp_path / "a.jpg")
    picture.save(tmp_path / "b.jpg", icc_profile=told)
    plain, tagged = read_picture(tmp_path / "a.jpg"), read_picture(tmp_path / "b.jpg")
    assert plain.format.name == tagged.format.name == "yuv420p"
    assert all(bytes(p) == bytes(t) for p, t in zip(plain.planes, tagged.planes, strict=True))


def test_a_broken_profile_is_passed_over(tmp_path: Path) -> None:
    for broken in (b"nonsense", profile(P3, SRGB_PARAMETERS)[:200], bytes(128)):
        path = png(tmp_path / "a.png", FACE, iccp(broken))
        assert np.abs(codes_of(path) - FACE).max() < 0.003


def test_gamma_and_chromaticities_of_a_png_are_honoured(tmp_path: Path) -> None:
    def gama(value: float) -> tuple[bytes, bytes]:
        return b"gAMA", struct.pack(">I", round(value * 100000))

    def chrm(primaries: tuple[float, ...]) -> tuple[bytes, bytes]:
        numbers = (*primaries[6:], *primaries[:6])
        return b"cHRM", struct.pack(">8I", *(round(n * 100000) for n in numbers))

    light = linear(FACE)
    cases = {
        "linear": (light, [gama(1)]),
        "mac": (light ** (1 / 1.8), [gama(1 / 1.8)]),
        "p3": (curved(np.clip(light_in(P3), 0, 1)), [chrm(P3)]),
        "adobe": (curved(np.clip(light_in(ADOBE), 0, 1)), [chrm(ADOBE)]),
        "plain": (FACE, [gama(0.45455)]),
        "srgb": (FACE, [gama(0.45455), (b"sRGB", b"\0"), chrm(BT709)]),
        "cicp": (curved(np.clip(light_in(P3), 0, 1)), [(b"cICP", bytes([12, 13, 0, 1]))]),
    }
    for name, (codes, chunks) in cases.items():
        path = png(tmp_path / f"{name}.png", codes, *chunks, deep=True)
        assert np.quantile(np.abs(codes_of(path) - FACE), 0.99) < 0.004, name


@pytest.mark.parametrize(("transfer", "number"), [("PQ", 16), ("HLG", 18)])
def test_hdr_keeps_its_code_values_and_says_so(tmp_path: Path, transfer: str, number: int) -> None:
    path = png(tmp_path / "a.png", FACE, (b"cICP", bytes([9, number, 0, 1])), deep=True)
    images_to_source(path, Fraction(25), tmp_path / "out.mov")
    info = probe(tmp_path / "out.mov")
    assert info.video is not None
    color = info.video.color
    assert (color.transfer, color.primaries, color.space, color.range) == (number, 9, 9, 1)
    assert info.video.bit_depth == 10
    film = next(decode_source(tmp_path / "out.mov")).to_ndarray(format="rgb48le") / 65535
    assert np.abs(film - FACE).mean() < 0.02


def test_a_folder_is_hdr_or_it_is_not(tmp_path: Path) -> None:
    png(tmp_path / "1.png", FACE, deep=True)
    png(tmp_path / "2.png", FACE, (b"cICP", bytes([9, 16, 0, 1])), deep=True)
    with pytest.raises(UnusableMediaError, match=r"2\.png: has another transfer"):
        images_to_source(tmp_path, Fraction(25), tmp_path / "out.mov")


def dpx(path: Path, codes: np.ndarray, transfer: int) -> Path:
    """Of 16 bits, big-endian."""
    height, width = codes.shape[:2]
    head = bytearray(b"\xff" * 2048)
    struct.pack_into(
        ">4sI8sII", head, 0, b"SDPX", 2048, b"V1.0\0\0\0\0", 2048 + 6 * width * height, 1
    )
    struct.pack_into(">HHII", head, 768, 0, 1, width, height)
    struct.pack_into(
        ">IIfIfBBBBHHIII", head, 780, 0, 0, 0, 65535, 1, 50, transfer, 2, 16, 0, 0, 2048, 0, 0
    )
    path.write_bytes(bytes(head) + np.rint(codes * 65535).astype(">u2").tobytes())
    return path


def test_dpx_is_what_its_header_says(tmp_path: Path) -> None:
    for transfer in (0, 4, 5, 6, 255):
        assert np.abs(codes_of(dpx(tmp_path / "a.dpx", FACE, transfer)) - FACE).max() < 0.001
    assert np.abs(codes_of(dpx(tmp_path / "b.dpx", linear(FACE), 2)) - FACE).max() < 0.002
    for transfer in (1, 3):
        with pytest.raises(UnusableMediaError, match=r"c\.dpx: holds film log"):
            read_picture(dpx(tmp_path / "c.dpx", FACE, transfer))


def test_print_colours_are_brought_to_srgb(tmp_path: Path) -> None:
    picture = Image.fromarray(np.rint(FACE * 255).astype(np.uint8)).convert("CMYK")
    picture.save(tmp_path / "a.jpg", quality=97)
    shown = np.array(picture.convert("RGB")) / 255
    assert np.abs(codes_of(tmp_path / "a.jpg") - shown).mean() < 0.02
