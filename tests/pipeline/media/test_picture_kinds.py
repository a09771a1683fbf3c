"""What kind of picture a file is: by its first bytes, whatever its name; and what is refused."""

import contextlib
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageCms

from pipeline.errors import InputError, UnreadableMediaError, UnusableMediaError
from pipeline.media.frames import decode_source
from pipeline.media.picture_kinds import picture_kind
from pipeline.media.pictures import images_to_source, is_pictures, read_picture
from pipeline.media.probe import probe
from pipeline.running.commands import run
from tests.patience import LONG_SECONDS

#: Far above the two kilobytes of which FFmpeg guesses a format.
FACE = Image.fromarray(skimage.data.astronaut()).resize((256, 192))


def mean_of(path: Path) -> np.ndarray:
    rgb: np.ndarray = read_picture(path).to_ndarray(format="rgb24").mean((0, 1))
    return rgb


def jpeg(tmp_path: Path, name: str = "a.jpg", **options: object) -> bytes:
    path = tmp_path / name
    FACE.save(path, "JPEG", quality=90, **options)
    return path.read_bytes()


def with_segment(data: bytes, marker: int, payload: bytes) -> bytes:
    """The JPEG with another segment in front of all others."""
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload + data[2:]


@pytest.mark.parametrize(
    "name", ["a.jpg", "a.JPG", "a.jpeg", "a.png", "shot%03d.jpg", "a", "a.mp4"]
)
def test_a_jpeg_is_one_by_whatever_name(tmp_path: Path, name: str) -> None:
    assert len(jpeg(tmp_path, name)) > 8000
    assert is_pictures(tmp_path / name)
    images_to_source(tmp_path / name, Fraction(25), tmp_path / "out.mov")
    assert len(list(decode_source(tmp_path / "out.mov"))) == 1


