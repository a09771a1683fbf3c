"""Scanning a source's packets, without decoding, into a plan of its frames.

*Anchors* are the keyframes from which decoding, and detection, may start fresh. They depend on
nothing but the source, so what is computed from an anchor on is the same however the film is cut.
"""

from array import array
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.packet import PktSideDataT
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.errors import UnreadableMediaError, UnusableMediaError
from pipeline.media.adts import AdtsScan
from pipeline.media.clock import ClockScan
from pipeline.media.h264 import is_clean_entry
from pipeline.media.info import Clock, MediaInfo, VideoInfo
from pipeline.media.opening import (
    VIDEO_DEMUXERS,
    one_line,
    open_media,
    picture_stream,
    read_packets,
)
from pipeline.media.plan import SourcePlan
from pipeline.media.probe import require_source

__all__ = ["SourcePlan", "scan_packets"]

#: Frames between two anchors, at least. Fewer would make detection start afresh too often.
MIN_ANCHOR_DISTANCE = 12

#: Codecs of which every packet is a picture by itself.
INTRA_CODECS = frozenset(
    {"prores", "dnxhd", "mjpeg", "dvvideo", "jpeg2000", "cfhd", "huffyuv", "ffvhuff"}
)

#: Codecs whose packets survive a stream copy into a segment object and decode the same from it.
#: Others are kept as one piece.
CUTTABLE_CODECS = INTRA_CODECS | {
    "h264",
    "hevc",
    "mpeg4",
    "mpeg2video",
    "mpeg1video",
    "vp8",
    "vp9",
    "av1",
    "ffv1",
}

#: Formats without presentation times. What FFmpeg makes up for them is not to be relied on where
#: pictures are stored in another order than shown.
_TIMELESS_DEMUXERS = frozenset({"avi", "h264", "hevc", "m4v", "mpegvideo", "obu", "mjpeg"})

#: Formats whose streams may end and others begin on the way, which FFmpeg's demuxers do not follow;
#: and what share of the file at least must belong to the streams that it begins with.
_CHANGING_FORMATS = frozenset(("mpegts", "mpeg"))
_READ_SHARE = 0.8

#: Longer than any picture is shown, in ticks of any time base in use.
_MAX_DURATION = (1 << 32) - 1

#: Packet side data that changes how all later packets decode, and that no segment object keeps.
_STATEFUL_SIDE_DATA: tuple[PktSideDataT, ...] = ("new_extradata", "param_change", "palette")


def scan_packets(path: Path | str, info: MediaInfo) -> SourcePlan:
    """Read every packet's times and flags; decode nothing.

    Args:
        path: the source.
        info: as probed from it.

    Returns:
        The frames, their times on the clock of the file, which is found in the same pass.

    Raises:
        UnreadableMediaError: it holds no packet of picture.
        UnusableMediaError: see :func:`pipeline.media.probe.require_source`; or the clock of its
            picture jumps, and that of its sound does not.
    """
    video = require_source(info)
    with open_media(path, VIDEO_DEMUXERS) as container:
        stream = picture_stream(container)
        assert stream is not None  # noqa: S101 -- require_source saw it
        scan = _Scan(video.codec, stream.codec_context.extradata, _can_be_cut(stream))
        clocks, headers, read = ClockScan(container), AdtsScan(container), 0
        for packet in read_packets(path, container, list(container.streams)):
            clocks.add(packet)
            headers.add(packet)
            read = max(read, packet.pos or 0)
            if packet.stream_index == stream.index:
                scan.add(packet)
    if not scan.pts:
        raise UnreadableMediaError(f"{one_line(path)}: holds no picture")
    clock = clocks.clock(path, video.index)
    plan = replace(_plan(scan, video, clock), changing=headers.changing)
    if info.container in _CHANGING_FORMATS and read < info.size_bytes * _READ_SHARE:
        raise UnusableMediaError(
            f"{one_line(path)}: goes on with other streams {float(plan.duration):.3f} s in;"
            " divide it there, or write it anew with one set of streams first"
        )
    return plan


