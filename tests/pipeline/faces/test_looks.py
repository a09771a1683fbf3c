"""Looking for faces depends on the source alone, not on how it was cut up."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.faces.detectors import CenterFace, Face
from pipeline.faces.looks import NEAR_LOOK_SIDE, Look, SegmentFaces, detect_segment, is_plausible

RATE = Fraction(24000, 1001)

#: Part of film.mkv with a cut, a shot without a face, and two faces.
FIRST, LAST = 96, 290
#: Its keyframes, and one more that lies off the grid of looks counted from the one before.
ANCHORS = np.array([96, 121, 144, 240, 336])


class Counting:
    """CenterFace, remembering how large the pictures were that it was shown."""

    name = "counting"

    def __init__(self) -> None:
        self.sides: list[int] = []
        self._detector = CenterFace()

    def detect(self, bgr: np.ndarray) -> list[Face]:
        self.sides.append(max(bgr.shape[:2]))
        return self._detector.detect(bgr)


def decode(path: Path, first: int, last: int) -> Iterator[av.VideoFrame]:
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        yield from islice(container.decode(video=0), first, last)


@pytest.fixture(scope="module")
def film(clips: Path) -> list[av.VideoFrame]:
    """The frames [FIRST, LAST), small: these tests are about which are looked at."""
    frames = decode(clips / "film.mkv", FIRST, LAST)
    return [frame.reformat(width=640, height=360) for frame in frames]


def detect(
    film: list[av.VideoFrame], start: int, end: int, detector: Counting | None = None
) -> SegmentFaces:
    first = int(ANCHORS[start >= ANCHORS].max())
    return detect_segment(
        film[first - FIRST : end - FIRST],
        detector or Counting(),
        first=first,
        start=start,
        end=end,
        anchors=ANCHORS,
        frame_count=1133,
        frame_rate=RATE,
    )


def content(looks: list[Look]) -> list[tuple[int, list[bytes]]]:
    return [
        (k.frame, [f.box.tobytes() + f.landmarks.tobytes() for f in k.faces])
        for k in sorted(looks, key=lambda k: k.frame)
    ]


@pytest.fixture(scope="module")
def whole(film: list[av.VideoFrame]) -> SegmentFaces:
    return detect(film, FIRST, LAST)


@pytest.mark.parametrize(
    "borders",
    [
        [96, 121, 144, 240, 290],  # at anchors
        [96, 110, 121, 125, 143, 243, 245, 246, 247, 290],  # anywhere, cuts' neighbours too
    ],
)
def test_looks_of_the_pieces_are_those_of_the_whole(
    film: list[av.VideoFrame], whole: SegmentFaces, borders: list[int]
) -> None:
    pieces = [detect(film, a, b) for a, b in pairwise(borders)]
    assert content([k for p in pieces for k in p.looks]) == content(list(whole.looks))


def test_faces_are_seen_where_there_are_any(whole: SegmentFaces) -> None:
    numbers = {}
    for look in whole.looks:
        numbers.setdefault(len(look.faces), set()).add(look.frame)
    assert numbers[0] and min(numbers[0]) >= 144 and max(numbers[0]) < 244
    assert numbers[2] and min(numbers[2]) >= 244 and max(numbers[2]) < 290
    assert {look.frame for look in whole.looks} >= {96, 143, 144, 244}


def test_most_looks_are_near_and_most_frames_are_not_looked_at(film: list[av.VideoFrame]) -> None:
    detector = Counting()
    found = detect(film, FIRST, 121, detector)
    assert len(found.looks) < 0.4 * (found.end - found.start)
    assert sum(side > NEAR_LOOK_SIDE for side in detector.sides) == 1


def test_saved_faces_come_back_and_have_one_form(whole: SegmentFaces, tmp_path: Path) -> None:
    whole.save(tmp_path / "a.npz")
    back = SegmentFaces.load(tmp_path / "a.npz")
    back.save(tmp_path / "b.npz")
    assert content(list(back.looks)) == content(list(whole.looks))
    assert (back.start, back.end, back.width, back.height) == (FIRST, LAST, 640, 360)
    np.testing.assert_array_equal(back.trail.distances, whole.trail.distances)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_film_that_lies_on_its_side_is_looked_at_upright(clips: Path) -> None:
    frames = list(decode(clips / "film_rotated.mp4", 0, 4))
    found = detect_segment(
        frames,
        CenterFace(),
        first=0,
        start=0,
        end=4,
        anchors=np.array([0]),
        frame_count=120,
        frame_rate=RATE,
        rotation=int(frames[0].rotation),
    )
    assert (found.width, found.height) == (576, 768)
    face = found.looks[0].faces[0]
    assert is_plausible(face)
    assert face.landmarks[0, 0] < face.landmarks[1, 0]


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv422p10le", "gray", "rgb24", "nv12"])
def test_any_pixel_format_shows_the_same_face(clips: Path, pix_fmt: str) -> None:
    frame = next(decode(clips / "portrait_25fps.mp4", 0, 1))
    boxes = []
    for shown in (frame, frame.reformat(format=pix_fmt)):
        found = detect_segment(
            [shown],
            CenterFace(),
            first=0,
            start=0,
            end=1,
            anchors=np.array([0]),
            frame_count=1,
            frame_rate=RATE,
        )
        boxes.append(found.looks[0].faces[0].box)
    assert np.abs(boxes[0] - boxes[1]).max() < 0.1 * (boxes[0][2] - boxes[0][0])


@pytest.mark.parametrize("size", [(16, 16), (2, 2), (4096, 2)])
def test_tiny_and_narrow_pictures_are_looked_at_without_error(size: tuple[int, int]) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), 90, np.uint8), "bgr24")
    found = detect_segment(
        [frame.reformat(format="yuv420p")],
        CenterFace(),
        first=0,
        start=0,
        end=1,
        anchors=np.array([0]),
        frame_count=1,
        frame_rate=RATE,
    )
    assert found.looks == (Look(0, ()),)


def test_landmarks_that_are_no_face_are_refused() -> None:
    box = np.array([0, 0, 75, 100], np.float32)
    face = np.array([[20, 39], [55, 39], [38, 58], [23, 74], [52, 74]], np.float32)
    assert is_plausible(Face(box, face, 0.9))
    assert not is_plausible(Face(box, face[::-1].copy(), 0.9))  # mouth above the eyes
    assert not is_plausible(Face(box, np.full((5, 2), 50, np.float32), 0.9))  # all in one point
    assert not is_plausible(Face(box, face + 60, 0.9))  # outside the box
    assert not is_plausible(Face(np.array([0, 0, 75, 20], np.float32), face, 0.9))
