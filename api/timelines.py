"""Which dialogue is heard where: ``segments`` of an order, checked and put in order.

The wire's segment is a part of the film that takes a part of some audio; what none covers keeps its
picture and its sound. In the job's params it is a clip of ``pipeline.options.DubOptions``.
"""

from collections.abc import Collection, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from api.errors import RefusedError

#: A day; no film is longer.
_LONGEST: Final = 86_400

#: More than anybody cuts by hand.
MAX_SEGMENTS: Final = 10_000

Seconds = Annotated[float, Field(ge=0, le=_LONGEST, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SegmentAudio(_Strict):
    """Part of an audio input; all of it unless both times are given, in seconds."""

    refId: str = Field(max_length=255)  # noqa: N815 -- the wire's name
    startTime: Seconds | None = None  # noqa: N815
    endTime: Seconds | None = None  # noqa: N815


class Segment(_Strict):
    """A part of the film, in seconds, and what is heard there."""

    startTime: Seconds  # noqa: N815
    endTime: Seconds  # noqa: N815
    audioInput: SegmentAudio  # noqa: N815
    optionsOverride: dict[str, Any] | None = None  # noqa: N815


def in_order(segments: Sequence[Segment]) -> list[Segment]:
    """The segments by their start.

    Raises:
        RefusedError: one is empty or asks for what it cannot have, or two overlap.
    """
    for each in segments:
        _check(each)
    ordered = sorted(segments, key=lambda each: each.startTime)
    for before, after in pairwise(ordered):
        if after.startTime < before.endTime:
            raise _refused(f"{_shown(after)} overlaps {_shown(before)}")
    return ordered


def dialogues_of(segments: Sequence[Segment], known: Collection[str]) -> list[str]:
    """The ``refId`` of each audio that is heard, in the order of the film.

    Args:
        segments: as sent.
        known: the audio inputs there are.

    Raises:
        RefusedError: one is not among the inputs, or an input is not heard; see also
            :func:`in_order`.
    """
    names = list(dict.fromkeys(each.audioInput.refId for each in in_order(segments)))
    for name in names:
        if name not in known:
            raise _refused(f"no audio input has the refId {name!r}")
    for name in known:
        if name not in names:
            raise _refused(f"no segment uses the audio input {name!r}")
    return names


def clips_of(segments: Sequence[Segment]) -> list[dict[str, Any]]:
    """The ``timeline`` of ``DubOptions`` as JSON; dialogues by their places in the job."""
    ordered = in_order(segments)
    names = list(dict.fromkeys(each.audioInput.refId for each in ordered))
    return [
        {
            "start": exact(each.startTime),
            "end": exact(each.endTime),
            "dialogue": names.index(each.audioInput.refId),
            "dialogue_start": exact(each.audioInput.startTime or 0),
            "dialogue_end": None
            if each.audioInput.endTime is None
            else exact(each.audioInput.endTime),
        }
        for each in ordered
    ]


def exact(seconds: float) -> str:
    """A time as it was written: 12.345 is 2469/200, which no float is."""
    return str(Fraction(str(seconds)))


def _check(segment: Segment) -> None:
    audio = segment.audioInput
    if segment.startTime >= segment.endTime:
        raise _refused(f"{_shown(segment)} ends before it starts")
    if audio.endTime is not None and (audio.startTime or 0) >= audio.endTime:
        raise _refused(f"{_shown(segment)}: its part of the audio ends before it starts")
    if segment.optionsOverride:
        raise _refused(
            f"{_shown(segment)}: optionsOverride is not taken; options hold for the whole film"
        )


def _shown(segment: Segment) -> str:
    return f"the segment {segment.startTime:g}-{segment.endTime:g} s"


def _refused(message: str) -> RefusedError:
    return RefusedError("generation_input_segments_invalid", f"segments: {message}")
