"""Where the picture parts the lips, and what colours it shows there.

Two small patches are read in the face's own frame of reference (see :mod:`pipeline.networks.lips`).
The wide one tells, by what differs from skin in redness and brightness, where the mouth's middle is
and how wide it is, even when the landmarks are off. The near one follows the mouth and tells where
the lower lip begins: at the dark line of closed lips, at the lower edge of the teeth, or in the
dark of an open mouth. Curves are scored against it and averaged by their scores, so the answer
moves smoothly from frame to frame, and is the usual line where the picture says nothing.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.networks.lips import Field, Lips

Picture = npt.NDArray[np.uint8]

#: The wide patch's samples, in face units from the corners' middle.
WIDE_X, WIDE_Y = np.meshgrid(
    np.linspace(-0.80, 0.80, 33, dtype=np.float32), np.linspace(-0.36, 0.68, 27, dtype=np.float32)
)
#: Columns of the cheeks and the chin, without what lies beside the face.
WIDE_FACE = np.s_[:, 4:-4]
#: Where a mouth may be: this far from the landmarks, and this far round what is found.
SEARCH = np.exp(-0.5 * (WIDE_X / 0.30) ** 2 - 0.5 * ((WIDE_Y - 0.06) / 0.30) ** 2)
MOUTH_REACH_X, MOUTH_REACH_Y = 0.22, 0.15
#: How much has to differ from skin to count as much as the landmarks do: across, where one dark
#: corner of a smile pulls, and down.
LANDMARK_WEIGHT_X, LANDMARK_WEIGHT_Y = 6.0, 1.0

#: The near patch: places across the mouth, and rows from its middle in face units.
NEAR_U = np.linspace(-0.9, 0.9, 25, dtype=np.float32)
NEAR_Y = np.linspace(-0.30, 0.40, 57, dtype=np.float32)
NEAR_STEP = float(NEAR_Y[1] - NEAR_Y[0])

#: Curves that are tried: how low the middle is, how far it hangs below the corners, how much lower
#: the right end is; in face units.
CURVES = (
    np.stack(
        np.meshgrid(
            np.linspace(-0.16, 0.26, 18),
            np.linspace(-0.06, 0.22, 9),
            np.linspace(-0.10, 0.10, 5),
            indexing="ij",
        ),
        axis=-1,
    )
    .reshape(-1, 3)
    .astype(np.float32)
)
_MIDDLE, _SAG, _TILT = CURVES[:, 0], CURVES[:, 1], CURVES[:, 2]
_ROWS = _MIDDLE[:, None] - _SAG[:, None] * NEAR_U**2 + 0.5 * _TILT[:, None] * NEAR_U
#: The middle of the mouth tells more than its ends.
COLUMN_WEIGHT = (1.3 - NEAR_U**2) / (1.3 - NEAR_U**2).sum()


def _between_rows(curves: Field) -> tuple[npt.NDArray[np.intp], Field]:
    """For each curve and column the flat index of the near patch's row above, and the way on."""
    rows = np.clip((curves - NEAR_Y[0]) / NEAR_STEP, 0, len(NEAR_Y) - 1.001)
    whole = rows.astype(np.intp)
    return whole * len(NEAR_U) + np.arange(len(NEAR_U)), np.asarray(rows - whole, np.float32)


#: Where the curves that are tried run, worked out once.
CURVE_AT, CURVE_PART = _between_rows(_ROWS)
CURVE_ABOVE = np.asarray((1 - CURVE_PART) * COLUMN_WEIGHT, np.float32)
CURVE_BELOW = np.asarray(CURVE_PART * COLUMN_WEIGHT, np.float32)
#: Steps off the best curve that each column may take, and the quartic that smooths them.
STRAYS = np.linspace(-0.06, 0.06, 13, dtype=np.float32)[:, None]
POWERS = np.vander(NEAR_U.astype(np.float64), 5, increasing=True)
SMOOTHED = np.linalg.solve(POWERS.T @ POWERS + np.diag([0.5, 0.5, 1, 2, 4]), POWERS.T)


