"""Decoding: a source or a part of it, in native planes and with the source's own times."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.errors import UnreadableMediaError, UnusableMediaError
from pipeline.media.clock import move
from pipeline.media.cutting import OBJECT_FORMATS, ORIGIN_TAG
from pipeline.media.declared import declared
from pipeline.media.info import DEFAULT_FRAME_RATE, UNSPECIFIED, Clock, Crop
from pipeline.media.opening import (
    VIDEO_DEMUXERS,
    flush_packet,
    one_line,
    open_media,
    picture_stream,
    read_packets,
)
from pipeline.media.plan import Segment, SourcePlan
from pipeline.media.planes import cropped, to_planar, whole_samples

#: Decoder threads where the caller does not say. Each holds about one frame.
DECODE_THREADS = 2


def decode_source(path: Path | str, threads: int = DECODE_THREADS) -> Iterator[av.VideoFrame]:
    """Every frame of a file's picture stream, from its first to its last, planar (see planes.py).

    Args:
        path: the source itself.
        threads: of the decoder; memory grows by about one frame for each.

    Yields:
        Frames with ``pts`` in ``time_base``, both the source's.

    Raises:
        UnreadableMediaError: the file cannot be opened or holds no picture.
    """
    with open_media(path, VIDEO_DEMUXERS) as container:
        stream = picture_stream(container)
        hidden = None if stream is None else declared(stream).crop
        for frame in _decode(path, container, threads, Clock()):
            crop = hidden and whole_samples(hidden, frame.format.name, (frame.width, frame.height))
            yield cropped(to_planar(frame), crop)


def decode_segment(
    object_path: Path,
    plan: SourcePlan,
    segment: Segment,
    *,
    from_anchor: bool = False,
    threads: int = DECODE_THREADS,
) -> Iterator[av.VideoFrame]:
    """The frames of one segment, exactly as a decode of the whole source gives them.

    Args:
        object_path: what :func:`pipeline.media.cutting.cut_segments` returned for it.
        plan: of the source.
        segment: of the plan.
        from_anchor: start with the frames between the segment's anchor and its start.
        threads: of the decoder; memory grows by about one frame for each.

    Yields:
        Planar frames, times ascending, ``pts`` in the source's time base, colours tagged as
        ``plan.color``. Their number in the source is ``plan.number(frame.pts)``. A damaged source
        may give other frames than were planned: see :func:`pipeline.media.segments.settle`.

    Raises:
        UnreadableMediaError: the object is missing or damaged.
        UnusableMediaError: the picture changes its size on the way.
    """
    start = segment.anchor if from_anchor else segment.start
    return decode_range(object_path, plan, start, segment.end, threads=threads)


def decode_range(
    object_path: Path, plan: SourcePlan, start: int, end: int, *, threads: int = DECODE_THREADS
) -> Iterator[av.VideoFrame]:
    """Frames [start, end) out of an object that holds them; else as :func:`decode_segment`.

    Begins at the last anchor at or before ``start``, wherever in the object that is.
    """
    if start >= end:
        return
    # Frames are told by their time, and the first and the last range are open to their side, so
    # that each frame that decodes lies in exactly one range, whatever the packets promised.
    earliest = None if start == 0 else int(plan.pts[start])
    latest = None if end == len(plan) else int(plan.pts[end])
    discarded = frozenset(plan.discarded.tolist())
    demuxers = VIDEO_DEMUXERS if plan.is_whole else tuple(OBJECT_FORMATS.values())
    with open_media(object_path, demuxers) as container:
        origin = 0 if plan.is_whole else int(container.metadata[ORIGIN_TAG])
        _seek(container, plan, start, origin)
        # Only a source kept whole still has its own times; in objects they were moved.
        clock = plan.clock if plan.is_whole else Clock()
        for frame in _decode(object_path, container, threads, clock):
            pts = _restore(frame, plan, origin, object_path)
            if latest is not None and pts >= latest:
                return
            if (earliest is None or pts >= earliest) and pts not in discarded:
                yield _tagged(cropped(to_planar(frame), plan.crop), plan)


def _seek(container: InputContainer, plan: SourcePlan, start: int, origin: int) -> None:
    """Go to the last anchor at or before ``start``; stay where it is the object's own."""
    anchor = int(plan.anchors[np.searchsorted(plan.anchors, start, side="right") - 1])
    wanted = int(plan.packet_pts[plan.packets[anchor]]) - origin if anchor else 0
    stream = picture_stream(container)
    if wanted <= 0 or plan.is_whole or stream is None or stream.time_base is None:
        return
    target = int(wanted * plan.time_base / stream.time_base)
    container.seek(target, stream=stream)
    # A seek that lands behind the anchor would lose frames. Look, then go there again.
    landed = next((p.pts for p in container.demux(stream)), None)
    container.seek(target if landed is not None and landed <= target else 0, stream=stream)


