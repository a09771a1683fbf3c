"""Looking for faces, cheaply: the detect stage of one segment.

A full look finds faces in the whole frame; a near look measures a known face in a small crop
around where it was, at a fixed size, so that its box does not depend on how large the film is.
Most frames are not looked at: a head hardly turns in a tenth of a second, and the track stage
interpolates. Where it does move fast, the frames skipped are looked at in hindsight.

What is looked at depends on nothing but the source. State starts anew at every anchor, the grid of
looks counts from the anchor, and a look belongs to the segment that holds the frame at which it
was *decided*; so the looks of all segments together are those of the film in one piece.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from pipeline.faces.detectors import Detector, Face
from pipeline.faces.shots import MIN_DISTANCE, Trail, TrailRecorder, distance_between
from pipeline.faces.thumbnails import CHROMA_GRID, FramePlanes, read_planes
from pipeline.geometry import Box

#: Frames between looks, as time. Measured on talking heads against a look at every frame, boxes
#: are off by 0.7 % of the face's width on average, less than the detector's own noise.
LOOK_SECONDS = Fraction(11, 100)

#: New faces walk in seldom, and a full look costs as much as thirty near ones.
FULL_LOOK_SECONDS = 6

#: How soon to look again where nobody was seen, or somebody was lost.
RETRY_SECONDS = Fraction(1, 3)

#: Longest side of the picture for a full look. Small faces are missed below it.
FULL_LOOK_SIDE = 640

#: Side of the square picture for a near look, and of the region it shows in face sizes. The face
#: is 48 pixels tall there; larger pictures gave no steadier landmarks.
NEAR_LOOK_SIDE = 96
NEAR_LOOK_SPAN = 2.0

#: Movement between two looks, in face sizes, from which on the frames between are looked at too.
FAST_MOVE = 0.12

#: A change of picture from which on the old boxes are not trusted; see ``shots``.
LOCAL_CUT = MIN_DISTANCE

#: More faces than this in one frame are a crowd nobody dubs.
MAX_FACES = 6


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen in one frame."""

    frame: int
    faces: tuple[Face, ...]


@dataclass(frozen=True, slots=True)
class SegmentFaces:
    """What the detect stage found in the frames [start, end).

    Attributes:
        start: first frame.
        end: one past the last frame.
        width: of the upright frame, in pixels.
        height: of the upright frame, in pixels.
        looks: by frame; a few may lie shortly before ``start`` (decided here, in hindsight).
        trail: what cuts are decided from.
    """

    start: int
    end: int
    width: int
    height: int
    looks: tuple[Look, ...]
    trail: Trail

    def save(self, path: Path) -> None:
        """Write a compressed .npz; the same content gives the same bytes."""
        faces = [face for look in self.looks for face in look.faces]
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                header=np.array([self.start, self.end, self.width, self.height], np.int64),
                frames=np.array([look.frame for look in self.looks], np.int64),
                counts=np.array([len(look.faces) for look in self.looks], np.int32),
                boxes=np.array([face.box for face in faces], np.float32).reshape(-1, 4),
                landmarks=np.array([f.landmarks for f in faces], np.float32).reshape(-1, 5, 2),
                scores=np.array([face.score for face in faces], np.float32),
                distances=self.trail.distances,
                head=self.trail.head,
                tail=self.trail.tail,
            )

    @classmethod
    def load(cls, path: Path) -> "SegmentFaces":
        with np.load(path, allow_pickle=False) as data:
            faces = [
                Face(box, landmarks, float(score))
                for box, landmarks, score in zip(
                    data["boxes"], data["landmarks"], data["scores"], strict=True
                )
            ]
            ends = np.cumsum(data["counts"])
            looks = tuple(
                Look(int(frame), tuple(faces[end - count : end]))
                for frame, count, end in zip(data["frames"], data["counts"], ends, strict=True)
            )
            start, end, width, height = (int(n) for n in data["header"])
            trail = Trail(data["distances"], data["head"], data["tail"])
        return cls(start, end, width, height, looks, trail)


