"""From single looks to one face's path through a shot.

A path is linked over the whole shot, so a head that turns away and comes back is the same person.
Between looks it is interpolated; gaps that are longer than a blink of attention stay open. It is
smoothed by a centred window over what the shot holds of it, so smoothing neither lags nor reaches
across a cut, and how the film was cut into segments never shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.signal import savgol_filter

from pipeline.faces.detectors import Face
from pipeline.faces.looks import Look

Floats = npt.NDArray[np.float32]

#: Gaps up to this long are bridged; in longer ones nobody knows where the mouth is.
BRIDGE_SECONDS = Fraction(2, 5)

#: How far a face may be from where it was expected, in its sizes: right after a look and, as
#: uncertainty grows, after a long gap.
REACH_NEAR = 0.6
REACH_FAR = 1.0

#: Largest change of size between two looks.
SIZE_RATIO = 1.6

#: Window of the smoothing: seven frames at 24 and 25 frames a second.
SMOOTHING_SECONDS = Fraction(28, 100)

#: How far a detector's boxes stray on a still head, in its sizes, at the most.
NOISE = 0.025

#: A face seen for less than this is a false one, unless the shot is as short.
MIN_PATH_SECONDS = Fraction(1, 5)
MIN_PATH_PART = 0.5


@dataclass(slots=True)
class _Link:
    """A path in the making: the looks it has so far."""

    frames: list[int] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)

    def add(self, frame: int, face: Face) -> None:
        self.frames.append(frame)
        self.faces.append(face)

    def expected(self, frame: int) -> Floats:
        """The box at a later frame, moving on as between the last two looks, for a while."""
        last = self.faces[-1].box
        if len(self.frames) < 2:
            return last
        step = self.frames[-1] - self.frames[-2]
        ahead = min(frame - self.frames[-1], step)
        moved: Floats = last + (last - self.faces[-2].box) * np.float32(ahead / step)
        return moved


@dataclass(frozen=True, slots=True)
class Path:
    """One face through one shot, at every frame from its first look to its last.

    Attributes:
        start: first frame.
        boxes: (n, 4) float32 x1, y1, x2, y2, smoothed, as the detector frames a face.
        landmarks: (n, 5, 2) float32, smoothed.
        scores: (n,) float32.
        present: (n,) bool; False in gaps too long to bridge.
    """

    start: int
    boxes: Floats
    landmarks: Floats
    scores: Floats
    present: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.boxes)


def link_shot(looks: Sequence[Look], start: int, end: int, frame_rate: Fraction) -> list[Path]:
    """The paths of all faces in the shot [start, end).

    Args:
        looks: those in the shot, by frame.
        start: first frame of the shot.
        end: one past its last.
        frame_rate: average; turns the durations above into frames.
    """
    links: list[_Link] = []
    bridge = max(1, int(frame_rate * BRIDGE_SECONDS))
    for look in looks:
        _assign(look, links, bridge)
    shortest = min(float(frame_rate * MIN_PATH_SECONDS), MIN_PATH_PART * (end - start))
    paths = (_complete(link, start, end, bridge, frame_rate) for link in links)
    return [path for path in paths if path.present.sum() >= shortest]


def _assign(look: Look, links: list[_Link], bridge: int) -> None:
    """Give each face of a look to the link it continues, nearest first; the rest start links."""
    pairs = sorted(
        (distance, i, j)
        for i, link in enumerate(links)
        for j, face in enumerate(look.faces)
        if (distance := _distance(link, face, look.frame, bridge)) is not None
    )
    taken_links: set[int] = set()
    taken_faces: set[int] = set()
    for _, i, j in pairs:
        if i not in taken_links and j not in taken_faces:
            links[i].add(look.frame, look.faces[j])
            taken_links.add(i)
            taken_faces.add(j)
    for j, face in enumerate(look.faces):
        if j not in taken_faces:
            links.append(_Link([look.frame], [face]))


def _distance(link: _Link, face: Face, frame: int, bridge: int) -> float | None:
    """From where the link's face is expected, in its sizes; None if it cannot be the same."""
    box = link.expected(frame)
    size = max(float(box[2] - box[0]), float(box[3] - box[1]), 1.0)
    ratio = max(float(face.box[2] - face.box[0]), float(face.box[3] - face.box[1]), 1.0) / size
    if not 1 / SIZE_RATIO < ratio < SIZE_RATIO:
        return None
    apart = (face.box[:2] + face.box[2:] - box[:2] - box[2:]) / 2
    distance = float(np.abs(apart).max()) / size
    reach = REACH_NEAR if frame - link.frames[-1] <= bridge else REACH_FAR
    return distance if distance < reach else None


