"""A timeline as JSON: the ``segments`` of an order, with sound files in place of inputs."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from lipfarm.choices import exact_number
from pipeline.errors import TimelineError, UnreadableMediaError
from pipeline.options import Clip


def _exact(value: object) -> Fraction:
    try:
        return exact_number(str(value))
    except ZeroDivisionError:
        raise ValueError("a fraction over 0") from None


#: As written: 12.345 is exactly 12345/1000.
_Seconds = Annotated[Fraction, BeforeValidator(_exact)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class _AudioInput(_Strict):
    refId: str  # noqa: N815 -- as an order has it
    startTime: _Seconds = Fraction(0)  # noqa: N815
    endTime: _Seconds | None = None  # noqa: N815


class _Segment(_Strict):
    startTime: _Seconds  # noqa: N815
    endTime: _Seconds  # noqa: N815
    audioInput: _AudioInput  # noqa: N815


_SEGMENTS: TypeAdapter[list[_Segment]] = TypeAdapter(list[_Segment])


def read_timeline(path: Path) -> tuple[tuple[Clip, ...], tuple[Path, ...]]:
    """The clips of a timeline, and the sound files they name.

    Args:
        path: JSON, ``[{"startTime", "endTime", "audioInput": {"refId", "startTime", "endTime"}}]``
            in seconds; ``refId`` is a sound file, seen from the folder the JSON is in.

    Raises:
        UnreadableMediaError: there is no such file.
        TimelineError: it is no timeline.
    """
    segments = _checked(path, _read(path))
    names = _names(segments)
    clips = tuple(
        Clip(
            segment.startTime,
            segment.endTime,
            names.index(segment.audioInput.refId),
            segment.audioInput.startTime,
            segment.audioInput.endTime,
        )
        for segment in segments
    )
    return clips, tuple(path.parent / name for name in names)


def read_segments(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The same timeline as an order's ``segments``, word for word, and the names in it.

    Raises:
        UnreadableMediaError: there is no such file.
        TimelineError: it is no timeline.
    """
    content = _read(path)
    names = _names(_checked(path, content))
    segments: list[dict[str, Any]] = json.loads(content)
    return segments, names


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableMediaError(f"{path}: {error.strerror}") from error


def _checked(path: Path, content: bytes) -> list[_Segment]:
    try:
        segments = _SEGMENTS.validate_json(content)
    except ValidationError as error:
        mistake: Any = error.errors()[0]
        where = ".".join(str(part) for part in mistake["loc"])
        raise TimelineError(f"{path}: {where}: {mistake['msg']}") from None
    if not segments:
        raise TimelineError(f"{path}: holds no segment")
    return segments


def _names(segments: list[_Segment]) -> list[str]:
    return list(dict.fromkeys(segment.audioInput.refId for segment in segments))
