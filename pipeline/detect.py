"""Detect: every segment of a source decoded once, its faces and its true frames written down."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.artifacts import Store, artifact_key
from pipeline.errors import UnreadableMediaError
from pipeline.faces.detectors import CenterFace, Detector, Face, Picture, YuNet
from pipeline.faces.looks import SegmentFaces, detect_segment
from pipeline.media.decoding import decode_segment
from pipeline.media.opening import one_line
from pipeline.media.segments import Segment, settle
from pipeline.options import DetectorChoice
from pipeline.prepare import Source
from pipeline.running.processes import Advance, for_each_segment
from pipeline.running.threads import prefetch

#: Raised when what the stage writes changes.
DETECT_VERSION = 1

#: Segments looked through at once in one process: decoding and looking fill more than one core.
_LANES = 2

#: Frames decoded ahead of the detector.
_FRAMES_AHEAD = 4


@dataclass(frozen=True)
class _Task:
    source: Source
    choice: DetectorChoice | None
    store: Store


def detect_source(
    source: Source,
    choice: DetectorChoice | None,
    store: Store,
    workers: int,
    advance: Advance,
) -> tuple[Source, list[SegmentFaces]]:
    """Look for faces in all segments; those found earlier are read back.

    Args:
        source: prepared.
        choice: the detector; None looks for no faces (their place is given) but still decodes.
        store: where artifacts are.
        workers: segments at once.
        advance: told of finished frames.

    Returns:
        The source as decoding has shown it to be, and each segment's faces in that numbering.

    Raises:
        UnreadableMediaError: not one frame decodes.
    """
    _detect_missing(_Task(source, choice, store), workers, advance)
    delivered = [np.load(_folder(source, s, choice, store) / "pts.npy") for s in source.segments]
    if not sum(map(len, delivered)):
        raise UnreadableMediaError(f"{one_line(source.info.path)}: not one frame can be decoded")
    plan, segments = settle(source.plan, source.segments, delivered)
    if plan is not source.plan:
        # A damaged film decodes to other frames than its packets promised. What was found is
        # numbered by the promise, so look again by the truth.
        source = replace(source, plan=plan, segments=segments)
        _detect_missing(_Task(source, choice, store), workers, lambda _: None)
    folders = (_folder(source, segment, choice, store) for segment in source.segments)
    return source, [SegmentFaces.load(folder / "faces.npz") for folder in folders]


def _detect_missing(task: _Task, workers: int, advance: Advance) -> None:
    # Looks are small: OpenCV's own threads would wait for each other longer than they work.
    cv2.setNumThreads(1)
    missing = []
    for segment in task.source.segments:
        if _folder(task.source, segment, task.choice, task.store).exists():
            advance(len(segment))
        else:
            missing.append(segment.index)
    for_each_segment(_SegmentDetector, task, missing, workers, advance, _LANES)


class _SegmentDetector:
    """Detects segment after segment; the detector is built once a process."""

    def __init__(self, task: _Task) -> None:
        self._task = task
        self._detector = _build_detector(task.choice)

    def __call__(self, index: int, advance: Advance) -> None:
        source, segment = self._task.source, self._task.source.segments[index]
        seen: list[int] = []
        found = detect_segment(
            _count_frames(source, index, seen, advance),
            self._detector,
            first=segment.anchor,
            start=segment.start,
            end=segment.end,
            anchors=source.plan.anchors.astype(np.int64),
            frame_count=len(source.plan),
            frame_rate=source.plan.frame_rate,
            rotation=source.video.rotation,
        )
        key = _folder(source, segment, self._task.choice, self._task.store).name
        with self._task.store.writing_folder(key) as folder:
            found.save(folder / "faces.npz")
            np.save(folder / "pts.npy", np.array(seen, np.int64))


def _count_frames(
    source: Source, index: int, seen: list[int], advance: Advance
) -> Iterator[av.VideoFrame]:
    """A segment's frames from its anchor on; times of those from its start on go to ``seen``."""
    segment = source.segments[index]
    frames = decode_segment(source.objects[index], source.plan, segment, from_anchor=True)
    start_pts = _start_pts(source, segment)
    for frame in prefetch(frames, _FRAMES_AHEAD):
        if frame.pts is not None and frame.pts >= start_pts:
            seen.append(frame.pts)
            advance(1)
        yield frame


def _start_pts(source: Source, segment: Segment) -> int:
    """The first segment is open to its side: all that decodes before it belongs to it."""
    lowest: int = np.iinfo(np.int64).min
    return lowest if segment.start == 0 else int(source.plan.pts[segment.start])


def _folder(source: Source, segment: Segment, choice: DetectorChoice | None, store: Store) -> Path:
    key = artifact_key(
        "detect",
        DETECT_VERSION,
        source=source.digest,
        detector=None if choice is None else choice.name,
        frames=len(source.plan),
        range=[segment.anchor, segment.start, segment.end],
    )
    return store.path(key)


class _NoDetector:
    """For a face whose place is given."""

    name = "none"

    def detect(self, bgr: Picture) -> list[Face]:  # noqa: ARG002 -- the interface's argument
        return []


def _build_detector(choice: DetectorChoice | None) -> Detector:
    if choice is None:
        return _NoDetector()
    if choice.name == "yunet" and choice.weights is not None:
        return YuNet(choice.weights)
    return CenterFace()
