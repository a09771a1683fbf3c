"""draft: a renderer that needs no checkpoint, and makes a real face speak by moving its own pixels.

The lower face is warped round five landmarks: the jaw drops, the lips part, the corners draw in or
out; what shows between the lips is painted from the lips' own colours. It is meant for judging
timing, tracking and blending before a checkpoint is installed, so it says what it is: the network's
name stands in the report.

A closed mouth is the source's own mouth: at openness 0 a crop comes back as it went in, bit for
bit.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.networks import Sound
from pipeline.networks.articulation import Articulation, articulate
from pipeline.networks.lips import Lips, find_lips

Picture = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float32]

#: Part of the digest: change it whenever a pixel of the output may change.
VERSION = "1"

#: The widest gap between the lips, in face units (about the distance from eyes to mouth).
WIDEST_GAP = 0.27
#: The lower lip takes most of the gap; the upper one rises by the rest.
LOWER_SHARE = 0.86
#: The lips part over this much of the mouth's width; at its very corners they stay together.
PARTED_WIDTH = 0.88
#: How much of the lower lip's fall the chin shares.
CHIN_SHARE = 0.62
#: How far the corners draw in for *oo*, out for *ee*, and in again as the jaw drops.
ROUNDING, SPREADING, DROPPING = 0.26, 0.10, 0.14
#: The warp is built on a grid this many times coarser than the crop; it is smooth, so it may be.
COARSENESS = 6
#: Part of the crop's size over which the warp fades towards its border.
BORDER = 0.10


class DraftNetwork:
    """The built-in renderer; see the module."""

    name = "draft"
    precision_note = "uint8: the source's own pixels, warped"
    batch_size = 8
    lanes = 2
    #: Mouths come back in the crop's own size and colours: nothing to resize or to fit.
    returns_native = True

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"draft {VERSION}".encode()).hexdigest()

    def hear(
        self,
        sound: Sound,
        times: npt.NDArray[np.float64],
        frame_rate: float | None = None,  # noqa: ARG002  the curves are read at the frames' times
    ) -> Sequence[Articulation]:
        """One :class:`Articulation` per output frame."""
        shapes = articulate(sound, times)
        return [Articulation(float(openness), float(spread)) for openness, spread in shapes]

    def speak(
        self,
        crops: Sequence[Picture],
        landmarks: Sequence[npt.NDArray[np.float32]],
        features: Sequence[Articulation],
    ) -> list[Picture]:
        """The crops with their mouths as the features say, at the crops' own sizes."""
        return [
            move_mouth(crop, points, feature)
            for crop, points, feature in zip(crops, landmarks, features, strict=True)
        ]


def move_mouth(crop: Picture, landmarks: npt.NDArray[np.float32], shape: Articulation) -> Picture:
    """One crop with its mouth opened to ``shape``.

    Args:
        crop: ``(h, w, 3)`` BGR.
        landmarks: ``(5, 2)`` in the crop's pixels, the picture's left first.
        shape: how far to open, and how wide.

    Returns:
        ``(h, w, 3)`` BGR; a copy of the crop where the mouth is closed or no mouth can be made out.
    """
    if shape.openness <= 0.0:
        return crop.copy()
    lips = find_lips(crop, landmarks)
    if lips is None:
        return crop.copy()
    opening = _opening(lips, shape, crop.shape[0], crop.shape[1])
    warped = _warp(crop, lips, opening)
    _paint_mouth(warped, lips, opening)
    return warped


@dataclass(frozen=True, slots=True)
class Opening:
    """How the mouth is open, in the crop's pixels."""

    upper: float
    """How far the middle of the upper lip rises."""
    lower: float
    """How far the middle of the lower lip falls."""
    narrowing: float
    """Part of its width the mouth loses (negative: gains)."""
    wideness: float
    """0 a slit with thin ends, 1 a full oval."""

    def lens(self, u: Field) -> Field:
        """The gap across the mouth, 1 in the middle, 0 at the corners (|u| = 1) and beyond."""
        inside = np.maximum(1.0 - (u / PARTED_WIDTH) ** 2, 0.0)
        return np.asarray(inside ** np.float32(1.15 - 0.3 * self.wideness), np.float32)


