"""draft: a renderer that needs no checkpoint, and makes a real face speak by moving its own pixels.

The lower face is parted where the lower lip begins: lower lip and jaw drop as they are, upper lip
and teeth stay, the corners draw in or out; what shows in the gap is painted in the face's own
colours. It is meant for judging
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
from pipeline.networks.lip_line import Tones, read_lips
from pipeline.networks.lips import Field, Lips, place_lips
from pipeline.networks.mouth_inside import colour_inside, grain_like, smoothstep

Picture = npt.NDArray[np.uint8]

#: Part of the digest: change it whenever a pixel of the output may change.
VERSION = "2"

#: The widest gap between the lips, in face units (about the distance from eyes to mouth).
WIDEST_GAP = 0.34
#: How much of the gap the upper lip gives, where it covers the teeth. Teeth never move.
UPPER_SHARE = 0.18
#: The lower lip falls as it is, this far below its edge, in face units; the chin falls less.
LIP_THICKNESS = 0.16
CHIN_SHARE = 0.70
#: The lower lip's very edge is left out, in face units: teeth cling to it.
TRIM = 0.014
#: Below the lips, within this many face units, the whole width of the jaw comes to fall.
JAW_WIDENS = 0.50
#: How far the corners draw in for *oo*, out for *ee*, and in again as the jaw drops.
ROUNDING, SPREADING, DROPPING = 0.24, 0.10, 0.12
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
    moved = crop.copy()
    placed = place_lips(landmarks) if shape.openness > 0.0 else None
    if placed is None:
        return moved
    lips, tones = read_lips(crop, placed)
    opening = _opening(lips, tones, shape, crop.shape[0], crop.shape[1])
    _warp(crop, lips, opening, moved)
    _paint_gap(crop, lips, tones, opening, moved)
    return moved


@dataclass(frozen=True, slots=True)
class Opening:
    """How the mouth is open, in the crop's pixels."""

    upper: float
    """How far the middle of the upper lip rises."""
    lower: float
    """How far the middle of the lower lip falls."""
    narrowing: float
    """Part of its width the mouth loses (negative: gains)."""
    roundness: float
    """0 a lens with thin ends, 1 a full oval."""

    def lens(self, u: Field) -> Field:
        """The gap across the mouth, 1 in the middle, 0 at the corners and beyond."""
        inside = np.maximum(1.0 - u * u, 0.0)
        # Under 1 it is a full oval; above, its ends run out thin.
        return np.asarray(inside ** np.float32(1.35 - 0.6 * self.roundness), np.float32)


def _opening(lips: Lips, tones: Tones, shape: Articulation, height: int, width: int) -> Opening:
    gap = WIDEST_GAP * lips.unit * shape.openness
    # A crop that ends at the lips leaves no room to fall: keep the warp from folding.
    gap = min(gap, 0.5 * lips.room_below(height, width))
    rounded, spread = max(-shape.spread, 0.0), max(shape.spread, 0.0)
    # Rounded lips stand closer together than an open jaw's.
    gap *= 1.0 - 0.25 * rounded
    # A smile is held: it opens less, and keeps its width and its thin ends.
    smile = tones.teeth_shown
    gap *= 1.0 - 0.2 * smile
    narrowing = (
        ROUNDING * rounded - SPREADING * spread + DROPPING * (1.0 - 0.5 * smile) * shape.openness
    )
    rise = UPPER_SHARE * (1.0 - smile)
    return Opening(
        upper=rise * gap,
        lower=(1.0 - rise) * gap,
        narrowing=narrowing * min(1.0, 3.0 * shape.openness),
        roundness=min((0.8 - 0.4 * smile) * shape.openness + 0.5 * rounded, 1.0),
    )


