"""Render: from source frames to dubbed, encoded segments; where a frame meets its mouth.

::

    decode ─▶ a batch of frames: cut out each face ─▶ network ─▶ composite ─▶ encode

Decoding runs ahead in a thread; batches are worked on in several, side by side, because a network
on one core each gets more done than one network on all. Nothing here remembers anything from one
frame to the next, so where the film is cut into segments never shows.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from pipeline.composite import paste_mouth, read_crop
from pipeline.faces.linking import runs_of
from pipeline.faces.tracks import TrackedFace, Tracks
from pipeline.media.extras import Seen
from pipeline.media.frames import read_frames
from pipeline.media.info import VideoInfo
from pipeline.networks import Network
from pipeline.options import Blend, DubOptions
from pipeline.output.encode import SegmentEncoder
from pipeline.output.preview import Preview, PreviewFiles
from pipeline.prepare import Dialogue, Source
from pipeline.running.processes import Advance
from pipeline.running.threads import map_in_threads, prefetch
from pipeline.timeline import Timeline

#: Times of a constant rate are rounded to ticks, sometimes twice.
_RATE_TOLERANCE_TICKS = 1.5

#: Batches waiting between two threads: enough that neither waits for the other.
_BATCHES_AHEAD = 1

#: Frames of one batch may hold this many bytes; large pictures make small batches.
_BATCH_BYTES = 96 << 20


@dataclass(frozen=True)
class RenderTask:
    """All that determines the output's frames, but for the network."""

    source: Source
    dialogue: Dialogue
    tracks: Tracks
    timeline: Timeline
    options: DubOptions

    @cached_property
    def untouched(self) -> Tracks:
        """Nobody is dubbed."""
        return replace(self.tracks, tracks=())


class Renderer:
    """Renders range after range of one output; the sound is heard when it is first needed."""

    def __init__(self, task: RenderTask, network: Network) -> None:
        # Batches run side by side, a core each; OpenCV's own threads would only get in their way.
        cv2.setNumThreads(1)
        self._task = task
        self._network = network

    def write(
        self,
        start: int,
        end: int,
        path: Path,
        advance: Advance,
        *,
        untouched: bool = False,
        preview_to: PreviewFiles | None = None,
    ) -> Seen:
        """Write the output frames [start, end) as one encoded segment; returns what they carried.

        Args:
            start, end: output frames.
            path: the segment's file.
            advance: told of finished frames.
            untouched: leave every frame as it is in the source.
            preview_to: write before and after there, too.
        """
        task = self._task
        options, source, timeline = task.options, task.source, task.timeline
        tracks = task.untouched if untouched else task.tracks
        shown = timeline.source_index[start:end]
        indices = timeline.source_index
        follows = np.diff(indices, prepend=indices[0] - 1) == 1
        speaks = np.array([bool(tracks.faces_at(index)) for index in shown.tolist()], bool)
        features = self._features if speaks.any() else ()
        frames = read_frames(source.objects, source.plan, source.segments, shown)
        numbered = map(NumberedFrame, frames, shown.tolist(), range(start, end))
        with contextlib.ExitStack() as stack:
            preview = None
            if preview_to is not None:
                still_at = start + _middle_of_longest(speaks)
                preview = stack.enter_context(Preview(preview_to, source.video, still_at))
            dubbed = render_frames(
                numbered, source.video, tracks, self._network, features, options.blend, preview
            )
            encoder = stack.enter_context(
                SegmentEncoder(path, source.video, crf=options.crf, preset=options.preset)
            )
            for output_index, frame in enumerate(dubbed, start):
                frame.pts = int(timeline.pts[output_index])
                if preview is not None:
                    preview.add(output_index, frame)
                encoder.encode(frame, follows=bool(follows[output_index]))
                advance(1)
        return encoder.seen

    @cached_property
    def _features(self) -> Sequence[Any]:
        """The sound of every output frame."""
        task = self._task
        times, sound = task.timeline.seconds, task.dialogue.sound()
        if task.options.mel_offset_ms:
            # Lips that are to be later hear what was said earlier.
            return self._network.hear(sound, times - task.options.mel_offset_ms / 1000)
        rate, tick = float(task.source.plan.frame_rate), float(task.source.plan.time_base)
        off_grid = np.abs(times - np.arange(len(times)) / rate).max()
        is_constant = off_grid < _RATE_TOLERANCE_TICKS * tick
        return self._network.hear(sound, times, rate if is_constant else None)


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
    preview: Preview | None = None,
) -> Iterator[av.VideoFrame]:
    """Dub a run of frames, in order; frames without a tracked face pass untouched.

    Args:
        frames: in the order of the output; their pictures are written into.
        video: the source's picture: its colours and its rotation.
        tracks: who is dubbed where, by source frame.
        network: what makes mouths.
        features: of the sound, by output frame.
        blend: how a mouth meets the picture.
        preview: shown each frame that is dubbed, before it is.
    """

    def dub(batch: list[NumberedFrame]) -> list[av.VideoFrame]:
        if preview is not None:
            for each in batch:
                if tracks.faces_at(each.source_index):
                    preview.take_before(each.output_index, each.frame)
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


def _middle_of_longest(flags: npt.NDArray[np.bool_]) -> int:
    """The middle of the longest run that is True; of all where none is."""
    runs = runs_of(flags) or [(0, len(flags))]
    start, end = max(runs, key=lambda run: run[1] - run[0])
    return (start + end) // 2


def _frame_bytes(video: VideoInfo) -> int:
    """Of a decoded frame, generously: 4:4:4."""
    return video.width * video.height * 3 * (2 if video.bit_depth > 8 else 1)


def _in_crop(face: TrackedFace) -> npt.NDArray[np.float32]:
    """The landmarks in the crop's pixels."""
    return face.landmarks - np.array([face.box.x1, face.box.y1], np.float32)
