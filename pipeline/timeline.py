"""Which source frame is shown when, in an output whose dialogue is longer or shorter than its film.

==========  ==============================  ==============================  ===========
sync mode   dialogue longer than film       film longer than dialogue       length
==========  ==============================  ==============================  ===========
cut_off     dialogue is trimmed             film is trimmed                 the shorter
loop        film starts again               film is trimmed                 dialogue
bounce      film runs back, forth, back …   film is trimmed                 dialogue
silence     last frame is held              dialogue is padded              the longer
remap       film is stretched in time       film is squeezed in time        dialogue
==========  ==============================  ==============================  ===========

Lengths are whole frames: a film is trimmed after the frame in which the dialogue ends, so that no
sound is lost. A difference of less than one frame is none: nothing is added or dropped.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pipeline.media.plan import SourcePlan
from pipeline.options import SyncMode


@dataclass(frozen=True)
class Timeline:
    """The frames of the output, n of them.

    ``pts`` and ``end`` count in ``time_base``, the source's; the first pts is the source's own.
    ``duration`` is seconds, from the first frame's start to the last one's end. ``keeps_time``
    says that each frame is shown when it is in the film, which may be trimmed or have its last
    frame held; else the film's other tracks do not belong to the picture any more. ``stretch`` is
    how many times as long everything takes.
    """

    source_index: NDArray[np.int32]  # (n,) which source frame
    pts: NDArray[np.int64]  # (n,) strictly ascending
    end: int
    time_base: Fraction
    keeps_time: bool = True
    stretch: Fraction = Fraction(1)

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def duration(self) -> Fraction:
        return (self.end - int(self.pts[0])) * self.time_base

    @property
    def durations(self) -> NDArray[np.int64]:
        """(n,) how long each frame is shown, in ticks."""
        return np.diff(self.pts, append=self.end)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(n,) start of each frame, seconds after the first one's."""
        seconds: NDArray[np.float64] = (self.pts - self.pts[0]) * float(self.time_base)
        return seconds


def build_timeline(plan: SourcePlan, dialogue_duration: Fraction, sync_mode: SyncMode) -> Timeline:
    """Lay a source's frames out over the output.

    Args:
        plan: of the source, settled.
        dialogue_duration: seconds, counted from the film's first frame.
        sync_mode: see the table above. For a still picture take ``loop``.
    """
    film = (plan.end - int(plan.pts[0])) * plan.time_base
    if abs(film - dialogue_duration) < 1 / plan.frame_rate:
        return _as_filmed(plan)
    is_longer = dialogue_duration > film
    if sync_mode == "remap":
        return _remapped(plan, film, dialogue_duration)
    if sync_mode == "silence" and is_longer:
        return _held(plan, dialogue_duration)
    if sync_mode == "silence" or (sync_mode == "cut_off" and is_longer):
        return _as_filmed(plan)
    return _repeated(plan, dialogue_duration, back_and_forth=sync_mode == "bounce")


def _as_filmed(plan: SourcePlan) -> Timeline:
    return Timeline(np.arange(len(plan), dtype=np.int32), plan.pts, plan.end, plan.time_base)


def _repeated(plan: SourcePlan, seconds: Fraction, *, back_and_forth: bool) -> Timeline:
    """Pass after pass until the time is filled; every frame is shown for as long as in the film."""
    cycle = np.arange(len(plan), dtype=np.int32)
    if back_and_forth:
        # The frames at which it turns are not shown twice in a row.
        cycle = np.concatenate([cycle, cycle[-2:0:-1]])
    durations = plan.durations[cycle]
    ticks = seconds / plan.time_base
    passes = max(1, -(-ticks // int(durations.sum())))
    ends = np.cumsum(np.tile(durations, int(passes)))
    count = min(int(np.searchsorted(ends, float(ticks))) + 1, len(ends))
    first = int(plan.pts[0])
    starts = np.concatenate([[0], ends[: count - 1]])
    return Timeline(
        np.resize(cycle, count),
        first + starts,
        first + int(ends[count - 1]),
        plan.time_base,
        keeps_time=count <= len(plan),
    )


def _held(plan: SourcePlan, seconds: Fraction) -> Timeline:
    """The film, then its last frame again and again at the nominal rate: its mouths still move."""
    rest = seconds - (plan.end - int(plan.pts[0])) * plan.time_base
    grid = plan.end + _grid(plan, rest)
    held = np.full(len(grid) - 1, len(plan) - 1, np.int32)
    return Timeline(
        np.concatenate([np.arange(len(plan), dtype=np.int32), held]),
        np.concatenate([plan.pts, grid[:-1]]),
        int(grid[-1]),
        plan.time_base,
    )


def _remapped(plan: SourcePlan, film: Fraction, seconds: Fraction) -> Timeline:
    """At the film's own rate, each time the frame nearest to where the stretched film would be."""
    grid = _grid(plan, seconds)
    wanted = grid[:-1] * float(film / seconds)
    starts = plan.pts - plan.pts[0]
    after = np.clip(np.searchsorted(starts, wanted), 1, max(len(plan) - 1, 1))
    before = after - 1
    if len(plan) == 1:
        nearest = np.zeros(len(wanted), np.int32)
    else:
        is_before = wanted - starts[before] <= starts[after] - wanted
        nearest = np.where(is_before, before, after).astype(np.int32)
    first = int(plan.pts[0])
    return Timeline(
        nearest,
        first + grid[:-1],
        first + int(grid[-1]),
        plan.time_base,
        keeps_time=False,
        stretch=seconds / film,
    )


def _grid(plan: SourcePlan, seconds: Fraction) -> NDArray[np.int64]:
    """Starts of the frames, in ticks from 0, that fill the time at the nominal rate; and the end.

    Rounded one by one from exact times, so that nothing adds up.
    """
    count = max(1, -int(-(seconds * plan.frame_rate) // 1))
    rate = plan.frame_rate * plan.time_base  # frames a tick
    # floor(x + 1/2) in whole numbers: exact at any length.
    numbers = np.arange(count + 1, dtype=np.int64)
    return (2 * numbers * rate.denominator + rate.numerator) // (2 * rate.numerator)