def _decode(
    path: Path | str, container: InputContainer, threads: int, clock: Clock
) -> Iterator[av.VideoFrame]:
    """Frames as the decoder gives them, their times strictly ascending."""
    stream = picture_stream(container)
    if stream is None or stream.codec_context is None or stream.time_base is None:
        raise UnreadableMediaError(f"{one_line(path)}: holds no picture")
    stream.thread_type, stream.thread_count = "AUTO", threads
    rate = stream.average_rate or stream.guessed_rate or DEFAULT_FRAME_RATE
    step = max(1, round(1 / (rate * stream.time_base)))
    latest: int | None = None
    packets = move(read_packets(path, container, [stream]), clock)
    for packet in chain(packets, [flush_packet(stream)]):
        for frame in _frames_of(path, packet):
            # Some old formats give no times, or the same twice: go on at the nominal rate.
            if frame.pts is None or (latest is not None and frame.pts <= latest):
                frame.pts = (stream.start_time or 0) if latest is None else latest + step
            latest = frame.pts
            yield frame


def _frames_of(path: Path | str, packet: "av.Packet[VideoStream]") -> list[av.VideoFrame]:
    try:
        return packet.decode()
    except av.InvalidDataError:
        return []  # a damaged packet: players show the next picture, and so do we
    except av.FFmpegError as error:
        reason = error.strerror or type(error).__name__
        raise UnreadableMediaError(f"{one_line(path)}: does not decode: {reason}") from None


def _restore(frame: av.VideoFrame, plan: SourcePlan, origin: int, object_path: Path) -> int:
    """Give a decoded frame the source's time and colours; returns its pts."""
    crop = plan.crop or Crop(0, 0, 0, 0)
    width, height = frame.width - crop.left - crop.right, frame.height - crop.top - crop.bottom
    if (width, height) != (plan.width, plan.height):
        raise UnusableMediaError(
            f"{one_line(object_path)}: the picture changes from {plan.width}×{plan.height}"
            f" to {width}×{height} on the way; make it one size first"
        )
    assert frame.pts is not None  # noqa: S101 -- _decode gave it one
    assert frame.time_base is not None  # noqa: S101 -- demuxed packets carry it
    pts = frame.pts * frame.time_base / plan.time_base + origin
    frame.pts, frame.time_base = int(pts), plan.time_base
    return int(pts)


def _tagged(frame: av.VideoFrame, plan: SourcePlan) -> av.VideoFrame:
    """An object keeps no colour tags of its own; the bitstream may have none either.

    A frame that says it is of another colour keeps that: whoever encodes it tells of it.
    """
    color = plan.color
    frame.color_range = frame.color_range or color.range
    if frame.colorspace == UNSPECIFIED:
        frame.colorspace = color.space
    if frame.color_primaries == UNSPECIFIED:
        frame.color_primaries = color.primaries
    if frame.color_trc == UNSPECIFIED:
        frame.color_trc = color.transfer
    return frame
