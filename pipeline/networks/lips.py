"""Where the lips meet, in a frame of reference that turns with the face.

Five landmarks give the frame: its origin is the middle between the mouth's corners, x runs along
the mouth to the picture's right, y down the face to the chin, both in the crop's pixels. What the
landmarks cannot give, how far the middle of the mouth hangs below its corners, is read off the
picture as one number per shape parameter, softly, so that it moves smoothly from frame to frame.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float32]
Point = npt.NDArray[np.float64]

#: The patch that is searched: samples across and down, and its extent in face units above and
#: below the corners.
PATCH_COLUMNS, PATCH_ROWS = 21, 49
PATCH_ABOVE, PATCH_BELOW = 0.20, 0.28
#: Lines that are tried: how far below the landmarks' corners, how much lower on the right than on
#: the left, and how far the middle hangs; in face units. Detectors put corners a little high.
LINES = (
    np.stack(
        np.meshgrid(
            np.linspace(-0.04, 0.14, 10),
            np.linspace(-0.06, 0.06, 3),
            np.linspace(-0.06, 0.20, 11),
            indexing="ij",
        ),
        axis=-1,
    )
    .reshape(-1, 3)
    .astype(np.float32)
)
#: The line where the picture says nothing, and how far it usually is from that.
USUAL_LINE = np.array([0.04, 0.0, 0.02], np.float32)
#: The upper lip's shadow draws the fit upward by about this much.
MEASURED_BIAS = np.array([0.013, 0.0, 0.0], np.float32)
LINE_SPREAD = np.array([0.05, 0.04, 0.06], np.float32)


@dataclass(frozen=True, slots=True)
class Lips:
    """The mouth's geometry and colours in one crop; lengths in the crop's pixels."""

    origin: Point
    along: Point
    """Unit vector of x; y is this turned by 90° clockwise on the screen."""
    unit: float
    """The face's size: about the distance from the eyes to the mouth."""
    middle: float
    """x of the philtrum: off the corners' middle when the head is turned."""
    left: float
    right: float
    """x of the corners; left is negative."""
    left_y: float
    right_y: float
    nose_gap: float
    """From the base of the nose to the corners' line."""
    sag: float
    """How far the line hangs below the corners in the middle."""
    lip_colour: Field
    tooth_colour: Field
    teeth_missing: float
    """1 where the picture shows no teeth above the line, 0 where it does."""

    def aligned(self, x: Field, y: Field) -> tuple[Field, Field]:
        """The crop's pixel coordinates in the face's frame."""
        cos, sin = np.float32(self.along[0]), np.float32(self.along[1])
        dx, dy = x - np.float32(self.origin[0]), y - np.float32(self.origin[1])
        return dx * cos + dy * sin, dy * cos - dx * sin

    def unaligned_shift(self, x: Field, y: Field) -> tuple[Field, Field]:
        """A shift in the face's frame as one in the crop's."""
        cos, sin = np.float32(self.along[0]), np.float32(self.along[1])
        return x * cos - y * sin, x * sin + y * cos

    def across(self, x: Field) -> Field:
        """-1 at the left corner, 0 at the philtrum, 1 at the right corner."""
        right = np.float32(1.0 / (self.right - self.middle))
        left = np.float32(1.0 / (self.middle - self.left))
        from_middle = x - np.float32(self.middle)
        return np.asarray(from_middle * np.where(from_middle > 0, right, left), np.float32)

    def line(self, u: Field) -> Field:
        """y of the line between the lips; beyond the corners it runs on level."""
        inside = np.clip(u, -1.0, 1.0)
        tilt = self.left_y + (self.right_y - self.left_y) * 0.5 * (inside + 1.0)
        return np.asarray(tilt + self.sag * (1.0 - inside * inside), np.float32)

    def room_below(self, height: int, width: int) -> float:
        """From the line to the crop's border, down the face."""
        down = np.array([-self.along[1], self.along[0]])
        start = self.origin + (0.5 * (self.left_y + self.right_y) + self.sag) * down
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
        margin += 0.05 * self.unit + 2.0
        top = min(self.left_y, self.right_y) + min(self.sag, 0.0) - above - margin
        bottom = max(self.left_y, self.right_y) + max(self.sag, 0.0) + below + margin
        x = np.array([self.left, self.right, self.left, self.right]) * 1.15
        x += np.array([-margin, margin, -margin, margin])
        y = np.array([top, top, bottom, bottom])
        shift_x, shift_y = self.unaligned_shift(x.astype(np.float32), y.astype(np.float32))
        points_x, points_y = shift_x + self.origin[0], shift_y + self.origin[1]
        rows = slice(max(int(points_y.min()), 0), min(int(points_y.max()) + 2, height))
        return rows, slice(max(int(points_x.min()), 0), min(int(points_x.max()) + 2, width))


def find_lips(crop: Picture, landmarks: npt.NDArray[np.float32]) -> Lips | None:
    """The mouth in a crop, or None where the landmarks make no face."""
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
    geometry = Lips(
        origin,
        along,
        unit,
        middle,
        left,
        right,
        left_y,
        right_y,
        nose_gap,
        0.0,
        np.zeros(3, np.float32),
        np.zeros(3, np.float32),
        1.0,
    )
    return _read_picture(crop, geometry)


def _direction(vector: Point) -> Point:
    return vector / max(float(np.hypot(*vector)), 1e-9)