def _complete(link: _Link, start: int, end: int, bridge: int, frame_rate: Fraction) -> Path:
    first, last = _reach_shot_ends(link, start, end, bridge)
    seen, values = _extend(link, first, last)
    frames = np.arange(first, last)
    every = np.stack([np.interp(frames, seen, column) for column in values.T], axis=1)
    present = _bridged(frames, seen, bridge)
    for run_start, run_end in runs_of(present):
        every[run_start:run_end, :14] = _smooth(every[run_start:run_end, :14], frame_rate)
    every32 = every.astype(np.float32)
    return Path(first, every32[:, :4], every32[:, 4:14].reshape(-1, 5, 2), every32[:, 14], present)


def _reach_shot_ends(link: _Link, start: int, end: int, bridge: int) -> tuple[int, int]:
    """Frames [first, last) the path covers: up to the shot's ends where they are near.

    There the face was there, only nobody looked. A quarter of a bridge is more than lies between
    two looks.
    """
    near = max(1, bridge // 2)
    first = start if link.frames[0] - start <= near else link.frames[0]
    last = end if end - 1 - link.frames[-1] <= near else link.frames[-1] + 1
    return first, last


def _extend(
    link: _Link, first: int, last: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The looks' frames (k,) and values (k, 15), moved on to the first and the last frame."""
    seen = np.array(link.frames)
    values = np.array(
        [np.concatenate([f.box, f.landmarks.ravel(), [f.score]]) for f in link.faces], np.float64
    )
    if len(seen) < 2:
        return seen, values
    begin = _move_on(values[1], values[0], (seen[0] - first) / (seen[1] - seen[0]))
    finish = _move_on(values[-2], values[-1], (last - 1 - seen[-1]) / (seen[-1] - seen[-2]))
    parts = [(first, begin)] if first < seen[0] else []
    tail = [(last - 1, finish)] if last - 1 > seen[-1] else []
    seen = np.concatenate([[f for f, _ in parts], seen, [f for f, _ in tail]]).astype(np.int64)
    return seen, np.stack([*(v for _, v in parts), *values, *(v for _, v in tail)])


def _move_on(
    before: npt.NDArray[np.float64], last: npt.NDArray[np.float64], steps: float
) -> npt.NDArray[np.float64]:
    """As far again as between two looks, at most: beyond that it would be a guess."""
    moved = last + (last - before) * min(steps, 1.0)
    moved[-1] = last[-1]  # the score does not move
    return moved


def _bridged(
    frames: npt.NDArray[np.int64], seen: npt.NDArray[np.int64], bridge: int
) -> npt.NDArray[np.bool_]:
    """Which frames lie on a look, or between two that are near enough."""
    present = np.ones(len(frames), dtype=np.bool_)
    for before, after in pairwise(seen.tolist()):
        if after - before > bridge:
            present[before + 1 - frames[0] : after - frames[0]] = False
    return present


def runs_of(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The half-open ranges where flags are True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _smooth(values: npt.NDArray[np.float64], frame_rate: Fraction) -> npt.NDArray[np.float64]:
    """A centred moving mean of (n, 14) boxes and landmarks; less of one where the head darts.

    A mean over seven frames cuts the corners of a sudden movement. Where it strays from what was
    seen by more than the detector's noise, a mean over three takes over, gradually.
    """
    window = max(3, 2 * round(frame_rate * SMOOTHING_SECONDS / 2 - Fraction(1, 2)) + 1)
    steady = _moving_mean(values, window)
    quick = _moving_mean(values, 3)
    size = np.maximum((steady[:, 2:4] - steady[:, :2]).max(axis=1), 1.0)
    strayed = np.abs(quick[:, :4] - steady[:, :4]).max(axis=1) / size
    part = np.clip((strayed - NOISE) / NOISE, 0.0, 1.0)[:, None]
    return np.asarray(steady + part * (quick - steady), dtype=np.float64)


def _moving_mean(values: npt.NDArray[np.float64], window: int) -> npt.NDArray[np.float64]:
    """At the ends of the run, the line that fits the last window."""
    window = min(window, len(values) - (len(values) + 1) % 2)
    if window < 3:
        return values
    return np.asarray(savgol_filter(values, window, 1, axis=0), dtype=np.float64)
