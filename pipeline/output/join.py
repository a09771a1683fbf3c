"""Encoded segments, put end to end by stream copy: one picture stream with exact times."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from pipeline.errors import InternalError
from pipeline.media.info import VideoInfo
from pipeline.media.opening import one_line, open_media
from pipeline.output.publish import writing_errors

Pts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Timing:
    """When each frame of the output is shown.

    Attributes:
        pts: (frames,) int64, rising, in ``time_base``, on the source's own timeline.
        end: pts at which the last frame is over.
        time_base: seconds a tick.
    """

    pts: Pts
    end: int
    time_base: Fraction

    @property
    def start_seconds(self) -> Fraction:
        return int(self.pts[0]) * self.time_base

    @property
    def duration_seconds(self) -> Fraction:
        return (self.end - int(self.pts[0])) * self.time_base


def join_segments(segments: Sequence[Path], timing: Timing, video: VideoInfo, joined: Path) -> None:
    """Put the packets of all segments into one MP4 that starts at zero, times exact.

    Decoding times are made anew for the whole: a segment's own would overlap its neighbours'.

    Raises InternalError where a segment was encoded otherwise than the first, or the frames are not
    those of ``timing``.
    """
    base = timing.time_base
    options = {
        "fflags": "+bitexact",
        "video_track_timescale": str(base.denominator),
        "movie_timescale": str(base.denominator),
    }
    with (
        writing_errors(joined),
        av.open(str(joined.absolute()), "w", format="mp4", options=options) as muxer,
    ):
        out: Any = None
        first = None
        position = 0
        for segment in segments:
            with open_media(segment, ("nut",)) as container:
                stream = container.streams.video[0]
                traits = _traits(stream)
                if out is None:
                    first, delay = traits, stream.codec_context.reorder_depth
                    out = muxer.add_stream_from_template(stream)
                    out.time_base = Fraction(1, base.denominator)
                    if video.display_matrix is not None:
                        out.set_display_matrix(video.display_matrix)
                if traits != first:
                    raise InternalError(f"{one_line(segment)} was encoded unlike its neighbours")
                for packet in _placed(container.demux(stream), timing, video, position, delay):
                    packet.stream = out
                    muxer.mux_one(packet)
                    position += 1
    if position != len(timing.pts):
        raise InternalError(f"the segments hold {position} frames, not {len(timing.pts)}")


def _traits(stream: Any) -> tuple[object, ...]:
    """What must be equal for two segments to be one stream."""
    context = stream.codec_context
    return (
        context.name,
        context.extradata,
        context.width,
        context.height,
        context.pix_fmt,
        context.reorder_depth,
    )


def _placed(
    packets: Iterator[Any], timing: Timing, video: VideoInfo, position: int, delay: int
) -> Iterator[Any]:
    """A segment's packets with their times in the whole, where it begins at frame ``position``.

    The k-th packet of the stream is decoded when the frame that is shown ``delay`` frames before
    the k-th starts: no picture is shown before it is decoded, and decoding times rise.
    """
    pts, base = timing.pts, timing.time_base
    frame = max(1, round(1 / (video.frame_rate * base)))
    start, first = int(pts[0]), int(pts[position]) if position < len(pts) else 0
    for packet in packets:
        if packet.size == 0:
            continue
        place = first + packet.pts * packet.time_base / base
        index = int(np.searchsorted(pts, int(place)))
        if place.denominator != 1 or index >= len(pts) or pts[index] != place:
            raise InternalError(f"a segment holds a frame at {place} that the output has not")
        before = position - delay
        decoded = int(pts[before]) if before >= 0 else start + before * frame
        following = int(pts[index + 1]) if index + 1 < len(pts) else timing.end
        if decoded > place:
            raise InternalError("a segment holds a frame that is shown before it is decoded")
        scale = base.numerator
        packet.time_base = Fraction(1, base.denominator)
        packet.pts, packet.dts = (int(place) - start) * scale, (decoded - start) * scale
        packet.duration = (following - int(place)) * scale
        position += 1
        yield packet