def _read_picture(crop: Picture, lips: Lips) -> Lips:
    """The same lips with what only the picture tells."""
    patch = _mouth_patch(crop, lips)
    offset, slope, sag = (float(value) for value in _fit_line(patch))
    step = (PATCH_ABOVE + PATCH_BELOW) / (PATCH_ROWS - 1)
    row = np.clip(round((offset + sag + PATCH_ABOVE) / step), 6, PATCH_ROWS - 16)
    centre = slice(PATCH_COLUMNS // 3, -(PATCH_COLUMNS // 3))
    lip = patch[row + 3 : row + 12, centre].mean(axis=(0, 1))
    skin = patch[[0, 1, 2], :].mean(axis=(0, 1))
    above = patch[row - 6 : row - 1, centre].mean(axis=(0, 1))
    luma = float(skin.mean())
    tooth = 0.45 * skin + 0.5 * luma
    # Teeth are much less red than lips.
    redness = [
        (float(c[2]) - float(c[:2].mean())) / max(float(c.mean()), 8.0) for c in (above, lip)
    ]
    bright = float(above.mean()) / max(float(lip.mean()), 8.0)
    missing = np.clip(1.0 - 4.0 * (redness[1] - redness[0] - 0.05), 0.0, 1.0)
    missing = max(float(missing), float(np.clip((1.0 - bright) / 0.15, 0, 1)))
    return replace(
        lips,
        left_y=lips.left_y + (offset - 0.5 * slope) * lips.unit,
        right_y=lips.right_y + (offset + 0.5 * slope) * lips.unit,
        sag=sag * lips.unit,
        lip_colour=lip.astype(np.float32),
        tooth_colour=np.asarray(tooth, np.float32),
        teeth_missing=missing,
    )


def _mouth_patch(crop: Picture, lips: Lips) -> Field:
    """``(PATCH_ROWS, PATCH_COLUMNS, 3)``: straightened, row 20 between the corners."""
    u = np.linspace(-0.75, 0.75, PATCH_COLUMNS, dtype=np.float32)
    x = np.where(u > 0, u * (lips.right - lips.middle), u * (lips.middle - lips.left)) + lips.middle
    tilt = lips.left_y + (lips.right_y - lips.left_y) * 0.5 * (u + 1.0)
    down = np.linspace(-PATCH_ABOVE, PATCH_BELOW, PATCH_ROWS, dtype=np.float32) * lips.unit
    shift_x, shift_y = lips.unaligned_shift(
        np.broadcast_to(x.astype(np.float32), (PATCH_ROWS, PATCH_COLUMNS)),
        (tilt + down[:, None]).astype(np.float32),
    )
    map_x = (shift_x + lips.origin[0]).astype(np.float32)
    map_y = (shift_y + lips.origin[1]).astype(np.float32)
    patch = cv2.remap(crop, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.GaussianBlur(patch, (0, 0), 0.8).astype(np.float32)


def _fit_line(patch: Field) -> Field:
    """The offset, slope and sag that run best along the dark over the lower lip."""
    luma = patch.mean(axis=2)
    spread = max(float(luma.std()), 4.0)
    step = (PATCH_ABOVE + PATCH_BELOW) / (PATCH_ROWS - 1)
    reach = round(0.05 / step)
    above, below = _shifted(luma, reach)
    valley = (np.minimum(above, below) - luma) / spread
    # The lower lip's edge under teeth or a dark gap: redder below than above.
    red = (patch[..., 2] - patch[..., :2].mean(axis=2)) / np.maximum(luma, 24.0)
    red_above, red_below = _shifted(red, reach)
    # Not the upper lip's edge under skin: teeth are paler than skin, a gap much darker.
    skin_red, skin_luma = float(np.median(red[:4])), float(np.median(luma[:4]))
    pale = np.clip((skin_red - 0.03 - red_above) * 8.0, 0.0, 1.0) * (above > 0.5 * skin_luma)
    dark = np.clip(2.0 - above / max(0.25 * skin_luma, 4.0), 0.0, 1.0)
    redder = np.clip((red_below - red_above) * 5.0, 0.0, 1.0)
    score = 1.3 * valley + 1.5 * np.maximum(pale * redder, 0.6 * dark * (below > above))
    u = np.linspace(-0.75, 0.75, PATCH_COLUMNS, dtype=np.float32)
    offset, slope, sag = (LINES[:, i, None] for i in range(3))
    rows = (offset + 0.5 * slope * u + sag * (1.0 - u * u) + PATCH_ABOVE) / step
    rows = np.clip(rows, 0, PATCH_ROWS - 1.001)
    whole = rows.astype(np.intp)
    part = rows - whole
    columns = np.arange(PATCH_COLUMNS)
    along = score[whole, columns] * (1 - part) + score[whole + 1, columns] * part
    # The middle tells more than the corners, which are round the bend on a turned head.
    fit = (along * (1.0 - u * u)).sum(axis=1) / (1.0 - u * u).sum() * 6.0
    fit -= 0.5 * (((LINES - USUAL_LINE) / LINE_SPREAD) ** 2).sum(axis=1)
    weight = np.exp(2.0 * (fit - fit.max()))
    best: Field = (weight[:, None] * LINES).sum(axis=0) / weight.sum()
    return best + MEASURED_BIAS


def _shifted(field: Field, rows: int) -> tuple[Field, Field]:
    """The values that many rows above and below each."""
    padded = np.pad(field, ((rows, rows), (0, 0)), mode="edge")
    return padded[: -2 * rows], padded[2 * rows :]