@dataclass(frozen=True, slots=True)
class Tones:
    """The mouth's colours in one crop, (3,) float32 BGR."""

    skin: Field
    lip: Field
    dark: Field
    """The inside of an open mouth, as the picture shows or, where it shows none, suggests it."""
    teeth_shown: float
    """1 where the picture shows teeth above the line, 0 where it does not."""


@dataclass(frozen=True, slots=True)
class _Skin:
    luma: float
    redness: float
    colour: Field


@dataclass(frozen=True, slots=True)
class _Mouth:
    """Where the wide patch shows the mouth; lengths in face units."""

    x: float
    y: float
    half_width: float
    trust: float
    """0 where only the landmarks spoke, towards 1 where the picture did."""


def read_lips(crop: Picture, lips: Lips) -> tuple[Lips, Tones]:
    """The lips as the picture shows them.

    Args:
        crop: ``(h, w, 3)`` BGR.
        lips: where the landmarks put them.
    """
    wide = _sample(crop, lips, WIDE_X * lips.unit, WIDE_Y * lips.unit)
    skin = _measure_skin(wide)
    mouth = _find_mouth(wide, skin)
    lips = _recentre(lips, mouth)
    x = np.broadcast_to(lips.along_mouth(NEAR_U), (len(NEAR_Y), len(NEAR_U)))
    y = np.broadcast_to((mouth.y + NEAR_Y[:, None]) * lips.unit, x.shape)
    near = _sample(crop, lips, x, np.asarray(y, np.float32))
    score = _score_split(near, skin, -lips.nose_gap / lips.unit - mouth.y)
    coefficients = _fit_curve(score, mouth)
    curve = np.array([mouth.y, 0, 0, 0, 0]) + coefficients
    tones = _read_tones(near, skin, POWERS @ coefficients)
    return replace(lips, curve=tuple(float(c) * lips.unit for c in curve)), tones


def _sample(crop: Picture, lips: Lips, x: Field, y: Field) -> Field:
    """The crop at places in the face's frame, a little blurred: (rows, columns, 3) float32."""
    map_x, map_y = lips.unaligned(x, y)
    patch = cv2.remap(crop, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.GaussianBlur(patch, (0, 0), 0.8), np.float32)


def _luma_and_redness(patch: Field) -> tuple[Field, Field]:
    blue, green, red = cv2.split(patch)
    luma = np.asarray((blue + green + red) / 3.0, np.float32)
    # The constant keeps the noise of dark pixels from counting as colour.
    return luma, np.asarray((red - 0.5 * (blue + green)) / (luma + 20.0), np.float32)


def _measure_skin(wide: Field) -> _Skin:
    luma, redness = _luma_and_redness(wide)
    colour = [_quantile(wide[WIDE_FACE][..., channel], 0.5) for channel in range(3)]
    return _Skin(
        max(_quantile(luma[WIDE_FACE], 0.5), 4.0),
        _quantile(redness[WIDE_FACE], 0.5),
        np.array(colour, np.float32),
    )


def _quantile(values: Field, part: float) -> float:
    """Without numpy's checks, which take longer than the work on so few values."""
    flat = values.ravel()
    at = int(part * (len(flat) - 1))
    return float(np.partition(flat, at)[at])


def _find_mouth(wide: Field, skin: _Skin) -> _Mouth:
    """Mean shift to what is redder, paler or much darker than skin."""
    luma, redness = _luma_and_redness(wide)
    redder = redness - skin.redness
    usual = 4.0 * (_quantile(np.abs(redder[WIDE_FACE]), 0.5) + 0.015)
    lip = np.clip(redder / usual - 0.4, 0, 1)
    tooth = np.clip(-redder / usual - 0.4, 0, 1) * (luma > 0.75 * skin.luma)
    dark = np.clip(1.0 - luma / (0.45 * skin.luma), 0, 1)
    stands_out = lip + tooth + 0.5 * dark
    x, y, trust = 0.0, 0.06, 0.0
    for _ in range(5):
        off_x, off_y = (WIDE_X - x) / MOUTH_REACH_X, (WIDE_Y - y) / MOUTH_REACH_Y
        weight = stands_out * SEARCH * np.exp(-0.5 * (off_x**2 + off_y**2))
        found = float(weight.sum())
        x = float((weight * WIDE_X).sum()) / (found + LANDMARK_WEIGHT_X)
        y = float((weight * WIDE_Y).sum()) + 0.06 * LANDMARK_WEIGHT_Y
        y /= found + LANDMARK_WEIGHT_Y
        trust = found / (found + LANDMARK_WEIGHT_Y)
    across = WIDE_X[0]
    band = (stands_out * np.exp(-0.5 * ((WIDE_Y - y) / 0.09) ** 2)).max(axis=0)
    profile = np.clip(band, 0, 1) * np.exp(-0.5 * ((across - x) / 0.4) ** 2)
    variance = (profile * (across - x) ** 2).sum() / (profile.sum() + 1e-3)
    # The standard deviation of an even profile is 1/√3 of its half.
    return _Mouth(x, y, 1.8 * float(np.sqrt(variance)), trust)


