"""Looking at a film in several places, so that it is not judged by its first frame.

A slate, a black leader or the end of another programme may be of another kind than what follows.
What begins later holds for the whole (HDR metadata, say); what changes, and cannot be one stream,
is told with the place, and refuses the film before any work.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import av
from av.container import InputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from pipeline.media.extras import extras_of
from pipeline.media.info import (
    DEFAULT_FRAME_RATE,
    UNSPECIFIED,
    UNSPECIFIED_RANGE,
    ColorTags,
    HdrMetadata,
    MasteringDisplay,
)
from pipeline.media.opening import (
    BARE_DEMUXERS,
    VIDEO_DEMUXERS,
    flush_packet,
    open_media,
    picture_stream,
    read_packets,
)
from pipeline.media.planes import planar_format
from pipeline.media.sidedata import side_data

#: Places that are looked at after the first frame, evenly spaced; the last is the film's end.
PLACES = 12

#: Frames of each place: the first behind a keyframe may be of the kind before.
FRAMES_A_PLACE = 2

#: Packets of the picture stream that are tried for a frame before giving up.
PACKETS_A_PLACE = 300

#: Seconds before the end from where on there is sure to be a frame.
_BEFORE_END = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Look:
    """What one decoded frame says of the film.

    Attributes:
        at: seconds from the film's first frame.
        size, pix_fmt, pixel_shape: as decoded; the shape by the bitstream, None where it is silent.
        rotation, display_matrix, color, hdr, is_interlaced, extras: as in VideoInfo.
    """

    at: Fraction
    size: tuple[int, int]
    pix_fmt: str
    pixel_shape: Fraction | None
    rotation: int
    display_matrix: tuple[int, ...] | None
    color: ColorTags
    hdr: HdrMetadata | None
    is_interlaced: bool
    extras: frozenset[str]


def first_look(path: Path, container: InputContainer, stream: VideoStream) -> Look | None:
    """At the first frame that decodes; None where none does."""
    return next(_decoded(path, container, stream, 1), None)


def look_around(path: Path, duration: Fraction | None) -> Iterator[Look]:
    """At frames all over the film, in bounded time; less where the file cannot be sought in.

    Args:
        path: the film.
        duration: seconds, as its container says.
    """
    with open_media(path, VIDEO_DEMUXERS) as container:
        stream = picture_stream(container)
        if stream is None:
            return
        # One thread: with several the decoder's own fields run ahead of the frame.
        stream.thread_count = 1
        if not duration or container.format.name in BARE_DEMUXERS:
            yield from _at_keyframes(path, stream, container)
        else:
            start = Fraction(container.start_time or 0, av.time_base)
            for place in range(1, PLACES + 1):
                at = min(duration * place / PLACES, max(duration - _BEFORE_END, Fraction(0)))
                try:
                    container.seek(int((start + at) * av.time_base))
                except av.FFmpegError:
                    return
                yield from _decoded(path, container, stream, FRAMES_A_PLACE)


def _at_keyframes(path: Path, stream: VideoStream, container: InputContainer) -> Iterator[Look]:
    """Of a stream without times or index: it is read through, and decoded here and there."""
    every = path.stat().st_size / PLACES
    rate = stream.guessed_rate or DEFAULT_FRAME_RATE
    read, following = 0, every
    for count, packet in enumerate(read_packets(path, container, [stream])):
        read += packet.size
        if packet.is_keyframe and read >= following:
            following = read + every
            for look in islice(_frames([packet, flush_packet(stream)], stream), 1):
                yield replace(look, at=count / rate)
            stream.codec_context.flush_buffers()


def _decoded(
    path: Path, container: InputContainer, stream: VideoStream, most: int
) -> Iterator[Look]:
    packets = islice(read_packets(path, container, [stream]), PACKETS_A_PLACE)
    yield from islice(_frames(chain(packets, [flush_packet(stream)]), stream), most)


def _frames(packets: "Iterable[av.Packet[VideoStream]]", stream: VideoStream) -> Iterator[Look]:
    for packet in packets:
        try:
            decoded = packet.decode()
        except av.FFmpegError:
            continue  # a damaged place: the next keyframe may do
        for frame in decoded:
            yield _look(frame, stream)


def _look(frame: av.VideoFrame, stream: VideoStream) -> Look:
    context, base = stream.codec_context, frame.time_base or Fraction(1)
    return Look(
        at=((frame.pts or 0) - (stream.start_time or 0)) * base,
        size=(frame.width, frame.height),
        pix_fmt=frame.format.name,
        pixel_shape=context.sample_aspect_ratio or None,
        rotation=frame.rotation % 360,
        display_matrix=_display_matrix(frame),
        color=_color_tags(frame),
        hdr=_hdr_metadata(frame),
        is_interlaced=frame.interlaced_frame,
        extras=frozenset(extras_of(frame)),
    )


def _color_tags(frame: av.VideoFrame) -> ColorTags:
    if frame.format.is_rgb or frame.format.has_palette:
        # planes.to_planar makes BT.709 limited of it; the light itself stays as it was.
        return ColorTags(1, 1, frame.color_primaries, frame.color_trc)
    full = frame.format.name.startswith("yuvj")
    return ColorTags(
        range=2 if full else frame.color_range,
        space=frame.colorspace,
        primaries=frame.color_primaries,
        transfer=frame.color_trc,
    )


def _display_matrix(frame: av.VideoFrame) -> tuple[int, ...] | None:
    raw = side_data(frame, "DISPLAYMATRIX")
    return None if raw is None else struct.unpack("=9i", raw[:36])


def _hdr_metadata(frame: av.VideoFrame) -> HdrMetadata | None:
    light = side_data(frame, "CONTENT_LIGHT_LEVEL")
    mastering = _mastering_display(frame)
    if light is None and mastering is None:
        return None
    max_cll, max_fall = struct.unpack("=2I", light[:8]) if light else (None, None)
    return HdrMetadata(mastering=mastering, max_cll=max_cll, max_fall=max_fall)


def _mastering_display(frame: av.VideoFrame) -> MasteringDisplay | None:
    """From AVMasteringDisplayMetadata: x, y of R, G, B and white; darkest, brightest; 2 flags."""
    raw = side_data(frame, "MASTERING_DISPLAY_METADATA")
    if raw is None:
        return None
    *numbers, has_primaries, has_luminance = struct.unpack("=22i", raw[:88])
    if not (has_primaries and has_luminance):
        return None
    rx, ry, gx, gy, bx, by, wx, wy, darkest, brightest = (
        Fraction(n, d or 1) for n, d in zip(numbers[::2], numbers[1::2], strict=True)
    )
    return MasteringDisplay((rx, ry), (gx, gy), (bx, by), (wx, wy), darkest, brightest)


def color_of(looks: Sequence[Look], contained: ColorTags) -> ColorTags:
    """Each tag as the first frame that has it says, else as the container does."""
    tags = [*(look.color for look in looks), contained]

    def first(values: Iterator[int], unspecified: int) -> int:
        return next((value for value in values if value != unspecified), unspecified)

    return ColorTags(
        range=first((each.range for each in tags), UNSPECIFIED_RANGE),
        space=first((each.space for each in tags), UNSPECIFIED),
        primaries=first((each.primaries for each in tags), UNSPECIFIED),
        transfer=first((each.transfer for each in tags), UNSPECIFIED),
    )


def change_between(looks: Sequence[Look]) -> str | None:
    """What differs between looks and cannot be one stream, where, and the way out; None if nothing.

    A frame that is silent on something is of the kind of the others.
    """
    known: dict[str, str] = {}
    for look in looks:
        for what, value in _traits(look).items():
            if value != known.setdefault(what, value):
                where = f"at {float(look.at):.1f} s"
                return f"{what} changes from {known[what]} to {value} {where}; {_WAYS_OUT[what]}"
    return None


_SIZE, _FORMAT, _SHAPE = "the picture", "its pixel format", "the shape of its pixels"
_TURN, _RANGE, _MATRIX = "its rotation", "the range of its samples", "its colour matrix"
_PRIMARIES, _TRANSFER = "the primaries of its colours", "the transfer of its light"
_ONE_LIGHT = "cut it there, or convert it to one kind of colour first"

_WAYS_OUT = {
    _SIZE: "make it one size first",
    _FORMAT: "make it one format first, for example with ffmpeg -i IN -pix_fmt FORMAT OUT",
    _SHAPE: "make it one shape first, for example with ffmpeg -i IN -vf scale=W:H,setsar=1 OUT",
    _TURN: "turn it upright first",
    _RANGE: _ONE_LIGHT,
    _MATRIX: _ONE_LIGHT,
    _PRIMARIES: _ONE_LIGHT,
    _TRANSFER: _ONE_LIGHT,
}

#: FFmpeg's names for the numbers of ITU-T H.273.
_COLORS: dict[str, tuple[str, type[IntEnum]]] = {
    "range": (_RANGE, ColorRange),
    "space": (_MATRIX, Colorspace),
    "primaries": (_PRIMARIES, ColorPrimaries),
    "transfer": (_TRANSFER, ColorTrc),
}


def _traits(look: Look) -> dict[str, str]:
    """What must not change, in words."""
    found = {
        _SIZE: f"{look.size[0]}×{look.size[1]}",
        _FORMAT: planar_format(look.pix_fmt),
        _TURN: f"{look.rotation}°",
    }
    if look.pixel_shape is not None:
        found[_SHAPE] = f"{look.pixel_shape.numerator}:{look.pixel_shape.denominator}"
    for field, number in look.color.meaning().items():
        what, names = _COLORS[field]
        found[what] = _name(names, number)
    return found


def _name(kind: type[IntEnum], number: int) -> str:
    """The number where PyAV has no name for it."""
    return kind(number).name.lower() if number in set(kind) else str(number)