def _warp(crop: Picture, lips: Lips, opening: Opening, moved: Picture) -> None:
    """Part the lips and drop the jaw, into ``moved``; the gap is left to be painted."""
    height, width = crop.shape[:2]
    x, y = _grid(height, width, COARSENESS)
    coarse = _shift(lips, opening, x, y)
    shift_x, shift_y = (
        cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR) for part in coarse
    )
    # Where the lips part the warp has an edge, which must be sharp.
    x, y = _grid(height, width, 1)
    part = lips.bounds(opening.upper, opening.lower, COARSENESS, height, width)
    shift_x[part], shift_y[part] = _shift(lips, opening, x[part], y[part])
    lower = _lower_face(lips, height, width)
    window = _window(height, width)[lower]
    moved[lower] = cv2.remap(
        crop,
        x[lower] + shift_x[lower] * window,
        y[lower] + shift_y[lower] * window,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _lower_face(lips: Lips, height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of the crop that hold all that lies below the nose."""
    x, y = _grid(height, width, COARSENESS)
    below = lips.aligned(x, y)[1] > -lips.nose_gap - COARSENESS
    rows, columns = (np.flatnonzero(below.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return slice(0), slice(0)
    return (
        slice(int(rows[0]) * COARSENESS, min((int(rows[-1]) + 1) * COARSENESS, height)),
        slice(int(columns[0]) * COARSENESS, min((int(columns[-1]) + 1) * COARSENESS, width)),
    )


def _shift(lips: Lips, opening: Opening, grid_x: Field, grid_y: Field) -> tuple[Field, Field]:
    """Where the crop's points come from, as shifts in its pixels."""
    x, y = lips.aligned(grid_x, grid_y)
    source_x = _narrowed(x, y, lips, opening)
    u = lips.across(source_x)
    line, lens = lips.line(u), opening.lens(u)
    rise, fall = opening.upper * lens, opening.lower * lens
    upward = y + rise * (1.0 - smoothstep((line - rise - y) / (0.30 * lips.unit)))
    downward = y - _fall(x, y - line - fall, lens, lips, opening)
    # Neither half shows what belongs to the other.
    is_below = y > line + 0.5 * (fall - rise)
    lip = line + np.minimum(TRIM * lips.unit, 0.3 * (fall + rise))
    source_y = np.where(is_below, np.maximum(downward, lip), np.minimum(upward, line))
    source_y = np.where(lens > 0, source_y, np.where(is_below, downward, upward))
    fade = smoothstep((y + lips.nose_gap) / (0.8 * lips.nose_gap))
    return lips.unaligned_shift((source_x - x) * fade, (source_y - y) * fade)


def _narrowed(x: Field, y: Field, lips: Lips, opening: Opening) -> Field:
    """Where a point across the face comes from when the corners draw in; the middle stays."""
    off, height = x - np.float32(lips.middle), y - np.float32(lips.curve[0])
    reach_x, reach_y = 0.55 * lips.unit, 0.42 * lips.unit
    near = np.exp(-((off / reach_x) ** 2) - (height / reach_y) ** 2)
    corners = smoothstep(np.abs(lips.across(x)) * np.float32(1 / 0.9))
    return np.asarray(x + off * opening.narrowing * near * corners, np.float32)


def _fall(x: Field, depth: Field, lens: Field, lips: Lips, opening: Opening) -> Field:
    """How far what is seen ``depth`` below the lower lip's edge has fallen."""
    depth = depth / np.float32(lips.unit)
    jaw = np.exp(-(((x - lips.middle) / (0.75 * lips.unit)) ** 2))
    across = lens + (jaw - lens) * smoothstep(depth / JAW_WIDENS)
    down = 1.0 - (1.0 - CHIN_SHARE) * smoothstep((depth - LIP_THICKNESS) / 0.4)
    return np.asarray(opening.lower * across * down, np.float32)


def _paint_gap(crop: Picture, lips: Lips, tones: Tones, opening: Opening, moved: Picture) -> None:
    """Paint what shows between the lips, in place."""
    height, width = moved.shape[:2]
    part = lips.bounds(opening.upper, opening.lower, 0, height, width)
    patch = moved[part]
    if patch.size == 0:
        return
    grid_x, grid_y = _grid(height, width, 1)
    x, y = lips.aligned(grid_x[part], grid_y[part])
    u = lips.across(_narrowed(x, y, lips, opening))
    line, lens = lips.line(u), opening.lens(u)
    top, bottom = line - opening.upper * lens, line + opening.lower * lens
    soft = max(1.2, 0.020 * lips.unit)
    alpha = np.clip((y - top) / soft + 0.4, 0, 1) * np.clip((bottom - y) / soft + 0.4, 0, 1)
    alpha *= np.clip((bottom - top) / (1.5 * soft), 0, 1)
    colour = colour_inside((u, y), (top, bottom), lips.unit, tones)
    colour += grain_like(crop[part], patch.shape[:2])
    mixed = patch + alpha[..., None] * (colour - patch)
    moved[part] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


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
    """``(height, width)``: how much may move there, nothing at the crop's border."""
    x, y = _grid(height, width, 1)
    across = np.asarray(np.minimum(x, width - 1 - x) / (BORDER * width), np.float32)
    down = np.asarray(np.minimum(y, height - 1 - y) / (BORDER * height), np.float32)
    return np.asarray(smoothstep(across) * smoothstep(down), np.float32)
