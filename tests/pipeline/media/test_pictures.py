"""Still images and folders of frames as a source, and frames written as PNG."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.errors import UnreadableMediaError, UnusableMediaError
from pipeline.media.frames import decode_source, plane_arrays
from pipeline.media.pictures import images_to_source, is_pictures, write_picture
from pipeline.media.probe import probe


def picture(width: int = 64, height: int = 48, shade: int = 0) -> np.ndarray:
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.dstack([across, down, np.full_like(across, shade)]).astype(np.uint8)


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
