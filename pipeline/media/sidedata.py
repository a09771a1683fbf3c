"""Side data of frames: what a decoder says beside the picture, by the names of AVFrameSideDataType.

PyAV has names for the kinds up to 27 and raises at the first frame that carries another, so that
none of its side data could be read. FFmpeg has had more since: LCEVC, EXIF and others. Those get a
name here, and so does whatever is added to FFmpeg later.
"""

from typing import Any, cast

import av
from av.sidedata.sidedata import Type

#: Kinds that PyAV does not name (libavutil/frame.h of FFmpeg 8).
_NEWER_KINDS = {28: "LCEVC", 29: "VIEW_ID", 30: "REFERENCE_DISPLAYS_3D", 31: "EXIF"}


def _missing(cls: type[Type], value: object) -> Type | None:
    """A member for a kind without one, as the enum module allows for (``Enum._missing_``)."""
    if not isinstance(value, int):
        return None
    member: Any = object.__new__(cls)
    member._value_ = value
    member._name_ = _NEWER_KINDS.get(value, f"KIND_{value}")
    return cast("Type", cls._value2member_map_.setdefault(value, member))


# The one place that reads side data is this module, so whoever reads it has this.
Type._missing_ = classmethod(_missing)  # type: ignore[assignment]


def side_data_kinds(frame: av.VideoFrame) -> set[str]:
    """The kinds a frame carries, as in A53_CC for AV_FRAME_DATA_A53_CC."""
    return {item.type.name for item in _items(frame)}


def side_data(frame: av.VideoFrame, kind: str) -> bytes | None:
    """What a frame carries of one kind, in the layout of FFmpeg's structure for it."""
    return next((bytes(item) for item in _items(frame) if item.type.name == kind), None)


def _items(frame: av.VideoFrame) -> list[Any]:
    # The mapping's keys are the items themselves; an index gets at each.
    container: Any = frame.side_data
    return [container[i] for i in range(len(container))]
