"""What speaks against dubbing a face at a frame: reasons to doubt the result, or to pass."""

from enum import IntEnum
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from pipeline.faces.linking import Path, runs_of

Flags = npt.NDArray[np.bool_]


class Reason(IntEnum):
    """Why a frame is doubtful or passes through. Values are stored: do not renumber."""

    NONE = 0
    # Doubtful: dubbed, and listed for somebody to look at.
    PROFILE = 1
    CROPPED = 2
    UNSURE = 3
    FAST = 4
    # Passed through.
    LOST = 10
    TOO_SMALL = 11
    MOUTH_OUT = 12
    CUT = 13
    KEPT = 14
    UNCHOSEN = 15

    @property
    def passes(self) -> bool:
        """Whether a face with this reason is left as it is."""
        return self >= Reason.LOST

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Reason.NONE: "",
    Reason.PROFILE: "profile",
    Reason.CROPPED: "face partly out of frame",
    Reason.UNSURE: "uncertain face",
    Reason.FAST: "fast movement",
    Reason.LOST: "face lost",
    Reason.TOO_SMALL: "face too small",
    Reason.MOUTH_OUT: "mouth out of frame",
    Reason.CUT: "face cut by the frame",
    Reason.KEPT: "original kept",
    Reason.UNCHOSEN: "not the chosen face",
}

#: Networks generate 96×96; on a face smaller than this nobody sees a mouth move.
MIN_FACE_HEIGHT = 24

#: Where the nose tip lies along the line of the eyes: 0 between them, ±0.5 on an eye. Talkers who
#: face the camera stay within ±0.22.
PROFILE_NOSE = 0.45

#: Distance of the eyes over that from eyes to mouth: about 1 from the front, above 0.77 on talkers.
PROFILE_EYES = 0.55

#: Part of the face's size that may lie outside the frame.
CROPPED_PART = 0.06

#: An eye nearer to the frame's edge than this part of the face's size lies outside in truth:
#: detectors squeeze a cut face into what they see. Networks need the eyes to place the mouth.
EYE_MARGIN = 0.05

#: Below this the detectors are often wrong; on real talkers they give 0.6 to 0.95.
UNSURE_SCORE = 0.58

#: Face sizes a second.
FAST_SPEED = 3.0

#: A reason that holds for less than this is noise, and gaps as short are closed.
MIN_REASON_SECONDS = Fraction(1, 8)


def find_reasons(
    path: Path, width: int, height: int, frame_rate: Fraction
) -> npt.NDArray[np.uint8]:
    """(n,) of :class:`Reason` for each frame of a path; the gravest where several hold.

    Args:
        path: one face through one shot.
        width: of the frame, in pixels.
        height: of the frame, in pixels.
        frame_rate: average.
    """
    steady = max(1, round(frame_rate * MIN_REASON_SECONDS))
    reasons = np.zeros(len(path), dtype=np.uint8)
    # In order of gravity: later ones overwrite.
    for reason, flags in (
        (Reason.FAST, _is_fast(path, frame_rate)),
        (Reason.UNSURE, path.scores < UNSURE_SCORE),
        (Reason.PROFILE, _is_profile(path)),
        (Reason.CROPPED, _is_cropped(path, width, height)),
        (Reason.CUT, _is_cut(path, width, height)),
        (Reason.TOO_SMALL, path.boxes[:, 3] - path.boxes[:, 1] < MIN_FACE_HEIGHT),
        (Reason.MOUTH_OUT, _is_mouth_out(path, width, height)),
    ):
        reasons[steadied(flags, steady)] = reason
    reasons[~path.present] = Reason.LOST
    return reasons


def _sizes(path: Path) -> npt.NDArray[np.float32]:
    sides = path.boxes[:, 2:] - path.boxes[:, :2]
    return np.asarray(np.maximum(sides.max(axis=1), 1.0), dtype=np.float32)


def _is_fast(path: Path, frame_rate: Fraction) -> Flags:
    if len(path) < 2:
        return np.zeros(len(path), dtype=np.bool_)
    centres = (path.boxes[:, :2] + path.boxes[:, 2:]) / 2
    speed = np.linalg.norm(np.gradient(centres, axis=0), axis=1) * float(frame_rate)
    return np.asarray(speed / _sizes(path) > FAST_SPEED)


def _is_profile(path: Path) -> Flags:
    right, left, nose = path.landmarks[:, 0], path.landmarks[:, 1], path.landmarks[:, 2]
    between = left - right
    apart = np.maximum(np.linalg.norm(between, axis=1), 1e-3)
    eyes, mouth = (right + left) / 2, path.landmarks[:, 3:].mean(axis=1)
    drop = np.maximum(np.linalg.norm(mouth - eyes, axis=1), 1e-3)
    along = ((nose - eyes) * between).sum(axis=1) / apart**2
    return np.asarray((np.abs(along) > PROFILE_NOSE) | (apart / drop < PROFILE_EYES))


def _is_cropped(path: Path, width: int, height: int) -> Flags:
    outside = np.concatenate([-path.boxes[:, :2], path.boxes[:, 2:] - [width, height]], axis=1)
    return np.asarray(outside.max(axis=1) > CROPPED_PART * _sizes(path))


def _is_cut(path: Path, width: int, height: int) -> Flags:
    eyes = path.landmarks[:, :2]
    margin = EYE_MARGIN * _sizes(path)[:, None, None]
    outside = (eyes < margin) | (eyes > np.array([width, height]) - margin)
    return np.asarray(outside.any(axis=(1, 2)))


def _is_mouth_out(path: Path, width: int, height: int) -> Flags:
    """A mouth corner outside the frame, or outside the box by a twentieth of its size."""
    corners = path.landmarks[:, 3:]
    margin = 0.05 * _sizes(path)[:, None, None]
    low = np.maximum(path.boxes[:, None, :2] - margin, 0)
    high = np.minimum(path.boxes[:, None, 2:] + margin, [width, height])
    return np.asarray(((corners < low) | (corners > high)).any(axis=(1, 2)))


def steadied(flags: Flags, shortest: int) -> Flags:
    """Close gaps shorter than that many frames, then drop runs that are shorter."""
    steady = flags.copy()
    for value in (False, True):
        for start, end in runs_of(steady == value):
            inner = value or (start > 0 and end < len(steady))
            if end - start < min(shortest, len(steady)) and inner:
                steady[start:end] = not value
    return steady
