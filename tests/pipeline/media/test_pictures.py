"""Still images and folders of frames as a source, and frames written as PNG."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageOps

from pipeline.errors import UnreadableMediaError, UnusableMediaError
from pipeline.media.frames import decode_source, plane_arrays
from pipeline.media.pictures import (
    images_to_source,
    is_pictures,
    list_pictures,
    numbering_gaps,
    read_picture,
    write_picture,
)
from pipeline.media.probe import probe


def picture(width: int = 64, height: int = 48, shade: int = 0) -> np.ndarray:
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.dstack([across, down, np.full_like(across, shade)]).astype(np.uint8)


def face(width: int = 160, height: int = 96) -> Image.Image:
    """Nothing in it is symmetrical."""
    return Image.fromarray(skimage.data.astronaut()).resize((width, height))


def frame_of(path: Path) -> av.VideoFrame:
    return next(decode_source(path))


def test_a_picture_comes_back_as_it_was(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), picture())
    images_to_source(tmp_path / "a.png", Fraction(25), tmp_path / "out.mkv")
    info = probe(tmp_path / "out.mkv")
    assert info.video is not None
    assert info.video.frame_rate == 25
    assert info.video.planar_format == "yuv420p"
    assert info.video.color.space == 1
    write_picture(frame_of(tmp_path / "out.mkv"), tmp_path / "back.png")
    back = cv2.imread(str(tmp_path / "back.png"))
    assert back is not None
    assert np.abs(back.astype(int) - picture()).mean() < 3  # chroma at half size


def test_jpeg_samples_are_kept_to_the_bit(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), picture())
    with av.open(str(tmp_path / "a.jpg")) as container:
        original = next(container.decode(video=0))
        luma = original.planes[0]
        lines = np.frombuffer(luma, np.uint8).reshape(-1, luma.line_size)
        expected = lines[:, :64].tobytes()  # lines are padded
    images_to_source(tmp_path / "a.jpg", Fraction(25), tmp_path / "out.mov")
    info = probe(tmp_path / "out.mov")
    assert info.video is not None
    assert info.video.color.range == 2
    got = [plane.tobytes() for plane in plane_arrays(frame_of(tmp_path / "out.mov"))]
    assert [len(p) for p in got] == [64 * 48, 32 * 24, 32 * 24]
    assert got[0] == expected


@pytest.mark.parametrize(("ending", "location"), [("jpg", 2), ("png", 1)])
def test_chroma_samples_lie_where_the_picture_has_them(
    ending: str, location: int, tmp_path: Path
) -> None:
    """JPEG: in the middle of four pixels; what becomes YUV here: at the left of two."""
    cv2.imwrite(str(tmp_path / f"a.{ending}"), picture())
    images_to_source(tmp_path / f"a.{ending}", Fraction(25), tmp_path / "out.mov")
    video = probe(tmp_path / "out.mov").video
    assert video is not None
    assert video.chroma_location == location


def test_frames_are_taken_in_a_persons_order_at_the_exact_rate(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in (10, 2, 1):
        cv2.imwrite(str(folder / f"frame{number}.png"), np.full((16, 16, 3), number * 20, np.uint8))
    (folder / "notes.txt").write_text("not a picture")
    images_to_source(folder, Fraction(24000, 1001), tmp_path / "out.mov")
    frames = list(decode_source(tmp_path / "out.mov"))
    means = [float(plane_arrays(f)[0].mean()) for f in frames]
    assert means == sorted(means)
    times = [(f.pts or 0) * f.time_base for f in frames if f.time_base]
    assert times == [Fraction(1001, 24000) * i for i in range(3)]


def test_odd_sizes_keep_every_pixel(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), picture(33, 21))
    images_to_source(tmp_path / "a.png", Fraction(25), tmp_path / "out.mov")
    frame = frame_of(tmp_path / "out.mov")
    assert (frame.width, frame.height, frame.format.name) == (33, 21, "yuv444p")


def test_pictures_of_other_size_are_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    cv2.imwrite(str(folder / "1.png"), picture(32, 32))
    cv2.imwrite(str(folder / "2.png"), picture(32, 48))
    with pytest.raises(UnusableMediaError, match=r"2\.png: is 32×48"):
        images_to_source(folder, Fraction(25), tmp_path / "out.mov")


def test_what_is_no_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("hello")
    assert not is_pictures(tmp_path / "a.png")
    assert not is_pictures(tmp_path / "missing.png")
    assert is_pictures(tmp_path)
    with pytest.raises(UnreadableMediaError):
        images_to_source(tmp_path / "a.png", Fraction(25), tmp_path / "out.mov")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnusableMediaError, match="holds no pictures"):
        images_to_source(tmp_path / "empty", Fraction(25), tmp_path / "out.mov")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_come_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    if suffix == "tif":
        face().save(path, tiffinfo={0x0112: orientation})
    else:
        face().save(path, exif=exif, quality=95)
    with Image.open(path) as opened:
        shown = np.array(ImageOps.exif_transpose(opened).convert("RGB"), float)
    images_to_source(path, Fraction(25), tmp_path / "out.mov")
    info = probe(tmp_path / "out.mov")
    assert info.video is not None
    assert info.video.rotation == 0
    film = frame_of(tmp_path / "out.mov").to_ndarray(format="rgb24").astype(float)
    assert film.shape == shown.shape
    assert np.abs(film - shown).mean() < 4
    for other in (shown[::-1], shown[:, ::-1], shown[::-1, ::-1]):
        assert np.abs(film - other).mean() > 20


def test_turned_jpegs_keep_their_samples(tmp_path: Path) -> None:
    exif = Image.Exif()
    face().save(tmp_path / "a.jpg")
    exif[0x0112] = 6
    face().save(tmp_path / "b.jpg", exif=exif)
    straight, turned = (plane_arrays(read_picture(tmp_path / n)) for n in ("a.jpg", "b.jpg"))
    for before, after in zip(straight, turned, strict=True):
        assert np.array_equal(np.rot90(before, -1), after)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_chroma_of_any_subsampling_is_turned(tmp_path: Path, subsampling: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    face().save(tmp_path / "a.jpg", exif=exif, quality=95, subsampling=subsampling)
    images_to_source(tmp_path / "a.jpg", Fraction(25), tmp_path / "out.mov")
    film = frame_of(tmp_path / "out.mov").to_ndarray(format="rgb24").astype(float)
    assert np.abs(film - np.rot90(np.array(face(), float))).mean() < 4


def test_frames_of_one_folder_may_lie_differently(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    upright = face()
    for number, orientation in enumerate((1, 6, 3, 8)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        lying = {1: 0, 6: 90, 3: 180, 8: 270}[orientation]
        upright.rotate(lying, expand=True).save(folder / f"{number}.jpg", exif=exif, quality=95)
    images_to_source(folder, Fraction(25), tmp_path / "out.mov")
    for frame in decode_source(tmp_path / "out.mov"):
        film = frame.to_ndarray(format="rgb24").astype(float)
        assert np.abs(film - np.array(upright, float)).mean() < 4


def test_hidden_files_and_folders_are_left_alone(tmp_path: Path) -> None:
    for number in (1, 2):
        face().save(tmp_path / f"f_{number:04d}.PNG")
        (tmp_path / f"._f_{number:04d}.PNG").write_bytes(
            b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(4000)
        )
    (tmp_path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (tmp_path / ".f_0003.PNG.Xy12").write_bytes(b"half")
    (tmp_path / ".hidden.png").write_bytes(b"half")
    (tmp_path / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / "sound.wav").write_bytes(b"RIFF")
    (tmp_path / "README.txt").write_text("frames")
    (tmp_path / "older.png").mkdir()
    (tmp_path / "proxies").mkdir()
    face().save(tmp_path / "proxies" / "f_0003.png")
    assert [path.name for path in list_pictures(tmp_path)] == ["f_0001.PNG", "f_0002.PNG"]


def test_frames_may_be_links_and_a_broken_one_is_told(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "frames", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    for number in (1, 2):
        face().save(elsewhere / f"{number}.png")
        (folder / f"{number}.png").symlink_to(elsewhere / f"{number}.png")
    images_to_source(folder, Fraction(25), tmp_path / "out.mov")
    assert len(list(decode_source(tmp_path / "out.mov"))) == 2
    (elsewhere / "2.png").unlink()
    with pytest.raises(UnreadableMediaError, match=r"2\.png: no such file"):
        images_to_source(folder, Fraction(25), tmp_path / "out.mov")


@pytest.mark.parametrize(("size", "words"), [(0, "is empty"), (3000, "3.png: ")])
def test_a_frame_that_is_not_all_there_is_told(tmp_path: Path, size: int, words: str) -> None:
    for number in (1, 2, 3):
        face().save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes((tmp_path / "3.png").read_bytes()[:size])
    with pytest.raises(UnreadableMediaError, match=words):
        images_to_source(tmp_path, Fraction(25), tmp_path / "out.mov")


def test_frames_of_several_formats_look_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    face().save(folder / "1.jpg", quality=95)
    face().save(folder / "2.png")
    cv2.imwrite(str(folder / "3.png"), np.array(face(), np.uint16)[:, :, ::-1] * 257)
    face().save(folder / "4.tif")
    face().save(folder / "5.jpg", quality=95, subsampling=0)
    face().save(folder / "6.webp", quality=95)
    images_to_source(folder, Fraction(25), tmp_path / "out.mov")
    shown = [
        f.to_ndarray(format="rgb24").astype(float) for f in decode_source(tmp_path / "out.mov")
    ]
    assert len(shown) == 6
    for film in shown:
        assert np.abs(film - np.array(face(), float)).mean() < 4
        assert np.abs(film.mean((0, 1)) - np.array(face(), float).mean((0, 1))).max() < 2


@pytest.mark.parametrize(
    ("width", "height", "words"), [(8160, 6120, "the limit is"), (40, 12, "no face fits")]
)
def test_a_size_that_no_film_may_have_is_refused(
    tmp_path: Path, width: int, height: int, words: str
) -> None:
    Image.new("L", (width, height)).save(tmp_path / "a.png")
    with pytest.raises(UnusableMediaError, match=f"is {width}×{height}; {words}"):
        images_to_source(tmp_path / "a.png", Fraction(25), tmp_path / "out.mov")
    assert not (tmp_path / "out.mov").exists()


def test_missing_frames_are_told(tmp_path: Path) -> None:
    def gaps(*names: str) -> tuple[str, ...]:
        return numbering_gaps([tmp_path / name for name in names])

    assert gaps("f_0001.png", "f_0002.png", "f_0004.png", "f_0005.png") == (
        "between f_0002.png and f_0004.png frames seem to be missing",
    )
    assert len(gaps("1.png", "2.png", "4.png", "5.png", "6.png", "9.png")) == 2
    assert gaps("f_0001.png", "f_0003.png", "f_0005.png") == ()  # on twos
    assert gaps("take1.0998.exr", "take1.0999.exr", "take1.1000.exr") == ()
    assert gaps("1.png") == gaps("a.png", "b.png") == gaps("a1.png", "a2.png", "b7.png") == ()


def test_alpha_that_goes_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    face().save(folder / "1.png")
    face().save(folder / "2.png")
    assert images_to_source(folder, Fraction(25), tmp_path / "out.mov") == ()
    face().convert("RGBA").save(folder / "2.png")
    assert images_to_source(folder, Fraction(25), tmp_path / "out.mov") == ("alpha",)