@dataclass
class _Scan:
    """What one pass over the picture's packets saw, in decoding order: 14 bytes a packet."""

    codec: str | None
    extradata: bytes | None
    can_be_cut: bool
    pts: "array[int]" = field(default_factory=lambda: array("q"))
    key: bytearray = field(default_factory=bytearray)
    discard: bytearray = field(default_factory=bytearray)
    durations: "array[int]" = field(default_factory=lambda: array("I"))

    def add(self, packet: "av.Packet[VideoStream]") -> None:
        if packet.pts is None:
            self.can_be_cut = False
        if self.pts and any(packet.has_sidedata(kind) for kind in _STATEFUL_SIDE_DATA):
            self.can_be_cut = False
        self.pts.append(packet.pts or 0)
        self.durations.append(min(packet.duration or 0, _MAX_DURATION))
        self.key.append(packet.is_keyframe and self._is_entry(packet))
        self.discard.append(packet.is_discard)

    def _is_entry(self, packet: "av.Packet[VideoStream]") -> bool:
        return self.codec != "h264" or is_clean_entry(bytes(packet), self.extradata)


def _can_be_cut(stream: VideoStream) -> bool:
    context = stream.codec_context
    codec = context.codec.canonical_name
    in_shown_order = codec in INTRA_CODECS or not context.has_b_frames
    has_times = stream.container.format.name not in _TIMELESS_DEMUXERS
    return codec in CUTTABLE_CODECS and (in_shown_order or has_times)


def _plan(scan: _Scan, video: VideoInfo, clock: Clock) -> SourcePlan:
    packet_pts = _on_clock(np.frombuffer(scan.pts, np.int64), clock, video)
    kept = np.frombuffer(scan.discard, np.uint8) == 0
    in_order = np.sort(packet_pts)
    is_regular = scan.can_be_cut and kept.any() and bool((np.diff(in_order) > 0).all())
    if not is_regular:
        return replace(_whole_plan(int(kept.sum()), video), clock=clock)
    packets = np.flatnonzero(kept)
    packets = packets[np.argsort(packet_pts[packets])]
    keyframes = np.flatnonzero(np.frombuffer(scan.key, np.uint8)[packets])
    pts = packet_pts[packets]
    plan = SourcePlan(
        pts=pts,
        packets=packets.astype(np.int32),
        packet_pts=packet_pts,
        keyframes=keyframes.astype(np.int32),
        anchors=_anchors(packets, keyframes),
        end=int(pts[-1]) + 1,
        clock=clock,
        **_constants(video),
    )
    return replace(plan, end=int(pts[-1]) + (scan.durations[packets[-1]] or plan.frame_duration))


def _on_clock(pts: NDArray[np.int64], clock: Clock, video: VideoInfo) -> NDArray[np.int64]:
    """The times of the picture's packets, in decoding order, moved where the clock jumps."""
    moved, before = pts.copy(), 0
    for jump in clock.jumps.get(video.index, ()):
        shift = round(jump.shift / video.time_base)
        moved[jump.packet :] += shift - before
        before = shift
    return moved


def _whole_plan(frames: int, video: VideoInfo) -> SourcePlan:
    """For a source that is one piece: evenly spaced times, until decoding has given better."""
    nothing = np.empty(0, np.int64)
    first = np.zeros(1, np.int32)
    plan = SourcePlan(
        nothing, first[:0], nothing, first, first, end=0, is_whole=True, **_constants(video)
    )
    count = max(frames, 1)
    start = round((video.start or 0) / video.time_base)
    pts = start + plan.frame_duration * np.arange(count + 1, dtype=np.int64)
    return replace(plan, pts=pts[:-1], packets=np.arange(count, dtype=np.int32), end=int(pts[-1]))


def _constants(video: VideoInfo) -> dict[str, Any]:
    return {
        "time_base": video.time_base,
        "frame_rate": video.frame_rate,
        "codec": video.codec,
        "width": video.width,
        "height": video.height,
        "color": video.color,
        "crop": video.crop,
    }


def _anchors(packets: NDArray[np.int64], keyframes: NDArray[np.int64]) -> NDArray[np.int32]:
    """Frame 0, then each keyframe far enough on, if all frames after it are coded after it."""
    earliest_from = np.minimum.accumulate(packets[::-1])[::-1]
    anchors = [0]
    for frame in keyframes[earliest_from[keyframes] == packets[keyframes]].tolist():
        if frame >= anchors[-1] + MIN_ANCHOR_DISTANCE:
            anchors.append(frame)
    return np.array(anchors, np.int32)
