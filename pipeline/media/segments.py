"""From a source to segments: scan its packets, plan the segments, cut, settle the numbering.

The four are called in this order; :func:`settle` once every segment was decoded.
"""

from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.media.cutting import cut_segments
from pipeline.media.packets import scan_packets
from pipeline.media.plan import Segment, SourcePlan

__all__ = [
    "Segment",
    "SourcePlan",
    "cut_segments",
    "plan_segments",
    "scan_packets",
    "settle",
]


def plan_segments(plan: SourcePlan, seconds: Fraction | float) -> tuple[Segment, ...]:
    """Divide the frames into segments of about that length, at anchors where they are near.

    A border is moved to the last anchor in the second half of its segment; failing that, to the
    first anchor within half a length after it; failing that it stays, inside a long GOP.

    Args:
        plan: of the source.
        seconds: length that is aimed at, above 0.

    Returns:
        Segments without gap or overlap over all frames; at least one.
    """
    length = Fraction(seconds) / plan.time_base
    if length <= 0:
        raise ValueError(f"segments of {seconds} s")
    borders = [0]
    while not plan.is_whole and (border := _next_border(plan, borders[-1], length)) < len(plan):
        borders.append(border)
    borders.append(len(plan))
    anchors = plan.anchors.tolist()
    return tuple(
        Segment(i, start, end, anchors[bisect_right(anchors, start) - 1])
        for i, (start, end) in enumerate(pairwise(borders))
    )


def _next_border(plan: SourcePlan, start: int, length: Fraction) -> int:
    begin = int(plan.pts[start])
    if plan.end - begin <= length * Fraction(3, 2):
        return len(plan)

    def first_at(factor: Fraction) -> int:
        # Never an empty segment, however short the length.
        return max(start + 1, int(np.searchsorted(plan.pts, begin + float(length * factor))))

    earliest, wanted, latest = (first_at(Fraction(f, 2)) for f in (1, 2, 3))
    near = plan.anchors[(plan.anchors >= earliest) & (plan.anchors <= latest)]
    before = near[near <= wanted]
    if len(before):
        return int(before[-1])
    return int(near[0]) if len(near) else wanted


def settle(
    plan: SourcePlan, segments: tuple[Segment, ...], delivered: list[NDArray[np.int64]]
) -> tuple[SourcePlan, tuple[Segment, ...]]:
    """Plan and segments as decoding has shown them to be.

    A damaged film, or one whose codec has packets without a picture, decodes to other frames than
    its packets promised. Once every segment was decoded, this gives the true numbering; for a
    sound film it changes nothing.

    Args:
        plan: as scanned.
        segments: of that plan.
        delivered: for each segment the ``pts`` of the frames decoding gave from its start on.

    Returns:
        A plan over exactly the delivered frames, and the same segments in its numbering. A segment
        of which nothing decoded is empty: start == end.
    """
    counts = np.cumsum([0, *(len(pts) for pts in delivered)])
    pts = np.concatenate([np.empty(0, np.int64), *delivered])
    settled = plan.over(pts)
    anchors = np.searchsorted(pts, plan.pts[[s.anchor for s in segments]])
    return settled, tuple(
        Segment(s.index, int(start), int(end), min(int(anchor), int(start)))
        for s, start, end, anchor in zip(segments, counts, counts[1:], anchors, strict=False)
    )
