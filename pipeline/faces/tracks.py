"""Who is dubbed where: the track stage, over the whole film at once.

Looks of all segments → shots → paths within each shot → reasons → who is dubbed → boxes as the
networks want them. It takes seconds, and holds about sixty bytes a face and frame.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path as FilePath
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipeline.errors import FaceChoiceError, ParameterError
from pipeline.faces.choosing import Chosen, choose_faces
from pipeline.faces.doubts import MIN_FACE_HEIGHT, Reason, find_reasons
from pipeline.faces.linking import Path, link_shot
from pipeline.faces.looks import SegmentFaces
from pipeline.faces.shots import decide_cuts, join_distances
from pipeline.geometry import Box
from pipeline.options import FaceChoice

Pads = tuple[int, int, int, int]
What = Literal["dubbed", "doubtful", "passed through"]

#: The published networks were trained on boxes a little longer than a detector's, so that an open
#: jaw stays inside; this part of the box's height is added at the bottom.
BOTTOM_PAD = 0.06

#: Where the landmarks lie in a detector's box, as parts of its width and height: medians over
#: fifteen talkers. Stands in for them where a box was given by hand.
CANONICAL_LANDMARKS = np.array(
    [[0.265, 0.388], [0.737, 0.388], [0.505, 0.580], [0.306, 0.736], [0.703, 0.740]], np.float32
)

#: Stands for "no dubbed face here" among the reasons of a shot's frames.
_NOBODY = 255

#: Which of several faces' reasons a frame is reported with: the greatest.
_WEIGHT = np.zeros(256, dtype=np.uint8)
for _reason in Reason:
    _WEIGHT[_reason] = 1 if _reason.passes else 2 if _reason == Reason.NONE else 3


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """A face to dub in one frame.

    Attributes:
        track: number of the track, unique in the film.
        box: what the network is shown: smoothed, padded, inside the frame.
        landmarks: (5, 2) float32 in pixels of the frame; order as in ``detectors.Face``.
        doubtful: dubbed, but somebody should look at it.
    """

    track: int
    box: Box
    landmarks: npt.NDArray[np.float32]
    doubtful: bool


@dataclass(frozen=True, slots=True)
class Track:
    """One dubbed face through one shot: frames [start, start + n).

    Attributes:
        start: first frame.
        boxes: (n, 4) int32.
        landmarks: (n, 5, 2) float32.
        reasons: (n,) uint8 of :class:`pipeline.faces.doubts.Reason`.
    """

    start: int
    boxes: npt.NDArray[np.int32]
    landmarks: npt.NDArray[np.float32]
    reasons: npt.NDArray[np.uint8]

    @property
    def end(self) -> int:
        return self.start + len(self.boxes)

    def part(self, start: int, end: int) -> "Track":
        """What of it lies in [start, end); its arrays are empty where nothing does."""
        start, end = max(start, self.start), min(end, self.end)
        rows = slice(start - self.start, max(start, end) - self.start)
        return Track(start, self.boxes[rows], self.landmarks[rows], self.reasons[rows])


@dataclass(frozen=True, slots=True)
class Span:
    """What is done to the frames [start, end), and why; ``doubtful`` ones are dubbed too."""

    start: int
    end: int
    what: What
    reason: str


@dataclass(frozen=True, slots=True)
class Tracks:
    """All dubbed faces of a film; saved and loaded as .npz.

    Attributes:
        frame_count: of the source.
        shot_starts: first frame of each shot, from 0, ascending.
        faces_seen: how many faces each shot shows, dubbed or not.
        tracks: by start.
    """

    frame_count: int
    shot_starts: tuple[int, ...]
    faces_seen: tuple[int, ...]
    tracks: tuple[Track, ...]

    def faces_at(self, frame: int) -> tuple[TrackedFace, ...]:
        """The faces to dub in a frame of the source; none for frames that pass through."""
        shot = bisect_right(self.shot_starts, frame) - 1
        if not 0 <= frame < self.frame_count:
            raise IndexError(f"frame {frame} of {self.frame_count}")
        first = bisect_left(self.tracks, self.shot_starts[shot], key=_track_start)
        found = []
        for number in range(first, bisect_right(self.tracks, frame, key=_track_start)):
            track = self.tracks[number]
            at = frame - track.start
            if at < len(track.boxes) and not Reason(int(track.reasons[at])).passes:
                box = Box(*track.boxes[at].tolist())
                doubtful = bool(track.reasons[at] != Reason.NONE)
                found.append(TrackedFace(number, box, track.landmarks[at], doubtful))
        return tuple(found)

    def without(self, start: int, end: int) -> "Tracks":
        """The same, with nobody dubbed in the frames [start, end)."""
        kept = []
        for track in self.tracks:
            kept += [track.part(track.start, start), track.part(end, track.end)]
        parts = sorted((part for part in kept if len(part.boxes)), key=_track_start)
        return replace(self, tracks=tuple(parts))

    def passing(self, frames: npt.NDArray[np.bool_], reason: Reason) -> "Tracks":
        """The same, with all faces left as they are where ``frames``, (frame_count,), say so."""
        return replace(
            self,
            tracks=tuple(
                replace(t, reasons=np.where(frames[t.start : t.end], np.uint8(reason), t.reasons))
                for t in self.tracks
            ),
        )

    def shot_range(self, shot: int) -> tuple[int, int]:
        """The frames [start, end) of a shot."""
        ends = (*self.shot_starts[1:], self.frame_count)
        return self.shot_starts[shot], ends[shot]

    def spans(self, shot: int) -> list[Span]:
        """What is done to the frames of a shot: without gaps, neighbours differing."""
        start, end = self.shot_range(shot)
        codes = np.full(end - start, _NOBODY, dtype=np.uint8)
        for track in self._tracks_from(start, end):
            part = codes[track.start - start : track.end - start]
            part[:] = np.where(_WEIGHT[track.reasons] > _WEIGHT[part], track.reasons, part)
        edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), end - start]
        return [
            Span(start + a, start + b, *self._verdict(int(codes[a]), shot))
            for a, b in pairwise(edges)
            if a < b
        ]

    def describe(self) -> list[dict[str, Any]]:
        """Every shot with its spans, as the report lists them."""
        shots = []
        for shot in range(len(self.shot_starts)):
            start, end = self.shot_range(shot)
            spans = [
                {"start": s.start, "end": s.end, "what": s.what, "reason": s.reason or None}
                for s in self.spans(shot)
            ]
            faces = self.faces_seen[shot]
            shots.append({"start": start, "end": end, "faces_seen": faces, "spans": spans})
        return shots

    def save(self, path: FilePath) -> None:
        """Write a compressed .npz; the same tracks give the same bytes."""
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                frame_count=np.int64(self.frame_count),
                shot_starts=np.array(self.shot_starts, np.int64),
                faces_seen=np.array(self.faces_seen, np.int64),
                starts=np.array([t.start for t in self.tracks], np.int64),
                lengths=np.array([len(t.boxes) for t in self.tracks], np.int64),
                boxes=_joined([t.boxes for t in self.tracks], (0, 4), np.int32),
                landmarks=_joined([t.landmarks for t in self.tracks], (0, 5, 2), np.float32),
                reasons=_joined([t.reasons for t in self.tracks], (0,), np.uint8),
            )

    @classmethod
    def load(cls, path: FilePath) -> "Tracks":
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as data:
            cuts = np.cumsum(data["lengths"])[:-1]
            parts = zip(
                data["starts"].tolist(),
                np.split(data["boxes"], cuts),
                np.split(data["landmarks"], cuts),
                np.split(data["reasons"], cuts),
                strict=False,  # np.split gives one empty part where there are no tracks
            )
            return cls(
                int(data["frame_count"]),
                tuple(data["shot_starts"].tolist()),
                tuple(data["faces_seen"].tolist()),
                tuple(Track(*part) for part in parts),
            )

    def _tracks_from(self, start: int, end: int) -> tuple[Track, ...]:
        """The tracks that start in [start, end)."""
        first = bisect_left(self.tracks, start, key=_track_start)
        return self.tracks[first : bisect_left(self.tracks, end, key=_track_start)]

    def _verdict(self, code: int, shot: int) -> tuple[What, str]:
        if code == _NOBODY:
            return "passed through", "no face found" if self.faces_seen[shot] else "no face"
        reason = Reason(code)
        if reason.passes:
            return "passed through", reason.words
        return ("dubbed", "") if reason == Reason.NONE else ("doubtful", reason.words)


def track_faces(
    segments: Iterable[SegmentFaces],
    *,
    frame_rate: Fraction,
    choice: FaceChoice = "largest",
    pads: Pads | None = None,
    chosen: Chosen | None = None,
) -> Tracks:
    """Decide who is dubbed where.

    Args:
        segments: what the detect stage found, in order, without gap or overlap from frame 0.
        frame_rate: average, of the source.
        choice: the most prominent face of each shot, or every face.
        pads: pixels added to a detector's box at the top, bottom, left and right, as the original
            script takes them; None adds what the networks were trained with, at the bottom.
        chosen: who, in place of ``choice``; all others pass.

    Raises:
        FaceChoiceError: no face is where one was chosen.
    """
    pieces = sorted(segments, key=lambda piece: piece.start)
    if not pieces:
        return Tracks(0, (), (), ())
    frame_count = pieces[-1].end
    width, height = pieces[-1].width, pieces[-1].height
    cuts = decide_cuts(join_distances(piece.trail for piece in pieces)).tolist()
    looks = sorted((look for piece in pieces for look in piece.looks), key=lambda k: k.frame)
    look_frames = [look.frame for look in looks]
    starts = [0, *cuts]
    if chosen is not None:
        chosen.check(frame_count)
    faces_seen: list[int] = []
    tracks: list[Track] = []
    for start, end in zip(starts, [*cuts, frame_count], strict=True):
        inside = looks[bisect_left(look_frames, start) : bisect_left(look_frames, end)]
        paths = link_shot(inside, start, end, frame_rate)
        faces_seen.append(len(paths))
        reasons = [find_reasons(path, width, height, frame_rate) for path in paths]
        if chosen is None:
            dubbed = choose_faces(paths, reasons, choice)
        else:
            dubbed = range(len(paths))
            reasons = chosen.narrow(paths, reasons, start, end, frame_rate)
        tracks.extend(_finish(paths[i], reasons[i], width, height, pads) for i in dubbed)
    if chosen is not None and chosen.boxes is not None:
        _require_chosen(tracks)
    tracks.sort(key=_track_start)
    return Tracks(frame_count, tuple(starts), tuple(faces_seen), tuple(tracks))


def fix_tracks(box: Box, frame_count: int, width: int, height: int) -> Tracks:
    """One face in the same place in every frame, as ``--box`` gives it; nothing was looked at.

    Args:
        box: as the network is to be shown it: no pads are added.
        frame_count: of the source.
        width: of the upright frame, in pixels.
        height: of the upright frame, in pixels.

    Raises:
        ParameterError: the box does not lie in the frame, or is too small for a face.
    """
    check_box(box, width, height)
    boxes = np.broadcast_to(np.array(_corners(box), np.int32), (frame_count, 4))
    landmarks = np.broadcast_to(estimate_landmarks(box), (frame_count, 5, 2))
    reasons = np.zeros(frame_count, dtype=np.uint8)
    return Tracks(frame_count, (0,), (1,), (Track(0, boxes, landmarks, reasons),))


def check_box(box: Box, width: int, height: int) -> None:
    """Raises ParameterError for one that does not lie in the frame, or is too small for a face."""
    inside = box.clip(width, height)
    if inside != box or min(box.width, box.height) < MIN_FACE_HEIGHT:
        raise ParameterError(
            f"the box {box.x1},{box.y1},{box.x2},{box.y2} must lie in the {width}x{height} frame "
            f"and be at least {MIN_FACE_HEIGHT} pixels wide and high",
            field="box",
        )


def estimate_landmarks(box: Box) -> npt.NDArray[np.float32]:
    """(5, 2) float32: where a face that fills a padded box usually has its landmarks."""
    size = np.array([box.width, box.height / (1 + BOTTOM_PAD)], np.float32)
    return np.array([box.x1, box.y1], np.float32) + CANONICAL_LANDMARKS * size


def _require_chosen(tracks: Sequence[Track]) -> None:
    if not any((track.reasons < Reason.LOST).any() for track in tracks):
        raise FaceChoiceError("no face of the film lies in the boxes that say who is dubbed")


def _finish(
    path: Path,
    reasons: npt.NDArray[np.uint8],
    width: int,
    height: int,
    pads: Pads | None,
) -> Track:
    boxes = _pad(path.boxes, pads)
    limits = np.array([width, height, width, height], np.int32)
    clipped = np.clip(boxes, 0, limits)
    narrow = (clipped[:, 2:] - clipped[:, :2]).min(axis=1) < MIN_FACE_HEIGHT
    reasons = np.where(narrow & (reasons < Reason.LOST), Reason.TOO_SMALL, reasons)
    return Track(path.start, clipped, path.landmarks, reasons.astype(np.uint8))


def _pad(boxes: npt.NDArray[np.float32], pads: Pads | None) -> npt.NDArray[np.int32]:
    """Whole pixels, padded. Size is rounded by itself, so it does not flicker as the face moves."""
    height = boxes[:, 3] - boxes[:, 1]
    zero = np.zeros_like(height)
    if pads is None:
        grown = boxes + np.stack([zero, zero, zero, BOTTOM_PAD * height], axis=1)
    else:
        top, bottom, left, right = pads
        grown = boxes + np.array([-left, -top, right, bottom], np.float32)
    corner = np.rint(grown[:, :2])
    size = np.rint(grown[:, 2:] - grown[:, :2])
    return np.concatenate([corner, corner + size], axis=1).astype(np.int32)


def _joined(parts: list[npt.NDArray[Any]], empty: tuple[int, ...], dtype: Any) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(empty, dtype=dtype)


def _corners(box: Box) -> tuple[int, int, int, int]:
    return (box.x1, box.y1, box.x2, box.y2)


def _track_start(track: Track) -> int:
    return track.start
