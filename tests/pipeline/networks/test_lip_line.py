"""The lips part where the picture shows the lower lip's edge, not where a landmark guessed it."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from skimage import data

from pipeline.faces.detectors import CenterFace
from pipeline.networks.articulation import Articulation
from pipeline.networks.draft import move_mouth
from pipeline.networks.lip_line import Tones, read_lips
from pipeline.networks.lips import Lips, place_lips

Picture = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]
#: The astronaut's face, enlarged so that a lip is a dozen pixels.
BOX, SCALE = (178, 63, 269, 181), 3


@pytest.fixture(scope="module")
def smile() -> tuple[Picture, Points]:
    """The smiling astronaut's face and the landmarks the default detector gives it."""
    picture = np.ascontiguousarray(data.astronaut()[..., ::-1])
    corner = np.array(BOX[:2], np.float32)
    landmarks = CenterFace().detect(picture)[0].landmarks - corner
    crop = picture[BOX[1] : BOX[3], BOX[0] : BOX[2]]
    crop = cv2.resize(crop, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
    return np.asarray(crop, np.uint8), landmarks * SCALE


def read(crop: Picture, landmarks: Points) -> tuple[Lips, Tones]:
    placed = place_lips(landmarks)
    assert placed is not None
    return read_lips(crop, placed)


def strip(picture: Picture, lips: Lips, half_width: float, rows: tuple[float, float]) -> Points:
    """(h, w, 3) of a strip round the philtrum that follows the line; rows in face units."""
    across = half_width * lips.unit
    x = np.arange(-across, across, dtype=np.float32) + np.float32(lips.middle)
    y = np.arange(rows[0] * lips.unit, rows[1] * lips.unit, dtype=np.float32)[:, None]
    columns, lines = np.broadcast_arrays(x, y + lips.line(lips.across(x)))
    map_x, map_y = lips.unaligned(columns, lines)
    return cv2.remap(picture, map_x, map_y, cv2.INTER_LINEAR).astype(np.float32)


def line_points(lips: Lips) -> Points:
    u = np.linspace(-0.6, 0.6, 13, dtype=np.float32)
    return np.stack(lips.unaligned(lips.along_mouth(u), lips.line(u)), axis=1)


def test_a_smile_parts_under_the_teeth(smile: tuple[Picture, Points]) -> None:
    lips, tones = read(*smile)
    above, below = (
        strip(smile[0], lips, 0.25, (-0.08, -0.03)),
        strip(smile[0], lips, 0.25, (0.04, 0.12)),
    )

    def redness(part: Points) -> float:
        return float((part[..., 2] - part[..., :2].mean(axis=2)).mean())

    assert tones.teeth_shown > 0.9
    assert redness(below) > 1.3 * redness(above)
    # A smile's lip hangs: lower in the middle than at both ends.
    ends = lips.line(np.array([-0.9, 0.0, 0.9], np.float32))
    assert ends[1] > max(ends[0], ends[2]) + 0.05 * lips.unit


@pytest.mark.parametrize("openness", [0.4, 0.8])
def test_the_lower_lip_moves_down_as_it_is(smile: tuple[Picture, Points], openness: float) -> None:
    crop, landmarks = smile
    lips, _ = read(crop, landmarks)
    moved = move_mouth(crop, landmarks, Articulation(openness, 0.0))
    lip = strip(crop, lips, 0.08, (0.02, 0.13))
    searched = strip(moved, lips, 0.08, (0.0, 0.5))
    dark = searched.mean(axis=2) < 0.5 * lip.mean()

    offsets = range(len(searched) - len(lip))
    distance = [float(np.abs(searched[o : o + len(lip)] - lip).mean()) for o in offsets]
    found = int(np.argmin(distance))
    fallen = found - 0.02 * lips.unit

    assert distance[found] < 3  # of 255: its own pixels, neither bleached nor painted over
    assert distance[0] > 40  # it is no longer where it was
    gap = float(dark.sum(axis=0).mean())
    assert gap > 0.15 * openness * lips.unit
    assert fallen == pytest.approx(gap, abs=0.035 * lips.unit)


def test_the_teeth_stay_where_they_were(smile: tuple[Picture, Points]) -> None:
    crop, landmarks = smile
    lips, _ = read(crop, landmarks)
    moved = move_mouth(crop, landmarks, Articulation(0.8, 0.0))

    before, after = (strip(p, lips, 0.12, (-0.12, -0.025)) for p in (crop, moved))

    assert before.mean() > 150
    assert np.abs(after - before).mean() < 1.5


@pytest.mark.parametrize("off", [(-0.08, 0.0), (0.08, 0.0), (0.0, -0.05), (0.0, 0.08)])
def test_landmarks_that_are_off_do_not_move_the_line(
    smile: tuple[Picture, Points], off: tuple[float, float]
) -> None:
    crop, landmarks = smile
    lips, _ = read(crop, landmarks)
    shift = np.array(off, np.float32) * lips.unit

    there, _ = read(crop, landmarks + shift)

    assert np.abs(line_points(there)[:, 1] - line_points(lips)[:, 1]).mean() < 0.05 * lips.unit


def test_the_line_moves_smoothly_with_the_picture(smile: tuple[Picture, Points]) -> None:
    crop, landmarks = smile
    unit = read(crop, landmarks)[0].unit
    middles = []
    for step in range(9):
        move = np.array([[1, 0, 0.25 * step], [0, 1, 0.5 * step]], np.float32)
        shifted = np.asarray(cv2.warpAffine(crop, move, crop.shape[1::-1]), np.uint8)
        lips, _ = read(shifted, landmarks + move[:, 2])
        middles.append(line_points(lips)[6, 1] - move[1, 2])

    assert np.ptp(middles) < 0.01 * unit


def test_a_picture_that_says_nothing_leaves_the_usual_line(
    smile: tuple[Picture, Points],
) -> None:
    crop, landmarks = smile
    placed = place_lips(landmarks)
    assert placed is not None

    lips, tones = read_lips(np.full_like(crop, 128), placed)

    u = np.linspace(-0.8, 0.8, 9, dtype=np.float32)
    assert np.abs(lips.line(u) - placed.line(u)).max() < 0.06 * placed.unit
    assert lips.left == pytest.approx(placed.left, abs=0.02 * placed.unit)
    assert np.isfinite(tones.dark).all()


def test_black_and_white_pictures_are_read_without_a_warning(
    smile: tuple[Picture, Points],
) -> None:
    for value in (0, 255):
        lips, _ = read(np.full_like(smile[0], value), smile[1])
        assert np.isfinite(lips.curve).all()
