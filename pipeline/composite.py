"""The mouth into the frame.

Two ways. ``box`` is the original script's: the mouth, resized, replaces the whole box. ``feather``
adds only the *change* the network made, weighted by a soft mask over the lower face: where mask or
change is zero the source's samples stay as they are, grain and all.

Everything here depends on one frame alone, so a film cut anywhere gives the same pictures.
"""

import av
import cv2
import numpy as np

from pipeline.color import Bytes, Floats, add_change, read_crop, replace_box
from pipeline.geometry import Box
from pipeline.media.info import ColorTags
from pipeline.options import Blend

__all__ = ["box_patch", "feather_mask", "paste_mouth", "read_crop"]

# The mask is drawn on a grid of this many rows and columns and enlarged: its edges are far softer
# than a cell.
MASK_CELLS = 64

# The network's colour cast is measured on skin around the mouth; lengths in box widths.
# Wider smoothing follows shading less, narrower lets lip colour leak into the measure.
CAST_SMOOTHING = 0.10
CAST_CELLS = 32
# The lips are left out of the measure: an ellipse of this many mouth widths, across and down.
LIPS_ACROSS, LIPS_DOWN = 0.75, 0.55
# Pixels further off than this, in grey levels, show something else (an opened mouth, a lowered
# chin, hair), not a cast.
CAST_OUTLIER = 22.0

# How different, in grey levels, mouth and source may be for the source's fine detail (skin
# texture, stubble, grain) to still belong there.
DETAIL_AGREEMENT = 10.0
SHARPNESS = 0.6


def box_patch(mouth: Bytes, box: Box) -> Bytes:
    """The mouth as the original script pastes it: (h, w, 3) uint8 BGR of the box's size."""
    return np.asarray(cv2.resize(mouth, (box.width, box.height)), np.uint8)


def paste_mouth(
    frame: av.VideoFrame,
    box: Box,
    crop: Bytes,
    mouth: Bytes,
    landmarks: Floats,
    color: ColorTags,
    *,
    rotation: int = 0,
    blend: Blend = "feather",
    match_color: bool = True,
) -> None:
    """Put a mouth into the frame's own planes; samples outside the box are not touched.

    crop: what `read_crop` gave for the box, (h, w, 3) uint8 BGR. mouth: the network's picture of
    the whole box, uint8 BGR of any size. landmarks: (5, 2) float32 in crop coordinates.
    match_color: take out the network's colour cast; off for networks that
    return the crop's own pixels.
    """
    if blend == "box":
        replace_box(frame, box, box_patch(mouth, box), color, rotation)
        return
    mask = feather_mask(box.width, box.height, landmarks)
    left, top, width, height = cv2.boundingRect((mask > 0).astype(np.uint8))
    if width == 0:
        return
    inner = (slice(top, top + height), slice(left, left + width))
    change = _change(crop, mouth, landmarks, inner, match_color=match_color)
    change *= cv2.merge([mask[inner]] * 3)
    place = Box(box.x1 + left, box.y1 + top, box.x1 + left + width, box.y1 + top + height)
    add_change(frame, place, change, color, rotation)


