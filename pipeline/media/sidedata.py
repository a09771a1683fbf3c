"""Side data of frames: what a decoder says beside the picture, by the names of AVFrameSideDataType.

PyAV has names for the kinds up to 27 and raises at the first frame that carries another, so that
none of its side data could be read. FFmpeg has had more since: LCEVC, EXIF and others. Those get a
name here, and so does whatever is added to FFmpeg later.

PyAV also frees the metadata of side data as if it were its own, so that FFmpeg frees it again and
the process dies. One kind has metadata: the ICC profile of a PNG, which has a name. So profiles of
the formats that PNG is decoded to are taken off before PyAV sees them; picture_light.py reads those
of stills in another way.
"""

from fractions import Fraction
from typing import Any, cast

import av
from av.filter import Graph
from av.sidedata.sidedata import SideDataContainer, Type

#: Kinds that PyAV does not name (libavutil/frame.h of FFmpeg 8).
_NEWER_KINDS = {28: "LCEVC", 29: "VIEW_ID", 30: "REFERENCE_DISPLAYS_3D", 31: "EXIF"}

_PNG_FORMATS = frozenset(
    {"rgb24", "rgba", "rgb48be", "rgba64be", "pal8", "gray", "gray16be", "ya8", "ya16be", "monob"}
)


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
    kinds = {item.type.name for item in _items(frame)}
    is_hidden = frame.format.name in _PNG_FORMATS and _profiles(frame, "select") is not None
    return kinds | {Type.ICC_PROFILE.name} if is_hidden else kinds


def side_data(frame: av.VideoFrame, kind: str) -> bytes | None:
    """What a frame carries of one kind, in the layout of FFmpeg's structure for it."""
    return next(iter(all_side_data(frame, kind)), None)


def all_side_data(frame: av.VideoFrame, kind: str) -> list[bytes]:
    """The same of a kind that a frame may carry several of."""
    return [bytes(item) for item in _items(frame) if item.type.name == kind]


def _items(frame: av.VideoFrame) -> list[Any]:
    # Not frame.side_data: a frame keeps that, and it the frame, so that memory holds both until the
    # garbage collector comes, which counts objects and not their megabytes.
    container: Any = cast(Any, SideDataContainer)(without_named_profile(frame))
    # The mapping's keys are the items themselves; an index gets at each.
    return [container[i] for i in range(len(container))]


def without_named_profile(frame: av.VideoFrame) -> av.VideoFrame:
    """Another hand on the same picture; the frame itself where no such profile can be.

    What is made of a frame, in another format, has its side data too, so this comes before.
    """
    if frame.format.name not in _PNG_FORMATS:
        return frame
    without = _profiles(frame, "delete")
    assert without is not None  # noqa: S101 -- deleting drops no frame
    return without


def _profiles(frame: av.VideoFrame, mode: str) -> av.VideoFrame | None:
    """With ``delete`` the frame without its profile, with ``select`` none where it has none."""
    graph = Graph()
    buffer = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or Fraction(1, av.time_base),
    )
    step = graph.add("sidedata", f"mode={mode}:type={Type.ICC_PROFILE.value}")
    graph.link_nodes(buffer, step, graph.add("buffersink")).configure()
    graph.push(frame)
    try:
        return cast(av.VideoFrame, graph.pull())
    except av.BlockingIOError:
        return None
