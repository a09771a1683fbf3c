"""Frames of a source in any order: forwards, held, backwards, in bounded memory."""

from collections.abc import Generator, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnreadableMediaError
from pipeline.media.decoding import DECODE_THREADS, decode_range, decode_segment, decode_source
from pipeline.media.opening import one_line
from pipeline.media.plan import Segment, SourcePlan
from pipeline.media.planes import bit_depth, filtered, planar_format, plane_arrays

__all__ = [
    "bit_depth",
    "decode_range",
    "decode_segment",
    "decode_source",
    "planar_format",
    "plane_arrays",
    "read_frames",
]

#: Frames that may be held at once to show them backwards: by number and by size.
MAX_BLOCK_FRAMES = 32
MAX_BLOCK_BYTES = 192 << 20

#: Frames to decode past rather than to open the object anew at a nearer anchor.
MAX_SKIPPED_FRAMES = 48


def read_frames(
    objects: Sequence[Path],
    plan: SourcePlan,
    segments: Sequence[Segment],
    source_indices: Sequence[int] | NDArray[np.int32],
    *,
    threads: int = DECODE_THREADS,
) -> Iterator[av.VideoFrame]:
    """The frames of those numbers, in the order given; any order, repeats too.

    Forwards it streams. Backwards it goes in blocks, each decoded from the anchor before it.

    Args:
        objects: the segment object of each segment.
        plan, segments: of the source, settled.
        source_indices: numbers of source frames, one for each output frame.
        threads: of the decoder.

    Yields:
        One planar frame for each index, with the source's ``pts``. Each may be written into
        through :func:`pipeline.media.planes.plane_arrays` without touching any other.

    Raises:
        UnreadableMediaError: an object is missing or damaged.
    """
    with _Reader(objects, plan, segments, threads) as reader:
        for run in _runs(np.asarray(source_indices, np.int64)):
            if run[0] <= run[-1]:
                yield from _forwards(reader, run)
            else:
                yield from _backwards(reader, run, _block_length(plan))


def _runs(indices: NDArray[np.int64]) -> Iterator[list[int]]:
    """Cut where the direction changes; standing still belongs to either."""
    start, direction = 0, 0
    for position, step in enumerate(np.sign(np.diff(indices)).tolist(), 1):
        if step and direction and step != direction:
            yield indices[start:position].tolist()
            start, direction = position, 0
        elif step:
            direction = step
    if len(indices):
        yield indices[start:].tolist()


def _forwards(reader: "_Reader", run: list[int]) -> Iterator[av.VideoFrame]:
    held: av.VideoFrame | None = None
    for index, following in pairwise([*run, -1]):
        frame = held or reader.read(index)
        held = frame if following == index else None
        yield _duplicate(frame) if held else frame


def _backwards(reader: "_Reader", run: list[int], length: int) -> Iterator[av.VideoFrame]:
    distinct = list(dict.fromkeys(run))
    counts = np.bincount(np.asarray(run) - min(run))
    for start in range(0, len(distinct), length):
        block = [(i, reader.read(i)) for i in reversed(distinct[start : start + length])]
        while block:
            index, frame = block.pop()
            for _ in range(int(counts[index - min(run)]) - 1):
                yield _duplicate(frame)
            yield frame


def _block_length(plan: SourcePlan) -> int:
    # At most 3 samples of 2 bytes a pixel.
    return max(2, min(MAX_BLOCK_FRAMES, MAX_BLOCK_BYTES // (6 * plan.width * plan.height)))


def _duplicate(frame: av.VideoFrame) -> av.VideoFrame:
    """A second frame with all properties on the same memory, which whoever writes first copies."""
    return filtered(frame, "null")


class _Reader:
    """Reads frames by number, going on where it is when that is the short way."""

    def __init__(
        self, objects: Sequence[Path], plan: SourcePlan, segments: Sequence[Segment], threads: int
    ) -> None:
        self._objects, self._plan, self._threads = objects, plan, threads
        self._starts = np.array([s.start for s in segments])
        self._ends = [s.end for s in segments]
        self._open: Iterator[av.VideoFrame] = iter(())
        self._position = self._end = 0  # the frames that are still to come from it
        self._ahead: av.VideoFrame | None = None  # decoded, and not asked for yet

    def read(self, index: int) -> av.VideoFrame:
        """That frame; where a damaged source did not give it after all, the next one, or the last.

        Raises:
            UnreadableMediaError: nothing decodes there.
        """
        if not self._position <= index < min(self._end, self._position + MAX_SKIPPED_FRAMES):
            self._reopen(index)
        frame = self._ahead
        while frame is None or self._number(frame) < index:
            following = next(self._open, None)
            if following is None:
                break
            frame = following
        if frame is None:
            name = one_line(self._objects[self._segment(index)])
            raise UnreadableMediaError(f"{name}: frame {index} does not decode")
        self._position = index + 1
        is_early = self._number(frame) > index
        self._ahead = frame if is_early else None
        return _duplicate(frame) if is_early else frame

    def _number(self, frame: av.VideoFrame) -> int:
        return 0 if frame.pts is None else self._plan.number(frame.pts)

    def _segment(self, index: int) -> int:
        return max(0, int(np.searchsorted(self._starts, index, side="right")) - 1)

    def _reopen(self, index: int) -> None:
        """Open the object that holds the frame; it serves as far as its last segment goes."""
        self.close()
        segment = last = self._segment(index)
        while last + 1 < len(self._ends) and self._objects[last + 1] == self._objects[segment]:
            last += 1
        self._position, self._end, self._ahead = index, self._ends[last], None
        self._open = decode_range(
            self._objects[segment], self._plan, index, self._end, threads=self._threads
        )

    def close(self) -> None:
        if isinstance(self._open, Generator):
            self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
