"""The built-in renderer moves the mouth, and nothing but the mouth."""

import numpy as np
import numpy.typing as npt
import pytest
from skimage import data

from pipeline.networks.articulation import Articulation
from pipeline.networks.draft import DraftNetwork, move_mouth

Picture = npt.NDArray[np.uint8]
#: The astronaut's face and its landmarks, in the whole picture.
BOX = (178, 63, 269, 181)
LANDMARKS = np.array([[201, 105], [245, 104], [220, 127], [203, 145], [242, 145]], np.float32)
OPEN = Articulation(openness=0.7, spread=0.0)


@pytest.fixture(scope="module")
def crop() -> Picture:
    x1, y1, x2, y2 = BOX
    return np.ascontiguousarray(data.astronaut()[y1:y2, x1:x2, ::-1])


@pytest.fixture(scope="module")
def landmarks() -> npt.NDArray[np.float32]:
    return LANDMARKS - np.array(BOX[:2], np.float32)


def change(moved: Picture, crop: Picture) -> npt.NDArray[np.int16]:
    """How much each pixel changed."""
    return np.abs(moved.astype(np.int16) - crop).max(axis=2)


def test_a_closed_mouth_is_the_source_bit_for_bit(
    crop: Picture, landmarks: npt.NDArray[np.float32]
) -> None:
    moved = move_mouth(crop, landmarks, Articulation(0.0, 0.0))

    np.testing.assert_array_equal(moved, crop)
    assert moved is not crop


def test_an_open_mouth_is_dark_between_the_lips(
    crop: Picture, landmarks: npt.NDArray[np.float32]
) -> None:
    moved = move_mouth(crop, landmarks, OPEN)
    x, y = landmarks[3:].mean(axis=0).astype(int)
    mouth = np.s_[y : y + 18, x - 6 : x + 6]

    assert crop[mouth].mean(axis=2).min() > 90  # she smiles: teeth and a lip
    assert (moved[mouth].mean(axis=2) < 60).sum() > 40


def test_eyes_nose_and_border_stay_as_they_are(
    crop: Picture, landmarks: npt.NDArray[np.float32]
) -> None:
    moved = change(move_mouth(crop, landmarks, OPEN), crop)

    assert not moved[: int(landmarks[2, 1])].any()
    assert not moved[[0, -1]].any()
    assert not moved[:, [0, -1]].any()


def test_a_wider_opening_shows_more(crop: Picture, landmarks: npt.NDArray[np.float32]) -> None:
    shown = [
        float(change(move_mouth(crop, landmarks, Articulation(o, 0.0)), crop).mean())
        for o in (0.02, 0.3, 0.6, 1.0)
    ]

    assert shown == sorted(shown)
    assert shown[-1] > 2 * shown[1] > 0


def test_opening_starts_softly(crop: Picture, landmarks: npt.NDArray[np.float32]) -> None:
    barely = change(move_mouth(crop, landmarks, Articulation(0.001, 0.0)), crop)

    assert barely.max() < 12


def test_rounding_narrows_and_spreading_widens(
    crop: Picture, landmarks: npt.NDArray[np.float32]
) -> None:
    def dark_width(spread: float) -> int:
        moved = move_mouth(crop, landmarks, Articulation(0.6, spread))
        y = int(landmarks[3:, 1].mean())
        dark = (moved[y : y + 25].mean(axis=2) < 70)[:, 15:75]
        return int(dark.any(axis=0).sum())

    assert dark_width(-1.0) < dark_width(0.0) < dark_width(1.0)


def test_a_tilted_head_opens_along_its_own_axis(
    crop: Picture, landmarks: npt.NDArray[np.float32]
) -> None:
    lying = np.ascontiguousarray(np.rot90(crop))
    turned = np.stack([landmarks[:, 1], crop.shape[1] - 1 - landmarks[:, 0]], axis=1)

    moved = np.rot90(move_mouth(lying, turned, OPEN), -1)

    # Not bit for bit: the coarse grid's cells fall otherwise.
    assert change(moved, move_mouth(crop, landmarks, OPEN)).mean() < 1.0


@pytest.mark.parametrize("size", [24, 40, 300])
def test_any_size_works(crop: Picture, landmarks: npt.NDArray[np.float32], size: int) -> None:
    import cv2  # noqa: PLC0415

    scale = size / crop.shape[1]
    resized = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)

    moved = move_mouth(resized, landmarks * scale, OPEN)

    assert moved.shape == resized.shape
    assert moved.dtype == np.uint8
    assert change(moved, resized).max() > 40


@pytest.mark.parametrize(
    "broken",
    [
        np.zeros((5, 2), np.float32),
        np.full((5, 2), np.nan, np.float32),
        np.full((5, 2), 1e6, np.float32),
        np.array([[1, 1], [2, 1], [1, 2], [1, 3], [2, 3]], np.float32),
    ],
)
def test_landmarks_that_make_no_face_leave_the_crop(
    crop: Picture, broken: npt.NDArray[np.float32]
) -> None:
    np.testing.assert_array_equal(move_mouth(crop, broken, OPEN), crop)


def test_a_face_cut_off_below_the_lips_does_not_fold(
    crop: Picture, landmarks: npt.NDArray[np.float32]
) -> None:
    cut = crop[: int(landmarks[3, 1]) + 8]

    moved = move_mouth(cut, landmarks, Articulation(1.0, 0.0))

    assert moved.shape == cut.shape


def test_a_frame_depends_on_nothing_but_itself(
    crop: Picture, landmarks: npt.NDArray[np.float32]
) -> None:
    network = DraftNetwork()
    shapes = [Articulation(o, 0.2) for o in (0.9, 0.0, 0.4)]

    together = network.speak([crop] * 3, [landmarks] * 3, shapes)
    alone = [network.speak([crop], [landmarks], [shape])[0] for shape in reversed(shapes)]

    for one, other in zip(together, reversed(alone), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_source_is_left_alone(crop: Picture, landmarks: npt.NDArray[np.float32]) -> None:
    before = crop.copy()

    move_mouth(crop, landmarks, OPEN)

    np.testing.assert_array_equal(crop, before)