def _recentre(lips: Lips, mouth: _Mouth) -> Lips:
    half = 0.5 * (lips.right - lips.left)
    seen = float(np.clip(mouth.half_width * lips.unit / half, 0.75, 1.15))
    scale = 1.0 + 0.6 * mouth.trust * (seen - 1.0)
    shift = mouth.x * lips.unit
    left, middle, right = (shift + scale * at for at in (lips.left, lips.middle, lips.right))
    return replace(lips, left=left, middle=middle, right=right)


def _score_split(near: Field, skin: _Skin, nose_y: float) -> Field:
    """How well each sample of the near patch would do as the place where the lower lip begins.

    ``nose_y`` is where the nose ends, in the patch's rows: its shadow is no lip.
    """
    luma, redness = _luma_and_redness(near)
    redder = redness - skin.redness
    much = max(_quantile(np.abs(redder), 0.85), 0.05)
    beneath_nose = np.clip((NEAR_Y[:, None] - nose_y) / 0.06 + 0.5, 0, 1)
    redder = redder / much * beneath_nose
    bright = luma / skin.luma
    reach = round(0.04 / NEAR_STEP)
    bright_above, bright_below = _neighbours(bright, reach)
    redder_above, redder_below = _neighbours(redder, reach)
    contrast = max(float(bright.std()), 0.06)
    valley = np.clip((np.minimum(bright_above, bright_below) - bright) / contrast, 0, 1.5)
    # Under the line there is a lip, which is redder than skin; teeth and skin are not.
    lip_rows = round(0.08 / NEAR_STEP)
    kernel = np.full((lip_rows, 1), 1.0 / lip_rows, np.float32)
    under = cv2.filter2D(redder, -1, kernel, anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
    lip_below = np.clip(0.35 + 1.2 * under, 0.1, 1.0)
    # Over it there is a mouth: an upper lip, teeth or the dark. Over the upper lip there is skin.
    mouth_rows = round(0.22 / NEAR_STEP)
    stands_out = np.maximum.reduce([np.abs(redder), 1.3 - bright / 0.5, (bright - 1.1) * 3])
    mouth_above = cv2.dilate(
        np.clip(stands_out * beneath_nose, 0.15, 1.0),
        np.ones((mouth_rows, 1), np.uint8),
        anchor=(0, mouth_rows - 1),
    )
    tooth = np.clip(-1.2 * redder_above, 0, 1) * (bright_above > 0.45)
    tooth = np.maximum(tooth, np.clip(3 * (bright_above - 1.12), 0, 1))
    # Teeth as red as skin are known by the lip over them.
    lip_over_teeth = cv2.dilate(
        np.clip(1.3 * _neighbours(redder, 2 * reach)[0] - 0.3, 0, 1),
        np.ones((2 * lip_rows, 1), np.uint8),
        anchor=(0, 2 * lip_rows - 1),
    )
    pale = np.clip(1.2 - 2.0 * redder_above, 0, 1) * (bright_above > 0.45)
    tooth = np.maximum(tooth * np.clip(0.2 + 1.5 * lip_over_teeth, 0, 1), pale * lip_over_teeth)
    from_tooth = tooth * np.clip(redder_below - redder_above, 0, 1)
    from_dark = np.clip(1.6 - bright_above / 0.3, 0, 1)
    from_dark *= np.clip((bright_below - bright_above) / 0.3, 0, 1)
    edge = np.maximum(from_tooth, 0.8 * from_dark) * np.maximum(lip_below, 0.3)
    deep = np.clip(1.3 - bright / 0.3, 0, 1)
    return np.asarray(1.1 * valley * lip_below * mouth_above + 1.6 * edge + 0.5 * deep, np.float32)


def _fit_curve(score: Field, mouth: _Mouth) -> npt.NDArray[np.float64]:
    """Powers of u, constant first, of the curve below the mouth's middle; in face units."""
    flat = score.ravel()
    along = flat.take(CURVE_AT) * CURVE_ABOVE
    along += flat[len(NEAR_U) :].take(CURVE_AT) * CURVE_BELOW
    fit = 8.0 * along.sum(axis=1)
    corners = _MIDDLE - _SAG + (1.0 - mouth.trust) * mouth.y + 0.03 * mouth.trust - 0.01
    fit -= 0.5 * (((_MIDDLE - 0.02) / 0.08) ** 2 + (corners / 0.07) ** 2 + (_TILT / 0.07) ** 2)
    weight = np.exp(1.5 * (fit - fit.max()))
    middle, sag, tilt = (weight[:, None] * CURVES).sum(axis=0) / weight.sum()
    base = middle - sag * NEAR_U**2 + 0.5 * tilt * NEAR_U
    at, part = _between_rows(base + STRAYS)
    along = flat[at] * (1 - part) + flat[at + len(NEAR_U)] * part
    near = np.exp(3.0 * along - 0.5 * (STRAYS / 0.03) ** 2)
    stray = 1.3 * (near * STRAYS).sum(axis=0) / near.sum(axis=0)
    powers = np.array([middle, 0.5 * tilt, -sag, 0.0, 0.0]) + SMOOTHED @ stray
    return np.asarray(powers, np.float64)


def _neighbours(field: Field, rows: int) -> tuple[Field, Field]:
    """The values that many rows above and below each."""
    padded = np.asarray(
        cv2.copyMakeBorder(field, rows, rows, 0, 0, cv2.BORDER_REPLICATE), np.float32
    )
    return padded[: -2 * rows], padded[2 * rows :]


def _read_tones(near: Field, skin: _Skin, line: npt.NDArray[np.float64]) -> Tones:
    luma, redness = _luma_and_redness(near)
    below = NEAR_Y[:, None] - line
    central = np.exp(-0.5 * (NEAR_U / 0.45) ** 2)
    lip = _weighted(near, central * np.exp(-0.5 * ((below - 0.07) / 0.03) ** 2))
    # Pixels at the line that are as dark as a mouth's inside; a soft minimum, not one pixel's.
    bright = luma / skin.luma
    weight = central * np.exp(-0.5 * (below / 0.06) ** 2 - bright / 0.08)
    darkest = _weighted(near, weight)
    shows = float(np.clip((0.40 - darkest.mean() / skin.luma) / 0.2, 0, 1))
    usual = skin.luma * np.array([0.11, 0.12, 0.24], np.float32)
    # No brighter than it may be, no blacker than the picture's own darkest.
    dark = usual + 0.5 * shows * (np.minimum(darkest, 2.0 * usual) - usual)
    much = max(_quantile(np.abs(redness - skin.redness), 0.85), 0.05)
    pale = np.clip(1.2 - 2.0 * (redness - skin.redness) / much, 0, 1)
    pale *= np.clip(3 * bright - 1.4, 0, 1)
    over = central * np.exp(-0.5 * ((below + 0.05) / 0.03) ** 2)
    teeth = float((over * pale).sum() / over.sum())
    return Tones(
        np.asarray(skin.colour, np.float32),
        lip,
        np.asarray(dark, np.float32),
        float(np.clip(3.5 * teeth - 0.6, 0, 1)),
    )


def _weighted(patch: Field, weight: npt.NDArray[np.floating]) -> Field:
    total = max(float(weight.sum()), 1e-12)
    return np.asarray((patch * weight[..., None]).sum(axis=(0, 1)) / total, np.float32)
