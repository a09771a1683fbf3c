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
    change *= _for_each_channel(mask[inner])
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
        height, width = crop.shape[:2]
        spoken += _cast(shown - spoken, _lips_ellipse(width, height, landmarks))
    agreement = _agreement(spoken - shown)
    blurred = cv2.GaussianBlur(spoken, (0, 0), 1.0)
    sharp = cv2.addWeighted(spoken, 1 + SHARPNESS, blurred, -SHARPNESS, 0)
    # What is enlarged lacks the coarse source where the crop itself, fine detail and all, goes in.
    coarse = sharp - _for_each_channel(agreement) * shown
    drawn = cv2.resize(coarse, crop.shape[1::-1], interpolation=cv2.INTER_CUBIC)[inner]
    doubt = 1 - cv2.resize(agreement, crop.shape[1::-1], interpolation=cv2.INTER_CUBIC)[inner]
    change: Floats = drawn - _for_each_channel(doubt) * crop[inner]
    return change


def _for_each_channel(weights: Floats) -> Floats:
    """(h, w) → (h, w, 3): numpy multiplies that several times as fast as a broadcast."""
    return cv2.merge([weights] * 3)


def _agreement(difference: Floats) -> Floats:
    """Where the source's fine detail belongs to the mouth, too: (h, w) float32 in [0, 1]."""
    distance = _largest(cv2.GaussianBlur(difference, (0, 0), 1.5))
    agreement: Floats = cv2.exp(-np.square(distance / DETAIL_AGREEMENT))
    return agreement


def _largest(difference: Floats) -> Floats:
    """The largest absolute value over the channels."""
    apart = np.abs(difference)
    return np.maximum(np.maximum(apart[..., 0], apart[..., 1]), apart[..., 2])


def _cast(off: Floats, lips: Floats) -> Floats:
    """What to add to the mouth so that its skin has the source's colours, (h, w, 3) float32.

    A slowly varying offset per channel, measured on the lower half: there networks draw anew, with
    a cast that may differ from the upper half's. It continues smoothly across the lips, which are
    left out. Thousands of pixels a value and soft weights keep it still from frame to frame.

    off: source less mouth, (h, w, 3) float32. lips: from `_lips_ellipse`.
    """
    cells = cv2.resize(off, (CAST_CELLS, CAST_CELLS), interpolation=cv2.INTER_AREA)
    weight = 1 - lips
    weight[: CAST_CELLS // 2 + 1] = 0  # the seam of the halves and what lies above it
    skin = weight > 0.5
    typical = np.median(cells[skin], axis=0) if skin.any() else np.zeros(3, np.float32)
    distance = _largest(cells - typical)
    weight *= cv2.exp(-np.square(distance / CAST_OUTLIER))
    weights = _for_each_channel(weight)
    # Far from any skin the offset falls back to the typical one.
    ground = np.float32(0.02)
    cast = (_smoothed(cells * weights) + ground * typical) / (_smoothed(weights) + ground)
    return np.asarray(cv2.resize(cast, off.shape[1::-1]))


def _smoothed(cells: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(cells, (0, 0), CAST_SMOOTHING * CAST_CELLS))


def _lips_ellipse(width: int, height: int, landmarks: Floats) -> Floats:
    """1 on the lips, 0 away from them, on a grid of CAST_CELLS over the crop; float32."""
    points = landmarks[3:]
    centre, mouth_width = points.mean(axis=0), max(float(np.ptp(points[:, 0])), 0.2 * width)
    middles = (np.arange(CAST_CELLS, dtype=np.float32) + 0.5) / CAST_CELLS
    x = (middles * width - centre[0]) / (LIPS_ACROSS * mouth_width)
    y = (middles * height - centre[1]) / (LIPS_DOWN * mouth_width)
    return 1 - _smoothstep((np.hypot(x[None, :], y[:, None]) - 0.85) / 0.3)


def feather_mask(width: int, height: int, landmarks: Floats) -> Floats:
    """How much of the mouth shows at each pixel of the box: (height, width) float32 in [0, 1].

    It begins between nose and upper lip, widens to the cheeks, covers the chin and is zero on the
    box's border. landmarks: (5, 2) in crop coordinates.
    """
    points = landmarks * np.array([MASK_CELLS / width, MASK_CELLS / height], np.float32)
    eyes, nose, lips = points[:2].mean(axis=0), points[2], points[3:].mean(axis=0)
    down = lips - eyes
    reach = float(np.hypot(*down)) + 1e-6
    down = down / np.float32(reach)
    nose_v = float((nose - lips) @ down)
    nose_v = min(max(nose_v, -0.6 * reach), -0.25 * reach)
    # Down and across the face from the lips, (rows, columns).
    middles = np.arange(MASK_CELLS, dtype=np.float32) + np.float32(0.5)
    x, y = (middles - lips[0])[None, :], (middles - lips[1])[:, None]
    v, u = x * down[0] + y * down[1], x * down[1] - y * down[0]
    begin = _smoothstep((v - 0.95 * nose_v) / (-0.55 * nose_v))
    side = 1 - _smoothstep((np.abs(u) / (0.36 * MASK_CELLS) - 0.55) / 0.6)
    margin = np.minimum(middles, MASK_CELLS - middles)
    border = _smoothstep((margin - 1.5) / (0.09 * MASK_CELLS))
    small = begin * side * np.minimum.outer(border, border)
    mask: Floats = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    mask[[0, -1]] = 0  # a box of fewer pixels than cells skips the grid's own border
    mask[:, [0, -1]] = 0
    return mask


def _smoothstep(t: Floats) -> Floats:
    t = np.clip(t, 0, 1)
    step: Floats = t * t * (3 - 2 * t)
    return step