def detect_segment(
    frames: Iterable[av.VideoFrame],
    detector: Detector,
    *,
    first: int,
    start: int,
    end: int,
    anchors: npt.NDArray[np.int64],
    frame_count: int,
    frame_rate: Fraction,
    rotation: int = 0,
) -> SegmentFaces:
    """Look for faces in the frames [start, end) of a source.

    Args:
        frames: the frames [first, end), decoded, in presentation order.
        detector: what looks.
        first: the last anchor at or before ``start``.
        start: first frame to report.
        end: one past the last.
        anchors: of the whole source, ascending.
        frame_count: of the whole source.
        frame_rate: average; sets how many frames lie between looks.
        rotation: degrees counter-clockwise that turn the stored picture upright. Boxes and
            landmarks are those of the upright picture.
    """
    run_starts = {int(a) for a in anchors}
    run_ends = {a - 1 for a in run_starts} | {frame_count - 1}
    watcher = _Watcher(detector, frame_rate)
    recorder = TrailRecorder()
    previous = None
    looks: list[Look] = []
    width = height = 0
    for index, frame in enumerate(frames, first):
        planes = read_planes(frame, rotation)
        width, height = planes.width, planes.height
        signature = planes.signature()
        change = 0.0 if previous is None else distance_between(previous, signature)
        previous = signature
        if index in run_starts or index == first:
            watcher.reset(index)
        decided = list(watcher.watch(index, planes, change, index in run_ends))
        if index >= start:
            recorder.add(signature)
            looks.extend(decided)
    looks.sort(key=lambda look: look.frame)
    return SegmentFaces(start, end, width, height, tuple(looks), recorder.trail())


class _Watcher:
    """Decides at which frames to look, and looks."""

    def __init__(self, detector: Detector, frame_rate: Fraction) -> None:
        self._detector = detector
        self._interval = max(1, round(frame_rate * LOOK_SECONDS))
        self._full_interval = max(1, round(frame_rate * FULL_LOOK_SECONDS))
        self._retry_interval = max(1, round(frame_rate * RETRY_SECONDS))
        self.reset(0)

    def reset(self, anchor: int) -> None:
        self._anchor = anchor
        self._last_full: int | None = None
        self._known: list[Face] = []
        self._skipped: list[tuple[int, FramePlanes]] = []

    def watch(
        self, index: int, planes: FramePlanes, change: float, run_ends: bool
    ) -> Iterator[Look]:
        """Take the next frame; yields the looks decided by it, earlier frames' included."""
        cut = self._last_full is not None and change >= LOCAL_CUT
        if cut:
            yield from self._close_shot()
        on_grid = (index - self._anchor) % self._interval == 0
        if cut or self._is_full_look_due(index, on_grid):
            before = [] if cut else self._known
            faces = self._look_fully(index, planes)
        elif self._known and (on_grid or run_ends):
            before = self._known
            faces = self._look_near(planes, before)
            if len(faces) < len(before) and self._frames_since_full(index) >= self._retry_interval:
                faces = self._look_fully(index, planes)
        else:
            self._skipped.append((index, planes))
            return
        if before and _moved_fast(before, faces):
            yield from self._look_back(before)
        self._known = faces
        self._skipped = []
        yield Look(index, tuple(faces))

    def _close_shot(self) -> Iterator[Look]:
        """Look at the last frame before a cut, so that the track reaches the end of its shot."""
        if self._skipped and self._known:
            index, planes = self._skipped[-1]
            yield Look(index, tuple(self._look_near(planes, self._known)))
        self._skipped = []

    def _look_back(self, before: list[Face]) -> Iterator[Look]:
        known = before
        for index, planes in self._skipped:
            seen = self._look_near(planes, known)
            known = seen or known
            if seen:
                yield Look(index, tuple(seen))

    def _frames_since_full(self, index: int) -> int:
        return index if self._last_full is None else index - self._last_full

    def _is_full_look_due(self, index: int, on_grid: bool) -> bool:
        if self._last_full is None:
            return True
        due = self._full_interval if self._known else self._retry_interval
        return self._frames_since_full(index) >= due and (on_grid or not self._known)

    def _look_fully(self, index: int, planes: FramePlanes) -> list[Face]:
        self._last_full = index
        scale = min(1.0, FULL_LOOK_SIDE / max(planes.width, planes.height))
        width = max(1, round(planes.width * scale))
        height = max(1, round(planes.height * scale))
        whole = Box(0, 0, planes.width, planes.height)
        picture = planes.picture(whole, width, height)
        found = _to_frame(self._detector.detect(picture), whole, width, height)
        found = sorted(filter(is_plausible, found), key=_size, reverse=True)[:MAX_FACES]
        measured = [self._measure(planes, face) or face for face in found]
        return _drop_doubles(measured)

    def _look_near(self, planes: FramePlanes, known: list[Face]) -> list[Face]:
        measured = (self._measure(planes, face) for face in known)
        return _drop_doubles([face for face in measured if face is not None])

    def _measure(self, planes: FramePlanes, last: Face) -> Face | None:
        """The face at or near where it was, in a crop that shows it at a fixed size."""
        region = _near_region(last).clip(planes.width, planes.height)
        if region.is_empty():
            return None
        scale = NEAR_LOOK_SIDE / (NEAR_LOOK_SPAN * _size(last))
        width = min(NEAR_LOOK_SIDE, max(1, round(region.width * scale)))
        height = min(NEAR_LOOK_SIDE, max(1, round(region.height * scale)))
        canvas = np.zeros((NEAR_LOOK_SIDE, NEAR_LOOK_SIDE, 3), dtype=np.uint8)
        canvas[:height, :width] = planes.picture(region, width, height)
        found = _to_frame(self._detector.detect(canvas), region, width, height)
        near = [f for f in found if is_plausible(f) and _centre_distance(f, last) < 0.5]
        return min(near, key=lambda face: _centre_distance(face, last)) if near else None


