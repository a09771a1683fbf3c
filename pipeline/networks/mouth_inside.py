"""What shows between parted lips: the dark of the mouth, a hint of tongue, and teeth."""

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.networks.lip_line import Tones
from pipeline.networks.lips import Field

#: How far the upper teeth show below the upper lip, in face units.
TEETH_LENGTH = 0.068
#: Grain of the source that is copied, at most, in 8-bit steps.
MOST_GRAIN = 5.0


def colour_inside(
    place: tuple[Field, Field], gap: tuple[Field, Field], unit: float, tones: Tones
) -> Field:
    """``(h, w, 3)`` float32 BGR of the inside of the mouth, as bright as the face is.

    Args:
        place: across the mouth (-1 to 1 at the corners), and y; each ``(h, w)``.
        gap: y of the gap's upper and lower edge at each of these places.
        unit: the face's size in y's pixels.
        tones: the face's colours.
    """
    u, y = place
    top, bottom = gap
    opened = np.maximum(bottom - top, 0.0) / unit
    depth = np.clip((y - top) / np.maximum(bottom - top, 1.0), 0, 1)
    # Darkest under the upper lip or teeth, and at the corners.
    shade = (0.35 + 0.75 * depth) * (1.0 - 0.35 * u * u)
    colour = shade[..., None] * tones.dark
    # The tongue's back, rounded, rises as the jaw drops; its edge towards the lip is in shade.
    tongue = smoothstep((depth - 0.38 - 0.5 * u * u) / 0.35) * (
        1.0 - 0.45 * smoothstep((depth - 0.75) / 0.25)
    )
    tongue *= smoothstep((opened - 0.06) / 0.16)
    tongue_colour = (0.50 * tones.lip + 0.04 * tones.skin) * np.array([0.85, 0.82, 1.1], np.float32)
    colour += tongue[..., None] * (tongue_colour - colour)
    teeth = _show_teeth(u, (y - top) / unit, opened, unit) * (1.0 - tones.teeth_shown)
    luma = float(tones.skin.mean())
    tooth_colour = 0.74 * luma * np.array([0.90, 0.98, 1.0], np.float32) + 0.28 * tones.skin
    colour += teeth[..., None] * (tooth_colour - colour)
    return np.asarray(colour, np.float32)


def _show_teeth(u: Field, below: Field, opened: Field, unit: float) -> Field:
    """How much of a tooth there is, ``below`` the upper lip in face units."""
    # Through a narrow gap the dark shows under them too.
    length = np.minimum(TEETH_LENGTH * (1.0 - 0.55 * u * u), 0.5 * opened)
    soft = max(1.0 / unit, 0.016)
    edge = np.clip((length - below) / soft + 0.5, 0, 1)
    # In the lip's shadow at the top, in the cheeks' at the sides.
    lit = (0.55 + 0.45 * smoothstep(below / 0.030)) * np.clip(1.08 - 1.4 * u * u, 0, 1)
    return np.asarray(0.95 * edge * lit * smoothstep((opened - 0.04) / 0.10), np.float32)


def grain_like(source: npt.NDArray[np.uint8], shape: tuple[int, int]) -> Field:
    """``(h, w, 1)`` noise as strong as the source's own; the same for the same source."""
    grey = cv2.cvtColor(source, cv2.COLOR_BGR2GRAY)
    rough = np.abs(cv2.Laplacian(grey, cv2.CV_16S))
    # The median of |Laplacian| is 0.67·√20 of the noise; flat places only, so no edge counts.
    strength = min(float(np.median(rough[::3, ::3])) / 3.0, MOST_GRAIN)
    noise = np.random.default_rng(int(grey.sum())).standard_normal(shape, np.float32)
    return np.asarray(noise[..., None] * np.float32(strength), np.float32)


def smoothstep(value: Field) -> Field:
    """0 up to 0, 1 from 1, smooth between."""
    along = np.clip(value, 0.0, 1.0)
    return np.asarray(along * along * (3.0 - 2.0 * along), np.float32)