def _change(
    crop: Bytes, mouth: Bytes, landmarks: Floats, inner: tuple[slice, slice], *, match_color: bool
) -> Floats:
    """What the mouth changes inside part of the crop, float32 BGR in 8-bit steps."""
    if mouth.shape == crop.shape and not match_color:
        return np.subtract(mouth[inner], crop[inner], dtype=np.float32)
    shown = cv2.resize(crop, mouth.shape[1::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    spoken = mouth.astype(np.float32)
    if match_color:
        spoken += _cast(spoken, shown, _lips_ellipse(spoken.shape, crop.shape, landmarks))
    doubt = _doubt(spoken, shown)
    spoken += SHARPNESS * (spoken - cv2.GaussianBlur(spoken, (0, 0), 1.0))
    # Enlarged: the coarse change, and the coarse source where its fine detail is to go, in which
    # case what goes is the crop minus that. One enlargement serves both, as doubt is smooth.
    coarse = cv2.merge([*cv2.split(spoken - shown + cv2.merge([doubt] * 3) * shown), doubt])
    fine = cv2.resize(coarse, crop.shape[1::-1], interpolation=cv2.INTER_CUBIC)[inner]
    *parts, doubts = cv2.split(fine)
    own = cv2.split(crop[inner].astype(np.float32))
    return cv2.merge([part - doubts * detail for part, detail in zip(parts, own, strict=True)])


def _doubt(spoken: Floats, shown: Floats) -> Floats:
    """Where the source's fine detail does not belong to the mouth: (h, w) float32 in [0, 1]."""
    distance = _largest(cv2.GaussianBlur(spoken - shown, (0, 0), 1.5))
    doubt: Floats = 1 - cv2.exp(-np.square(distance / DETAIL_AGREEMENT))
    return doubt


def _largest(difference: Floats) -> Floats:
    """The largest absolute value over the channels."""
    blue, green, red = (np.abs(part) for part in cv2.split(difference))
    return np.maximum(np.maximum(blue, green), red)


def _cast(spoken: Floats, shown: Floats, lips: Floats) -> Floats:
    """What to add to the mouth so that its skin has the source's colours, (h, w, 3) float32.

    A slowly varying offset per channel, measured on the lower half: there networks draw anew, with
    a cast that may differ from the upper half's. It continues smoothly across the lips, which are
    left out. Thousands of pixels a value and soft weights keep it still from frame to frame.
    """
    height, width = lips.shape
    off = cv2.blur(shown - spoken, (5, 5))
    weight = 1 - lips
    weight[: height // 2 + 3] = 0  # the seam of the halves and what lies above it
    skin = weight > 0.5
    typical = np.median(off[skin], axis=0) if skin.any() else np.zeros(3)
    distance = _largest(off - typical.astype(np.float32))
    weight *= cv2.exp(-np.square(distance / CAST_OUTLIER))
    # Far from any skin the offset falls back to the typical one.
    ground = np.float32(0.02)
    total = _smoothed(weight) + ground
    weighted = _smoothed(off * cv2.merge([weight] * 3)) + (ground * typical).astype(np.float32)
    cast = np.asarray(weighted / cv2.merge([total] * 3), np.float32)
    return np.asarray(cv2.resize(cast, (width, height), interpolation=cv2.INTER_CUBIC))


def _smoothed(picture: Floats) -> Floats:
    """Blurred by CAST_SMOOTHING of the width, at CAST_CELLS across: it holds no finer detail."""
    small = cv2.resize(picture, (CAST_CELLS, CAST_CELLS), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), CAST_SMOOTHING * CAST_CELLS))


def _lips_ellipse(cells: tuple[int, ...], pixels: tuple[int, ...], landmarks: Floats) -> Floats:
    """1 on the lips, 0 away from them, on a grid of cells over a crop of pixels; float32."""
    points = landmarks[3:]
    centre, mouth_width = points.mean(axis=0), max(float(np.ptp(points[:, 0])), 0.2 * pixels[1])
    x = (np.arange(cells[1], dtype=np.float32) + 0.5) * (pixels[1] / cells[1]) - centre[0]
    y = (np.arange(cells[0], dtype=np.float32) + 0.5) * (pixels[0] / cells[0]) - centre[1]
    radius = np.hypot(
        (x / (LIPS_ACROSS * mouth_width))[None, :], (y / (LIPS_DOWN * mouth_width))[:, None]
    )
    return 1 - _smoothstep((radius - 0.85) / 0.3)


def feather_mask(width: int, height: int, landmarks: Floats) -> Floats:
    """How much of the mouth shows at each pixel of the box: (height, width) float32 in [0, 1].

    It begins between nose and upper lip, widens to the cheeks, covers the chin and is zero on the
    box's border. landmarks: (5, 2) in crop coordinates.
    """
    scale = np.array([MASK_CELLS / width, MASK_CELLS / height])
    points = landmarks * scale
    eyes, nose, lips = points[:2].mean(axis=0), points[2], points[3:].mean(axis=0)
    rows, columns = np.mgrid[0:MASK_CELLS, 0:MASK_CELLS].astype(np.float32) + 0.5
    down = lips - eyes
    reach = float(np.hypot(*down)) + 1e-6
    down = down / reach
    across = np.array([down[1], -down[0]])
    v = (columns - lips[0]) * down[0] + (rows - lips[1]) * down[1]
    nose_v = float((nose - lips) @ down)
    nose_v = min(max(nose_v, -0.6 * reach), -0.25 * reach)
    u = (columns - lips[0]) * across[0] + (rows - lips[1]) * across[1]
    begin = _smoothstep((v - 0.95 * nose_v) / (-0.55 * nose_v))
    half_width = 0.36 * MASK_CELLS
    side = 1 - _smoothstep((np.abs(u) / half_width - 0.55) / 0.6)
    margin = np.minimum.reduce([columns, MASK_CELLS - columns, rows, MASK_CELLS - rows])
    border = _smoothstep((margin - 1.5) / (0.09 * MASK_CELLS))
    small = (begin * side * border).astype(np.float32)
    mask: Floats = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    mask[[0, -1]] = 0  # a box of fewer pixels than cells skips the grid's own border
    mask[:, [0, -1]] = 0
    return mask


def _smoothstep(t: Floats) -> Floats:
    t = np.clip(t, 0, 1)
    step: Floats = t * t * (3 - 2 * t)
    return step