def is_plausible(face: Face) -> bool:
    """Whether the landmarks lie as in a face: filters blank walls, textures and printed shirts."""
    x1, y1, x2, y2 = face.box
    width, height = float(x2 - x1), float(y2 - y1)
    if not (0.4 * height < width < 1.6 * height):
        return False
    margin = np.array([0.2 * width, 0.2 * height])
    inside = (face.landmarks >= face.box[:2] - margin) & (face.landmarks <= face.box[2:] + margin)
    if not inside.all():
        return False
    eyes, mouth = face.landmarks[:2].mean(axis=0), face.landmarks[3:].mean(axis=0)
    drop = float(np.linalg.norm(mouth - eyes))
    return 0.2 * height < drop < 0.8 * height and bool(mouth[1] > eyes[1])


def _to_frame(faces: list[Face], region: Box, width: int, height: int) -> list[Face]:
    """From pixels of a (height, width) picture of a region to pixels of the frame."""
    scale = np.array([region.width / width, region.height / height], dtype=np.float32)
    corner = np.array([region.x1, region.y1], dtype=np.float32)
    return [
        Face((f.box.reshape(2, 2) * scale + corner).ravel(), f.landmarks * scale + corner, f.score)
        for f in faces
    ]


def _near_region(face: Face) -> Box:
    half = NEAR_LOOK_SPAN * _size(face) / 2
    centre = (face.box[:2] + face.box[2:]) / 2
    x1, y1 = (int(np.floor(v / CHROMA_GRID)) * CHROMA_GRID for v in centre - half)
    x2, y2 = (int(np.ceil(v / CHROMA_GRID)) * CHROMA_GRID for v in centre + half)
    return Box(x1, y1, x2, y2)


def _size(face: Face) -> float:
    return float(max(face.box[2] - face.box[0], face.box[3] - face.box[1], 1.0))


def _centre_distance(one: Face, other: Face) -> float:
    """Between two boxes' centres, in sizes of the second."""
    apart = (one.box[:2] + one.box[2:] - other.box[:2] - other.box[2:]) / 2
    return float(np.abs(apart).max()) / _size(other)


def _moved_fast(before: list[Face], after: list[Face]) -> bool:
    nearest = (min((_centre_distance(f, b) for f in after), default=1.0) for b in before)
    return any(distance > FAST_MOVE for distance in nearest)


def _drop_doubles(faces: list[Face]) -> list[Face]:
    """Two near looks may end on one face; the surer one stays."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda f: (-f.score, float(f.box[0]))):
        if all(_centre_distance(face, other) > 0.3 for other in kept):
            kept.append(face)
    return kept