@pytest.mark.parametrize(
    ("marker", "payload"),
    [
        (0xFE, b"a comment"),
        (0xEE, b"Adobe\0\x64\0\0\0\0\1"),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"),
        (0xED, b"Photoshop 3.0\0"),
        (0xEB, bytes(5000)),
        (0xE1, b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"),
    ],
)
def test_whatever_marker_comes_first(tmp_path: Path, marker: int, payload: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(with_segment(jpeg(tmp_path), marker, payload))
    assert is_pictures(tmp_path / "a.jpg")
    assert np.abs(mean_of(tmp_path / "a.jpg") - np.array(FACE).mean((0, 1))).max() < 2


def test_what_follows_a_jpeg_is_no_film(tmp_path: Path) -> None:
    data = jpeg(tmp_path)
    (tmp_path / "padded.jpg").write_bytes(data + bytes(4000))
    (tmp_path / "motion.jpg").write_bytes(data + b"\0\0\0\x18ftypmp42" + bytes(3000))
    FACE.save(tmp_path / "mpo.jpg", "MPO", save_all=True, append_images=[FACE.rotate(90)])
    small = tmp_path / "gain.jpg"
    FACE.resize((64, 48)).save(small, "JPEG")
    small.write_bytes(data + small.read_bytes())
    for name in ("padded", "motion", "mpo", "gain"):
        assert is_pictures(tmp_path / f"{name}.jpg")
        assert read_picture(tmp_path / f"{name}.jpg").width == 256


@pytest.mark.parametrize("name", ["a.mjpeg", "a.jpg", "a.mjpg"])
def test_motion_jpeg_is_a_film_by_whatever_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(jpeg(tmp_path) * 5)
    assert not is_pictures(tmp_path / name)
    info = probe(tmp_path / name)
    assert info.video is not None
    assert info.video.codec == "mjpeg"
    assert len(list(decode_source(tmp_path / name))) == 5


@pytest.mark.parametrize(("name", "kind"), [("a.gif", "GIF"), ("a.png", "PNG")])
def test_what_moves_is_a_film_and_what_stands_a_picture(
    tmp_path: Path, name: str, kind: str
) -> None:
    still, moving = tmp_path / name, tmp_path / f"b{name}"
    FACE.save(still)
    FACE.save(moving, save_all=True, append_images=[FACE.rotate(5), FACE.rotate(9)], duration=40)
    found = picture_kind(still)
    assert found is not None
    assert found.name == kind
    assert is_pictures(still)
    assert not is_pictures(moving)
    assert len(list(decode_source(moving))) == 3


@pytest.mark.parametrize(
    ("mode", "name", "options"),
    [
        ("L", "gray.jpg", {}),
        ("CMYK", "cmyk.jpg", {}),
        ("RGB", "progressive.jpg", {"progressive": True}),
        ("RGB", "rgb.jpg", {"keep_rgb": True}),
        ("RGB", "full.jpg", {"subsampling": 0}),
        ("P", "palette.png", {}),
        ("LA", "gray_alpha.png", {}),
        ("1", "bits.png", {}),
        ("RGBA", "alpha.webp", {"lossless": True}),
        ("RGB", "lossy.webp", {}),
        ("RGB", "a.bmp", {}),
        ("RGB", "lzw.tif", {"compression": "tiff_lzw"}),
        ("CMYK", "cmyk.tif", {}),
        ("RGB", "pages.tif", {"save_all": True, "append_images": [FACE.rotate(90)]}),
        ("RGB", "a.jp2", {}),
        ("RGB", "a.avif", {}),
        ("RGB", "a.ppm", {}),
        ("RGB", "a.sgi", {}),
        ("P", "a.gif", {}),
    ],
)
def test_a_still_is_read_rightly(
    tmp_path: Path, mode: str, name: str, options: dict[str, object]
) -> None:
    picture = FACE.convert(mode)
    picture.save(tmp_path / name, **options)
    path = (tmp_path / name).rename(tmp_path / "named.wrongly")
    assert is_pictures(path)
    shown = np.array(picture.convert("RGB")).mean((0, 1))
    assert np.abs(mean_of(path) - shown).max() < 3
    images_to_source(path, Fraction(25), tmp_path / "out.mov")
    film = next(decode_source(tmp_path / "out.mov")).to_ndarray(format="rgb24").mean((0, 1))
    assert np.abs(film - shown).max() < 4


@pytest.mark.parametrize("suffix", ["dpx", "exr", "hdr", "pfm", "qoi", "ras", "pam", "pgm"])
def test_ffmpegs_own_stills_are_read(tmp_path: Path, ffmpeg: str, suffix: str) -> None:
    FACE.save(tmp_path / "a.png")
    path = tmp_path / f"b.{suffix}"
    run([ffmpeg, "-v", "error", "-i", str(tmp_path / "a.png"), str(path)], timeout=LONG_SECONDS)
    assert is_pictures(path)
    assert read_picture(path).width == 256


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp", "a.bmp", "a.avif", "a.jp2"])
def test_a_half_copied_picture_is_refused_by_name(tmp_path: Path, name: str) -> None:
    FACE.save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    for share in (0.5, 0.9, 0.999):
        (tmp_path / name).write_bytes(data[: int(len(data) * share)])
        with pytest.raises(UnreadableMediaError, match=name):
            read_picture(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.exr", []), ("a.exr", ["-compression", "zip16"]), ("a.qoi", []), ("a.ras", [])],
)
def test_what_ffmpeg_decodes_by_half_is_refused_too(
    tmp_path: Path, ffmpeg: str, name: str, options: list[str]
) -> None:
    FACE.save(tmp_path / "a.png")
    files = (str(tmp_path / "a.png"), str(tmp_path / name))
    run([ffmpeg, "-v", "error", "-i", files[0], *options, files[1]], timeout=LONG_SECONDS)
    data = (tmp_path / name).read_bytes()
    read_picture(tmp_path / name)
    for share in (0.02, 0.5, 0.9, 0.999):
        (tmp_path / name).write_bytes(data[: int(len(data) * share)])
        with pytest.raises(UnreadableMediaError, match="cut short"):
            read_picture(tmp_path / name)


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (b"\xff\x0a" + bytes(100), "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100), "JPEG XL"),
        (b"\x80\x2a\x5f\xd7" + bytes(2000), "Cineon"),
        (b"II+\0\x08\0\0\0" + bytes(100), "BigTIFF"),
        (
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\1\0meta\0\0\0\0"
            b"\0\0\0\x15infe\x02\0\0\0\0\x31\0\0grid\0",
            "tiles",
        ),
    ],
)
def test_what_no_decoder_reads_rightly_is_refused_as_what_it_is(
    tmp_path: Path, first: bytes, words: str
) -> None:
    (tmp_path / "a.png").write_bytes(first)
    with pytest.raises(UnusableMediaError, match=f"{words}.*save it as PNG"):
        is_pictures(tmp_path / "a.png")


def test_tiffs_that_decoders_get_wrong_are_refused(tmp_path: Path) -> None:
    FACE.save(tmp_path / "a.tif", compression="jpeg")
    with pytest.raises(UnusableMediaError, match="TIFF with JPEG in it"):
        is_pictures(tmp_path / "a.tif")
    FACE.save(tmp_path / "a.dng", "TIFF", tiffinfo={50706: 1})
    with pytest.raises(UnusableMediaError, match="camera's raw picture"):
        is_pictures(tmp_path / "a.dng")
    FACE.save(tmp_path / "a.nef", "TIFF", tiffinfo={254: 1})
    with pytest.raises(UnusableMediaError, match="camera's raw picture"):
        is_pictures(tmp_path / "a.nef")


def test_a_webp_that_moves_is_refused(tmp_path: Path) -> None:
    FACE.save(tmp_path / "a.webp", save_all=True, append_images=[FACE.rotate(9)])
    with pytest.raises(UnusableMediaError, match="WebP that moves"):
        is_pictures(tmp_path / "a.webp")


def test_damage_anywhere_is_an_input_error(tmp_path: Path, ffmpeg: str) -> None:
    """Pictures come from strangers; whatever is in one is its own fault."""
    random = np.random.default_rng(12)
    exif = Image.Exif()
    exif[0x0112] = 6
    small = FACE.resize((40, 32))
    told = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    small.save(tmp_path / "base.png")
    for name in ("a.jpg", "a.png", "a.tif", "a.webp", "a.avif", "a.gif", "a.bmp"):
        small.save(tmp_path / name, exif=exif, icc_profile=told)
    for name in ("a.exr", "a.dpx", "a.qoi", "a.hdr", "a.ras", "a.pfm"):
        run(
            [ffmpeg, "-v", "error", "-i", str(tmp_path / "base.png"), str(tmp_path / name)],
            timeout=LONG_SECONDS,
        )
    for path in sorted(tmp_path.glob("a.*")):
        data = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(40):
            hurt = data.copy()
            # Most of what can go wrong lies in the first kilobyte.
            places = random.integers(4, min(len(hurt), 1000), 6)
            hurt[places] = random.integers(0, 256, 6)
            path.write_bytes(hurt.tobytes()[: int(random.integers(40, len(hurt) + 1))])
            with contextlib.suppress(InputError):
                if is_pictures(path):
                    read_picture(path)


def box(name: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I", 8 + len(data)) + name + data


def heic(path: Path, picture: Image.Image, quarter_turns: int) -> Path:
    """An HEIC of one piece (ISO/IEC 23008-12), turned by quarters counter-clockwise."""
    with av.open(str(path), "w", format="mp4") as container:
        options = {"x265-params": "log-level=none:bframes=0:repeat-headers=0"}
        stream = container.add_stream("libx265", rate=1, options=options)
        stream.width, stream.height, stream.pix_fmt = *picture.size, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.array(picture), "rgb24")
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)
    film = path.read_bytes()
    configuration = film.index(b"hvcC") - 4
    (size,) = struct.unpack_from(">I", film, configuration)
    hvcc = film[configuration : configuration + size]
    data_at = film.index(b"mdat") - 4
    (size,) = struct.unpack_from(">I", film, data_at)
    sample = film[data_at + 8 : data_at + size]
    head = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    properties = [
        hvcc,
        box(b"ispe", bytes(4), struct.pack(">II", *picture.size)),
        box(b"irot", bytes([quarter_turns])),
    ]

    def meta(offset: int) -> bytes:
        location = struct.pack(">BBHHHHII", 0x44, 0, 1, 1, 0, 1, offset, len(sample))
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", bytes(4), b"\0\1"),
            box(b"iloc", bytes(4), location),
            box(b"iinf", bytes(4), b"\0\1", box(b"infe", b"\2\0\0\0\0\1\0\0hvc1\0")),
            box(
                b"iprp",
                box(b"ipco", *properties),
                box(b"ipma", bytes(4), struct.pack(">IHB", 1, 1, 3), bytes([0x81, 0x02, 0x83])),
            ),
        )

    start = len(head) + len(meta(0)) + 8
    path.write_bytes(head + meta(start) + box(b"mdat", sample))
    return path


@pytest.mark.parametrize("quarter_turns", range(4))
def test_an_heic_of_one_piece_comes_upright(tmp_path: Path, quarter_turns: int) -> None:
    upright = np.array(FACE, float)
    lying = Image.fromarray(np.rot90(np.array(FACE), -quarter_turns).copy())
    path = heic(tmp_path / "a.HEIC", lying, quarter_turns)
    assert is_pictures(path)
    film = read_picture(path).to_ndarray(format="rgb24").astype(float)
    assert film.shape == upright.shape
    assert np.abs(film - upright).mean() < 6
