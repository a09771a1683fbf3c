"""The mouth in a frame of reference that turns with the face.

Five landmarks give the frame: its origin is the middle between the mouth's corners, x runs along
the mouth to the picture's right, y down the face to the chin, both in the crop's pixels. Detectors
are off by a few parts in a hundred and say nothing of the lips between the corners;
:mod:`pipeline.networks.lip_line` reads that off the picture.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
Point = npt.NDArray[np.float64]

#: Where the lips part when only landmarks are known, below the corners and how much more in the
#: middle, in face units.
USUAL_DROP, USUAL_SAG = 0.03, 0.02


@dataclass(frozen=True, slots=True)
class Lips:
    """The mouth's geometry in one crop; lengths in the crop's pixels."""

    origin: Point
    along: Point
    """Unit vector of x; y is this turned by 90° clockwise on the screen."""
    unit: float
    """The face's size: about the distance from the eyes to the mouth."""
    middle: float
    """x of the philtrum: off the corners' middle when the head is turned."""
    left: float
    right: float
    """x of the corners; left of the middle and right of it."""
    nose_gap: float
    """How far above the origin the lower face begins: at the base of the nose."""
    curve: tuple[float, ...]
    """y of the line between the lips: coefficients of the powers of u, constant first."""

    def aligned(self, x: Field, y: Field) -> tuple[Field, Field]:
        """The crop's pixel coordinates in the face's frame."""
        cos, sin = np.float32(self.along[0]), np.float32(self.along[1])
        dx, dy = x - np.float32(self.origin[0]), y - np.float32(self.origin[1])
        return dx * cos + dy * sin, dy * cos - dx * sin

    def unaligned_shift(self, x: Field, y: Field) -> tuple[Field, Field]:
        """A shift in the face's frame as one in the crop's."""
        cos, sin = np.float32(self.along[0]), np.float32(self.along[1])
        return x * cos - y * sin, x * sin + y * cos

    def unaligned(self, x: Field, y: Field) -> tuple[Field, Field]:
        """A point of the face's frame in the crop's pixels."""
        shift_x, shift_y = self.unaligned_shift(x, y)
        return shift_x + np.float32(self.origin[0]), shift_y + np.float32(self.origin[1])

    def across(self, x: Field) -> Field:
        """-1 at the left corner, 0 at the philtrum, 1 at the right corner."""
        right = np.float32(1.0 / (self.right - self.middle))
        left = np.float32(1.0 / (self.middle - self.left))
        from_middle = x - np.float32(self.middle)
        return np.asarray(from_middle * np.where(from_middle > 0, right, left), np.float32)

    def along_mouth(self, u: Field) -> Field:
        """x of a place across the mouth: the inverse of :meth:`across`."""
        reach = np.where(u > 0, self.right - self.middle, self.middle - self.left)
        return np.asarray(self.middle + u * reach, np.float32)

    def line(self, u: Field) -> Field:
        """y of the line between the lips; beyond the corners it runs on level."""
        inside = np.clip(u, -1.0, 1.0)
        y = np.full_like(inside, self.curve[-1])
        for coefficient in reversed(self.curve[:-1]):
            y = y * inside + np.float32(coefficient)
        return y

    def room_below(self, height: int, width: int) -> float:
        """From the line to the crop's border, down the face."""
        down = np.array([-self.along[1], self.along[0]])
        start = self.origin + self.middle * self.along + self.curve[0] * down
        ends = [
            (limit - at) / step
            for at, step, limit in (
                (start[0], down[0], width - 1.0 if down[0] > 0 else 0.0),
                (start[1], down[1], height - 1.0 if down[1] > 0 else 0.0),
            )
            if abs(step) > 1e-6
        ]
        return float(max(min(ends, default=0.0), 0.0))

    def bounds(
        self, above: float, below: float, margin: float, height: int, width: int
    ) -> tuple[slice, slice]:
        """Rows and columns of the crop that hold the mouth, opened that far, and a margin."""
        margin += 0.03 * self.unit + 2.0
        line = self.line(np.linspace(-1, 1, 9, dtype=np.float32))
        top, bottom = float(line.min()) - above - margin, float(line.max()) + below + margin
        reach = 0.12 * (self.right - self.left) + margin
        x = np.array([self.left - reach, self.right + reach] * 2, np.float32)
        y = np.array([top, top, bottom, bottom], np.float32)
        points_x, points_y = self.unaligned(x, y)
        rows = slice(max(int(points_y.min()), 0), min(int(points_y.max()) + 2, height))
        return rows, slice(max(int(points_x.min()), 0), min(int(points_x.max()) + 2, width))


def place_lips(landmarks: npt.NDArray[np.float32]) -> Lips | None:
    """The mouth where the landmarks say, or None where they make no face.

    Args:
        landmarks: ``(5, 2)`` in the crop's pixels, the picture's left first.
    """
    points = np.asarray(landmarks, np.float64)
    eyes, nose, corners = points[:2], points[2], points[3:]
    origin, forehead = corners.mean(axis=0), eyes.mean(axis=0)
    down = origin - forehead
    unit = max(float(np.hypot(*down)), 0.95 * float(np.hypot(*(eyes[1] - eyes[0]))))
    width = float(np.hypot(*(corners[1] - corners[0])))
    if not np.isfinite(points).all() or unit < 6.0 or width < 0.2 * unit:
        return None
    # Both pairs and the face's height vote on which way is along.
    votes = _direction(eyes[1] - eyes[0]) + _direction(corners[1] - corners[0])
    votes += 0.5 * _direction(np.array([down[1], -down[0]]))
    along = _direction(votes)
    across = np.array([-along[1], along[0]])
    (left, left_y), (right, right_y) = (
        (float((c - origin) @ along), float((c - origin) @ across)) for c in corners
    )
    if right - left < 0.2 * unit:
        return None
    nose_y = float((nose - origin) @ across)
    # A turned head shifts the nose, and with it the philtrum, off the line from eyes to mouth.
    straight = (
        float((forehead - origin) @ along) * nose_y / min(float((forehead - origin) @ across), -1.0)
    )
    turn = float((nose - origin) @ along) - straight
    middle = float(np.clip(0.35 * turn, 0.35 * left, 0.35 * right))
    nose_gap = float(np.clip(-0.55 * nose_y, 0.15 * unit, 0.45 * unit))
    tilt, sag = 0.5 * (right_y - left_y), USUAL_SAG * unit
    curve = (USUAL_DROP * unit + sag, tilt, -sag)
    return Lips(origin, along, unit, middle, left, right, nose_gap, curve)


def _direction(vector: Point) -> Point:
    return vector / max(float(np.hypot(*vector)), 1e-9)
