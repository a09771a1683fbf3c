"""Where the film cuts.

Every frame has a small *signature*. Its distances to the signatures one, two, three and four
frames before tell a cut from what only looks like one: after a flash of up to three frames the
picture is the old one again; a fade or a fast pan changes many frames in a row, a cut only one;
somebody who jumps moves many pixels, but the picture keeps its colours.

Distances are symmetric and need no state, so the pieces of a film give the same cuts as the whole:
each piece carries its first and last signatures, and :func:`join_distances` fills in what reaches
over the borders.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.faces.thumbnails import PLANE_SIZES

#: 0, 16 or 32 for each sample of a signature: where its plane's levels start in the histogram.
_PLANE_OF_SAMPLE = np.repeat(np.array([0, 16, 32]), PLANE_SIZES)

Signature = npt.NDArray[np.uint8]
Distances = npt.NDArray[np.float32]

#: How many frames back a frame is compared; one more than the longest flash.
LAGS = 4

#: Distance below which nothing is a cut. The wildest talking head reaches 3, cuts 19 to 77.
MIN_DISTANCE = 5.0

#: Part of the samples that change their level by a sixteenth or more when the shot changes.
COLOURS_MOVED = 0.3

#: A cut stands out of the frames around it by this factor...
RATIO = 3.0

#: ...within this many frames each way.
NEIGHBOURS = 4

#: A flash has passed when the picture is this much closer to the one before it than the flash was.
FLASH_RETURN = 0.4


@dataclass(frozen=True, slots=True)
class Trail:
    """The distances of a run of frames, and the signatures at its ends.

    Attributes:
        distances: (n, LAGS) float32; column k is the distance to the frame k + 1 before, NaN where
            that frame lies before the run.
        head: (min(n, LAGS), sum(PLANE_SIZES)) uint8, the first frames' signatures.
        tail: the same of the last frames.
    """

    distances: Distances
    head: npt.NDArray[np.uint8]
    tail: npt.NDArray[np.uint8]


def blank_trail(frames: int) -> Trail:
    """Of frames nobody has looked at: no cut among them."""
    return Trail(np.zeros((frames, LAGS), np.float32), *np.zeros((2, 0, 0), np.uint8))


class TrailRecorder:
    """Takes signatures one by one and keeps only what :class:`Trail` needs."""

    def __init__(self) -> None:
        self._distances: list[Distances] = []
        self._head: list[Signature] = []
        self._recent: list[Signature] = []

    def add(self, signature: Signature) -> Distances:
        """Record the next frame; returns its (LAGS,) distances."""
        row = _distances_to(signature, self._recent)
        self._distances.append(row)
        if len(self._head) < LAGS:
            self._head.append(signature)
        self._recent = [*self._recent, signature][-LAGS:]
        return row

    def trail(self) -> Trail:
        empty = np.zeros((0, 0), dtype=np.uint8)
        return Trail(
            np.array(self._distances, dtype=np.float32).reshape(-1, LAGS),
            np.array(self._head) if self._head else empty,
            np.array(self._recent) if self._recent else empty,
        )


def distance_between(one: Signature, other: Signature) -> float:
    """Mean difference in grey levels, weakened where the two hold the same colours elsewhere."""
    pixels = float(np.abs(one.astype(np.int16) - other).mean(dtype=np.float64))
    moved = np.abs(_histogram(one) - _histogram(other)).sum() / (2 * len(one))
    return pixels * min(1.0, float(moved) / COLOURS_MOVED)


def _histogram(signature: Signature) -> npt.NDArray[np.int64]:
    """Counts of 16 levels each of luma and of both chroma planes."""
    counts = np.bincount(_PLANE_OF_SAMPLE + (signature >> 4), minlength=48)
    return counts.astype(np.int64, copy=False)


def join_distances(trails: Iterable[Trail]) -> Distances:
    """(frames, LAGS) of the runs put end to end, borders included."""
    parts = []
    recent: list[Signature] = []
    for trail in trails:
        distances = trail.distances.copy()
        for i, signature in enumerate(trail.head):
            before = [*recent, *trail.head[:i]][-LAGS:]
            distances[i] = _distances_to(signature, before)
        recent = [*recent, *trail.tail][-LAGS:]
        parts.append(distances)
    return np.concatenate(parts) if parts else np.zeros((0, LAGS), dtype=np.float32)


def decide_cuts(distances: Distances) -> npt.NDArray[np.int64]:
    """The frames that start a new shot, ascending, without frame 0.

    Args:
        distances: (frames, LAGS), of the whole film.
    """
    steps = np.nan_to_num(distances[:, 0], nan=0.0)
    candidates = np.flatnonzero(steps >= MIN_DISTANCE)
    cuts = [i for i in candidates if _stands_out(steps, i) and not _is_flash(distances, i)]
    return np.array(cuts, dtype=np.int64)


def _distances_to(signature: Signature, before: list[Signature]) -> Distances:
    row = np.full(LAGS, np.nan, dtype=np.float32)
    for lag, other in enumerate(reversed(before)):
        row[lag] = distance_between(signature, other)
    return row


def _stands_out(steps: npt.NDArray[np.float32], frame: np.intp) -> bool:
    around = steps[max(0, frame - NEIGHBOURS) : frame + NEIGHBOURS + 1]
    others = (around.sum() - steps[frame]) / max(1, len(around) - 1)
    return bool(steps[frame] >= RATIO * others and steps[frame] >= around.max())


def _is_flash(distances: Distances, frame: np.intp) -> bool:
    """Whether the picture a few frames on is the one before this change, or the other way round."""
    limit = FLASH_RETURN * distances[frame, 0]
    for length in range(1, LAGS):
        later = frame + length
        begins = later < len(distances) and distances[later, length] < limit
        ends = distances[frame, length] < limit
        if begins or ends:
            return True
    return False
