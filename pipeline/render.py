"""A segment from source frames to dubbed frames: the one place where a frame meets its mouth.

::

    frames ─▶ show (cut out each face) ─▶ speak (the network, in batches) ─▶ composite ─▶ encode

The first two run ahead in threads of their own. Nothing here remembers anything from one frame to
the next, so where the film is cut into segments never shows.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from pipeline.composite import paste_mouth, read_crop
from pipeline.networks import Network
from pipeline.options import Blend
from pipeline.prefetch import prefetch
from pipeline.probe import VideoInfo
from pipeline.tracks import TrackedFace, Tracks

#: Batches waiting between two threads: enough that neither waits for the other.
_BATCHES_AHEAD = 1


@dataclass(frozen=True, slots=True)
class _Shown:
    """A frame and what the network needs of it."""

    frame: av.VideoFrame
    output_index: int
    faces: tuple[TrackedFace, ...]
    crops: list[npt.NDArray[np.uint8]]


_Batch = list[_Shown]
_Mouths = list[npt.NDArray[np.uint8]]


def render_frames(
    frames: Iterable[tuple[int, int, av.VideoFrame]],
    video: VideoInfo,
    tracks: Tracks,
    network: Network,
    features: Sequence[Any],
    blend: Blend,
) -> Iterator[av.VideoFrame]:
    """Dub a run of frames, in order; frames without a tracked face pass untouched.

    Args:
        frames: (index in the output, index in the source, picture); pictures are written into.
        video: the source's picture: its colours and its rotation.
        tracks: who is dubbed where, by source frame.
        network: what makes mouths.
        features: of the sound, by output frame.
        blend: how a mouth meets the picture.
    """
    shown = prefetch(_show(frames, video, tracks, network.batch_size), _BATCHES_AHEAD)
    spoken = prefetch(_speak(shown, network, features), _BATCHES_AHEAD)
    for batch, mouths in spoken:
        yield from _composite(batch, mouths, video, blend)


def _show(
    frames: Iterable[tuple[int, int, av.VideoFrame]],
    video: VideoInfo,
    tracks: Tracks,
    batch_size: int,
) -> Iterator[_Batch]:
    """Cut out every face, and gather frames until the network has a batch to work on."""
    batch: _Batch = []
    faces_waiting = 0
    for output_index, source_index, frame in frames:
        faces = tracks.faces_at(source_index)
        crops = [read_crop(frame, face.box, video) for face in faces]
        batch.append(_Shown(frame, output_index, faces, crops))
        faces_waiting += len(faces)
        if faces_waiting >= batch_size or len(batch) >= batch_size:
            yield batch
            batch, faces_waiting = [], 0
    if batch:
        yield batch


def _speak(
    batches: Iterable[_Batch], network: Network, features: Sequence[Any]
) -> Iterator[tuple[_Batch, _Mouths]]:
    for batch in batches:
        crops = [crop for shown in batch for crop in shown.crops]
        landmarks = [
            face.landmarks - np.float32([face.box.x1, face.box.y1])
            for shown in batch
            for face in shown.faces
        ]
        heard = [features[shown.output_index] for shown in batch for _ in shown.faces]
        yield batch, network.speak(crops, landmarks, heard) if crops else []


def _composite(
    batch: _Batch, mouths: _Mouths, video: VideoInfo, blend: Blend
) -> Iterator[av.VideoFrame]:
    remaining = iter(mouths)
    for shown in batch:
        for face, crop in zip(shown.faces, shown.crops, strict=True):
            paste_mouth(shown.frame, face.box, crop, next(remaining), video, blend, face.landmarks)
        yield shown.frame
