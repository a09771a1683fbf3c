"""Render: from source frames to dubbed, encoded segments; where a frame meets its mouth.

::

    decode ─▶ a batch of frames: cut out each face ─▶ network ─▶ composite ─▶ encode

Decoding runs ahead in a thread; batches are worked on in several, side by side, because a network
on one core each gets more done than one network on all. Nothing here remembers anything from one
frame to the next, so where the film is cut into segments never shows.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from pipeline.artifacts import Store, artifact_key
from pipeline.composite import paste_mouth, read_crop
from pipeline.faces.tracks import TrackedFace, Tracks
from pipeline.media.frames import read_frames
from pipeline.media.info import VideoInfo
from pipeline.networks import Network
from pipeline.networks.build import build_network
from pipeline.options import Blend, DubOptions, NetworkChoice
from pipeline.output.encode import SegmentEncoder
from pipeline.prepare import Dialogue, Source
from pipeline.running.processes import Advance, for_each_segment
from pipeline.running.threads import map_in_threads, prefetch
from pipeline.timeline import Timeline

#: Raised when what the stage writes changes.
RENDER_VERSION = 2

#: Encoded segments are NUT files.
SEGMENT_SUFFIX = ".nut"

#: Times of a constant rate are rounded to ticks, sometimes twice.
_RATE_TOLERANCE_TICKS = 1.5

#: Batches waiting between two threads: enough that neither waits for the other.
_BATCHES_AHEAD = 1

#: Frames of one batch may hold this many bytes; large pictures make small batches.
_BATCH_BYTES = 96 << 20


@dataclass(frozen=True)
class RenderTask:
    """All that determines the rendered segments, in a form that can be sent to a process."""

    source: Source
    dialogue: Dialogue
    tracks: Tracks
    timeline: Timeline
    network: NetworkChoice
    options: DubOptions
    store: Store

    def ranges(self) -> list[tuple[int, int]]:
        """Output frames [start, end) of each rendered segment.

        Where the output shows the source frame by frame, they are the source's segments, so that
        each is read from one object; the rest is cut evenly.
        """
        shown, total = self.timeline.source_index, len(self.timeline)
        differs = np.flatnonzero(shown != np.arange(total))
        same = int(differs[0]) if len(differs) else total
        length = max(1, round(self.options.segment_seconds * self.source.plan.frame_rate))
        starts = {s.start for s in self.source.segments if s.start < same}
        starts |= set(range(same, total, length)) | {0}
        ordered = sorted(starts)
        return list(zip(ordered, [*ordered[1:], total], strict=True))


def render_source(task: RenderTask, workers: int, advance: Advance) -> list[Path]:
    """Render all output segments; those rendered earlier are kept.

    Returns:
        The encoded segments, in order.
    """
    network = build_network(task.network)
    ranges = task.ranges()
    keys = [_key(task, network.digest, *each) for each in ranges]
    missing = []
    for index, (start, end) in enumerate(ranges):
        if task.store.has(keys[index], SEGMENT_SUFFIX):
            advance(end - start)
        else:
            missing.append(index)
    for_each_segment(_Renderer, task, missing, workers, advance)
    return [task.store.path(key, SEGMENT_SUFFIX) for key in keys]


class _Renderer:
    """Renders segment after segment; network and sound are made ready once a process."""

    def __init__(self, task: RenderTask) -> None:
        # Batches run side by side, a core each; OpenCV's own threads would only get in their way.
        cv2.setNumThreads(1)
        self._task = task
        self._ranges = task.ranges()
        self._network = build_network(task.network)
        self._features = _hear(task, self._network)

    def __call__(self, index: int, advance: Advance) -> None:
        task, (start, end) = self._task, self._ranges[index]
        options, source, timeline = task.options, task.source, task.timeline
        shown = timeline.source_index[start:end]
        frames = read_frames(source.objects, source.plan, source.segments, shown)
        numbered = map(NumberedFrame, frames, shown.tolist(), range(start, end))
        dubbed = render_frames(
            numbered, source.video, task.tracks, self._network, self._features, options.blend
        )
        key = _key(task, self._network.digest, start, end)
        with (
            task.store.writing(key, SEGMENT_SUFFIX) as path,
            SegmentEncoder(path, source.video, crf=options.crf, preset=options.preset) as encoder,
        ):
            for output_index, frame in enumerate(dubbed, start):
                frame.pts = int(timeline.pts[output_index])
                encoder.encode(frame)
                advance(1)


def _hear(task: RenderTask, network: Network) -> Sequence[Any]:
    """The sound of every output frame."""
    times, sound = task.timeline.seconds, task.dialogue.sound()
    if task.options.mel_offset_ms:
        # Lips that are to be later hear what was said earlier.
        return network.hear(sound, times - task.options.mel_offset_ms / 1000)
    rate, tick = float(task.source.plan.frame_rate), float(task.source.plan.time_base)
    is_constant = np.abs(times - np.arange(len(times)) / rate).max() < _RATE_TOLERANCE_TICKS * tick
    return network.hear(sound, times, rate if is_constant else None)


def _key(task: RenderTask, network: str, start: int, end: int) -> str:
    options = task.options
    return artifact_key(
        "render",
        RENDER_VERSION,
        source=task.source.digest,
        dialogue=task.dialogue.digest,
        network=network,
        mel_offset_ms=options.mel_offset_ms,
        blend=options.blend,
        crf=options.crf,
        preset=options.preset,
        frames=_digest_frames(task, start, end),
    )


def _digest_frames(task: RenderTask, start: int, end: int) -> str:
    """Hex digest of what is shown when in the output frames [start, end), and of whom is dubbed."""
    shown = task.timeline.source_index[start:end]
    digest = hashlib.sha256(str(start).encode())
    digest.update(shown.astype(np.int64).tobytes())
    digest.update(task.timeline.pts[start:end].astype(np.int64).tobytes())
    for source_index in shown.tolist():
        for face in task.tracks.faces_at(source_index):
            digest.update(f"{source_index} {face.box}".encode())
            digest.update(face.landmarks.astype(np.float32).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class NumberedFrame:
    """A decoded frame of the source and its place in the output."""

    frame: av.VideoFrame
    source_index: int
    output_index: int


def render_frames(
    frames: Iterable[NumberedFrame],
    video: VideoInfo,
    tracks: Tracks,
    network: Network,
    features: Sequence[Any],
    blend: Blend,
) -> Iterator[av.VideoFrame]:
    """Dub a run of frames, in order; frames without a tracked face pass untouched.

    Args:
        frames: in the order of the output; their pictures are written into.
        video: the source's picture: its colours and its rotation.
        tracks: who is dubbed where, by source frame.
        network: what makes mouths.
        features: of the sound, by output frame.
        blend: how a mouth meets the picture.
    """

    def dub(batch: list[NumberedFrame]) -> list[av.VideoFrame]:
        return _dub_batch(batch, video, tracks, network, features, blend)

    longest = max(1, min(network.batch_size, _BATCH_BYTES // _frame_bytes(video)))
    batches = prefetch(_gather(frames, tracks, network.batch_size, longest), _BATCHES_AHEAD)
    for batch in map_in_threads(dub, batches, network.lanes):
        yield from batch


def _gather(
    frames: Iterable[NumberedFrame], tracks: Tracks, faces: int, longest: int
) -> Iterator[list[NumberedFrame]]:
    """Batches of at most ``longest`` frames, with about as many faces as the network likes."""
    batch: list[NumberedFrame] = []
    waiting = 0
    for numbered in frames:
        batch.append(numbered)
        waiting += len(tracks.faces_at(numbered.source_index))
        if waiting >= faces or len(batch) >= longest:
            yield batch
            batch, waiting = [], 0
    if batch:
        yield batch


def _dub_batch(
    batch: list[NumberedFrame],
    video: VideoInfo,
    tracks: Tracks,
    network: Network,
    features: Sequence[Any],
    blend: Blend,
) -> list[av.VideoFrame]:
    shown = [(each, face) for each in batch for face in tracks.faces_at(each.source_index)]
    crops = [read_crop(each.frame, face.box, video.color, video.rotation) for each, face in shown]
    landmarks = [_in_crop(face) for _, face in shown]
    heard = [features[each.output_index] for each, _ in shown]
    mouths = network.speak(crops, landmarks, heard) if crops else []
    for (each, face), crop, mouth, points in zip(shown, crops, mouths, landmarks, strict=True):
        paste_mouth(
            each.frame,
            face.box,
            crop,
            mouth,
            points,
            video.color,
            rotation=video.rotation,
            blend=blend,
            match_color=not network.returns_native,
        )
    return [each.frame for each in batch]


def _frame_bytes(video: VideoInfo) -> int:
    """Of a decoded frame, generously: 4:4:4."""
    return video.width * video.height * 3 * (2 if video.bit_depth > 8 else 1)


def _in_crop(face: TrackedFace) -> npt.NDArray[np.float32]:
    """The landmarks in the crop's pixels."""
    return face.landmarks - np.array([face.box.x1, face.box.y1], np.float32)
