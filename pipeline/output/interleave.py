"""Files of one stream each, put into one file in order of decoding time, in one thread.

ffmpeg reads each of its inputs in a thread of its own, so from several inputs no two runs order the
packets alike, and a sparse subtitle track lets sound run half a minute ahead of its picture. From
one input in good order it makes the same file every time.
"""

import contextlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from pipeline.errors import UnreadableMediaError
from pipeline.media.opening import open_media
from pipeline.output.containers import Container
from pipeline.output.publish import writing_errors

#: Ticks a second of MP4's edit lists. Their default, 1000, would move a start by half a ms.
MOVIE_TIMESCALE = 240_000

_OPTIONS = {"fflags": "+bitexact", "strict": "experimental"}
#: No shift for what comes before zero, such as an encoder's priming: times stay ours.
_OPTIONS["avoid_negative_ts"] = "disabled"
#: No box with the bit rate: a demuxer takes it for a part of a subtitle's header, and each copy
#: would add one.
_MP4_OPTIONS = {"movie_timescale": str(MOVIE_TIMESCALE), "write_btrt": "0"}


@dataclass(frozen=True, slots=True)
class Part:
    """A file of one stream, and the second of the whole at which its time zero is."""

    path: Path
    start: Fraction = Fraction(0)


def interleave(parts: Sequence[Part], container: Container, out: Path) -> None:
    """Copy the streams of all parts, in their order, into one file.

    Tags and dispositions are not copied.

    Raises:
        StorageFullError, OutputError: the file cannot be written.
    """
    options = _OPTIONS if container == "matroska" else _OPTIONS | _MP4_OPTIONS
    with (
        writing_errors(out),
        av.open(str(out.absolute()), "w", format=container, options=options) as muxer,
        contextlib.ExitStack() as opened,
    ):
        flows = []
        for part in parts:
            source = opened.enter_context(open_media(part.path))
            # opaque: no encoder of that codec is needed.
            stream = muxer.add_stream_from_template(source.streams[0], opaque=True)
            flows.append(_placed(source.demux(), stream, part.start))
        for packet in heapq.merge(*flows, key=_decoding_time):
            muxer.mux_one(packet)


def is_empty(path: Path) -> bool:
    """Whether a muxer finished a file without one packet; some make files nobody can open then."""
    try:
        with open_media(path) as container:
            return not any(packet.size for packet in container.demux())
    except UnreadableMediaError:
        return True


def _placed(packets: Iterator[Any], stream: Any, start: Fraction) -> Iterator[Any]:
    """The packets at their places in the whole, as packets of another stream."""
    for packet in packets:
        if packet.size == 0:
            continue
        shift = round(start / packet.time_base)
        packet.pts += shift
        if packet.dts is not None:
            packet.dts += shift
        packet.stream = stream
        yield packet


def _decoding_time(packet: Any) -> Fraction:
    # Matroska has no decoding times; lavf's guess is missing for the first of reordered pictures.
    time = packet.pts if packet.dts is None else packet.dts
    seconds: Fraction = time * packet.time_base
    return seconds