def _opening(lips: Lips, shape: Articulation, height: int, width: int) -> Opening:
    gap = WIDEST_GAP * lips.unit * shape.openness
    # A crop that ends at the lips leaves no room to fall: keep the warp from folding.
    below = lips.room_below(height, width)
    gap = min(gap, 0.5 * below)
    rounded, spread = max(-shape.spread, 0.0), max(shape.spread, 0.0)
    narrowing = ROUNDING * rounded - SPREADING * spread + DROPPING * shape.openness
    # Rounded lips stand closer together than an open jaw's.
    gap *= 1.0 - 0.25 * rounded
    return Opening(
        upper=(1.0 - LOWER_SHARE) * gap,
        lower=LOWER_SHARE * gap,
        narrowing=narrowing * min(1.0, 3.0 * shape.openness),
        wideness=min(shape.openness + 0.5 * rounded, 1.0),
    )


def _warp(crop: Picture, lips: Lips, opening: Opening) -> Picture:
    """The crop with the lips parted and the jaw dropped; between the lips is left unpainted."""
    height, width = crop.shape[:2]
    coarse = _shift(lips, opening, *_grid(height, width, COARSENESS))
    shift = cv2.resize(np.dstack(coarse), (width, height), interpolation=cv2.INTER_LINEAR)
    # Where the lips part the warp has an edge, which must be sharp.
    rows, columns = lips.bounds(opening.upper, opening.lower, COARSENESS, height, width)
    x, y = _grid(height, width, 1)
    part = np.s_[rows, columns]
    shift[part] = np.dstack(_shift(lips, opening, x[part], y[part]))
    shift = shift * _window(height, width)
    warped = cv2.remap(
        crop,
        x + shift[..., 0],
        y + shift[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, np.uint8)


def _shift(lips: Lips, opening: Opening, grid_x: Field, grid_y: Field) -> tuple[Field, Field]:
    """Where the crop's points come from, as shifts in its pixels."""
    x, y = lips.aligned(grid_x, grid_y)
    source_x = _narrowed(x, y, lips, opening)
    u = lips.across(source_x)
    line, lens = lips.line(u), opening.lens(u)
    rise, fall = opening.upper * lens, opening.lower * lens
    upward = rise * _falloff((line - rise - y) / (0.30 * lips.unit))
    downward = -_lower_fall(x, y - line - fall, fall, lips, opening)
    is_below = y > line + 0.5 * (fall - rise)
    fade = _smoothstep((y + lips.nose_gap) / (0.8 * lips.nose_gap))
    return lips.unaligned_shift((source_x - x) * fade, np.where(is_below, downward, upward) * fade)


def _narrowed(x: Field, y: Field, lips: Lips, opening: Opening) -> Field:
    """Where a point across the face comes from when the corners draw in."""
    reach_x, reach_y = 0.55 * lips.unit, 0.42 * lips.unit
    near = np.exp(-((x / reach_x) ** 2) - (y / reach_y) ** 2)
    return np.asarray(x + (x - lips.middle) * opening.narrowing * near, np.float32)


def _lower_fall(x: Field, depth: Field, fall: Field, lips: Lips, opening: Opening) -> Field:
    """How far what is seen ``depth`` below the moved lip line has fallen."""
    unit = lips.unit
    lip = fall * _falloff(depth / (0.62 * unit))
    wide = np.exp(-((x / (0.75 * unit)) ** 2))
    chin = _smoothstep(depth / (0.38 * unit)) * (1.0 - _smoothstep((depth / unit - 0.55) / 0.5))
    jaw = CHIN_SHARE * opening.lower * wide * chin
    return np.asarray(lip + jaw * (1.0 - _falloff(depth / (0.62 * unit))), np.float32)


def _paint_mouth(picture: Picture, lips: Lips, opening: Opening) -> None:
    """Paint teeth, tongue and the dark between the lips, in place."""
    height, width = picture.shape[:2]
    rows, columns = lips.bounds(opening.upper, opening.lower, 0, height, width)
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return
    grid_x, grid_y = _grid(height, width, 1)
    x, y = lips.aligned(grid_x[rows, columns], grid_y[rows, columns])
    u = lips.across(_narrowed(x, y, lips, opening))
    line, lens = lips.line(u), opening.lens(u)
    top, bottom = line - opening.upper * lens, line + opening.lower * lens
    soft = max(1.0, 0.024 * lips.unit)
    alpha = np.clip((y - top) / soft + 0.3, 0, 1) * np.clip((bottom - y) / soft + 0.3, 0, 1)
    alpha *= np.clip((bottom - top) / (1.5 * soft), 0, 1)
    colour = _mouth_colours(y, u, (top, bottom), lips, opening)
    patch = picture[rows, columns]
    mixed = patch + alpha[..., None] * (colour - patch)
    picture[rows, columns] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def _mouth_colours(
    y: Field, u: Field, gap: tuple[Field, Field], lips: Lips, opening: Opening
) -> Field:
    """``(h, w, 3)`` BGR of the inside of the mouth, lit as the lips are."""
    unit = lips.unit
    top, bottom = gap
    depth = (y - top) / np.maximum(bottom - top, 1.0)
    luma = lips.lip_colour.mean()
    chroma = lips.lip_colour - luma
    dark = np.maximum(0.13 * luma + 0.28 * chroma, 0.0)
    tongue = np.maximum(0.40 * luma + 0.75 * chroma, 0.0)
    tongue_weight = _smoothstep((depth - 0.5) / 0.5) * np.clip(1 - 1.3 * u * u, 0, 1)
    tongue_weight *= min(1.0, opening.lower / (0.16 * unit))
    colour = dark + tongue_weight[..., None] * (tongue - dark)
    # The edge of the upper teeth stands still, whatever the lips do.
    edge = lips.line(u) + (0.050 - 0.02 * u * u) * unit
    soft = max(1.0, 0.014 * unit)
    teeth = np.clip((edge - y) / soft, 0, 1) * np.clip(1.15 - 1.5 * u * u, 0, 1)
    teeth *= lips.teeth_missing * np.clip((y - top) / (0.03 * unit), 0.35, 1)
    shade = 0.85 - 0.35 * u * u
    tooth_colour = lips.tooth_colour * shade[..., None]
    return np.asarray(colour + (0.9 * teeth)[..., None] * (tooth_colour - colour), np.float32)


@lru_cache(maxsize=16)
def _grid(height: int, width: int, coarseness: int) -> tuple[Field, Field]:
    """x and y; coarse pixels lie where :func:`cv2.resize` puts them."""
    rows, columns = -(-height // coarseness), -(-width // coarseness)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    x = (x + 0.5) * np.float32(width / columns) - np.float32(0.5)
    y = (y + 0.5) * np.float32(height / rows) - np.float32(0.5)
    return x, y


@lru_cache(maxsize=8)
def _window(height: int, width: int) -> Field:
    """``(height, width, 1)``: how much may move there, nothing at the crop's border."""
    x, y = _grid(height, width, 1)
    across = np.asarray(np.minimum(x, width - 1 - x) / (BORDER * width), np.float32)
    down = np.asarray(np.minimum(y, height - 1 - y) / (BORDER * height), np.float32)
    return np.asarray(_smoothstep(across) * _smoothstep(down), np.float32)[..., None]


def _smoothstep(value: Field) -> Field:
    along = np.clip(value, 0.0, 1.0)
    return np.asarray(along * along * (3.0 - 2.0 * along), np.float32)


def _falloff(distance: Field) -> Field:
    """1 at 0 and before, smoothly down to 0 at 1."""
    return np.asarray(1.0 - _smoothstep(distance), np.float32)
