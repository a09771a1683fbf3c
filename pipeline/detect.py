"""Detect: every segment of a source decoded once, its faces and its true frames written down."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import av
import cv2
import numpy as np

from pipeline.artifacts import Read, Store, artifact_key
from pipeline.errors import UnreadableMediaError
from pipeline.faces.detectors import CenterFace, Detector, Face, Picture, YuNet
from pipeline.faces.looks import SegmentFaces, detect_segment
from pipeline.faces.shots import blank_trail
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


#: The files of a segment's artifact: what was seen, and the times of the frames decoding gave.
FACES_FILE, PTS_FILE = "faces.npz", "pts.npy"
DETECT_FILES = (FACES_FILE, PTS_FILE)


@dataclass(frozen=True)
class DetectTask:
    """Look for faces in a source's segments; without a detector they are only decoded."""

    source: Source
    choice: DetectorChoice | None
    store: Store

    def read(self, index: int) -> Read:
        """The artifact of a segment; its key is made of all that determines what is found."""
        segment = self.source.segments[index]
        key = artifact_key(
            "detect",
            DETECT_VERSION,
            source=self.source.digest,
            detector=None if self.choice is None else self.choice.name,
            frames=len(self.source.plan),
            range=[segment.anchor, segment.start, segment.end],
        )
        return Read(key, DETECT_FILES)

    def missing(self) -> list[int]:
        """The segments nobody has looked through yet."""
        indices = range(len(self.source.segments))
        return [index for index in indices if not self.store.holds(self.read(index))]


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
        As :func:`settle_source`.

    Raises:
        UnreadableMediaError: not one frame decodes.
    """
    task = DetectTask(source, choice, store)
    detect_missing(task, workers, advance)
    return settle_source(task, lambda _: None)


def detect_missing(task: DetectTask, workers: int, advance: Advance) -> None:
    """Look through the segments nobody has looked through yet; ``advance`` hears of the others."""
    missing = task.missing()
    done = set(range(len(task.source.segments))) - set(missing)
    advance(sum(len(task.source.segments[index]) for index in done))
    for_each_segment(SegmentDetector, task, missing, workers, advance, _LANES)


def settle_source(
    task: DetectTask, advance: Advance, kept_original: Collection[int] = ()
) -> tuple[Source, list[SegmentFaces]]:
    """What was found in all segments, in the numbering that decoding has shown to be true.

    A damaged film decodes to other frames than its packets promised. What was found is numbered by
    the promise, so such a film is looked through again by the truth, which takes all its objects.

    Args:
        task: every segment was looked through, but for ``kept_original``.
        advance: told of frames looked through again.
        kept_original: segments nobody is to be dubbed in; they need not have been looked through.

    Returns:
        The source as decoding has shown it to be, and each segment's faces in that numbering.

    Raises:
        UnreadableMediaError: not one frame decodes.
        MissingArtifactsError: a segment was not looked through, or objects are needed after all.
    """
    source = task.source
    segments = [s.index for s in source.segments if s.index not in kept_original]
    task.store.require(*map(task.read, segments))
    promised = [source.plan.pts[s.start : s.end] for s in source.segments]
    delivered = [
        promised[s.index]
        if s.index in kept_original
        else np.load(task.store.path(task.read(s.index).key) / PTS_FILE)
        for s in source.segments
    ]
    if not sum(map(len, delivered)):
        raise UnreadableMediaError(f"{one_line(source.info.path)}: not one frame can be decoded")
    plan, settled = settle(source.plan, source.segments, delivered)
    if plan is not source.plan:
        source = replace(source, plan=plan, segments=settled)
        task = replace(task, source=source)
        _look_again(task, advance, kept_original)
    return source, [
        _unseen(source, segment)
        if segment.index in kept_original
        else SegmentFaces.load(task.store.path(task.read(segment.index).key) / FACES_FILE)
        for segment in source.segments
    ]


def _look_again(task: DetectTask, advance: Advance, kept_original: Collection[int]) -> None:
    missing = [index for index in task.missing() if index not in kept_original]
    task.store.require(*(task.source.read(index) for index in missing))
    for_each_segment(SegmentDetector, task, missing, 1, advance, _LANES)


def _unseen(source: Source, segment: Segment) -> SegmentFaces:
    """Stands for a segment nobody looked through: no faces, and no cuts to be seen."""
    width, height = source.upright_size
    return SegmentFaces(segment.start, segment.end, width, height, (), blank_trail(len(segment)))


class SegmentDetector:
    """Detects segment after segment; the detector is built once a process."""

    def __init__(self, task: DetectTask) -> None:
        # Looks are small: OpenCV's own threads would wait for each other longer than they work.
        cv2.setNumThreads(1)
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
        with self._task.store.writing_folder(self._task.read(index).key) as folder:
            found.save(folder / FACES_FILE)
            np.save(folder / PTS_FILE, np.array(seen, np.int64))


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
