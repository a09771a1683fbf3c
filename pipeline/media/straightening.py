"""Streams of a file whose clock jumps, copied with their times on one clock.

ffmpeg's own command knows nothing of :class:`pipeline.media.info.Clock`. What it is to read of such
a file is copied first, each stream into a file of its own, in which all times are later by
:data:`LEAD`, as no format of ours has times below zero, where encoders' priming lies.
"""

import contextlib
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import av

from pipeline.errors import UnusableMediaError
from pipeline.media.clock import move
from pipeline.media.cutting import storage_errors
from pipeline.media.info import AudioInfo, MediaInfo
from pipeline.media.opening import one_line, open_media, read_packets

#: Seconds by which the times in a copy are later than on the clock.
LEAD = 10

#: NUT keeps any time base exactly; Matroska, in steps of a millisecond, takes what NUT has no name
#: for.
_FORMATS = ("nut", "matroska")


@contextlib.contextmanager
def straightened(info: MediaInfo, audio: AudioInfo) -> Iterator[tuple[Path, int, int]]:
    """Where a sound has its times on the file's clock: a file, a stream of it, and its lead.

    Raises:
        UnusableMediaError: it cannot be copied; and errors as in :func:`straighten`.
    """
    if audio.index not in info.clock.jumps:
        yield info.path, audio.index, 0
        return
    with tempfile.TemporaryDirectory() as folder:
        files = straighten(info, [audio.index], Path(folder))
        if audio.index not in files:
            raise UnusableMediaError(
                f"{one_line(info.path)}: the clock of sound stream {audio.index} ({audio.codec})"
                " jumps; write the sound anew first, for example as WAV"
            )
        yield files[audio.index], 0, LEAD


def straighten(info: MediaInfo, streams: Collection[int], folder: Path) -> dict[int, Path]:
    """Copy streams, each into a file of its own, with their times on the file's clock.

    Args:
        info: the file, with its clock.
        streams: their indices.
        folder: where the files go.

    Returns:
        By index; a stream that no format of ours takes is not among them.

    Raises:
        UnreadableMediaError: the file cannot be read.
        UnusableMediaError: a stream changes its codec's headers at a join.
        StorageFullError, OutputError: a copy cannot be written.
    """
    with open_media(info.path) as source, contextlib.ExitStack() as opened, storage_errors(folder):
        wanted = [source.streams[index] for index in sorted(streams)]
        copies = {
            stream.index: copy
            for stream in wanted
            if (copy := _begin(stream, folder, opened)) is not None
        }
        packets = read_packets(info.path, source, [source.streams[index] for index in copies])
        for packet in move(packets, info.clock):
            copies[packet.stream_index].write(packet)
        return {index: copy.path for index, copy in copies.items()}


class _Copy:
    """One stream being copied."""

    def __init__(self, container: Any, stream: Any, template: Any, path: Path) -> None:
        self.path = path
        self._container, self._stream = container, stream
        self._extradata = bytes(template.codec_context.extradata or b"")
        self._latest: int | None = None

    def write(self, packet: Any) -> None:
        """Add a packet; one that a longer part before it overlaps is left out."""
        time = packet.pts if packet.dts is None else packet.dts
        if time is None or (self._latest is not None and time <= self._latest):
            return
        self._latest = time
        if packet.has_sidedata("new_extradata"):
            self._check(bytes(packet.get_sidedata("new_extradata")), packet)
        lead = round(LEAD / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts + lead
        packet.dts = time + lead
        packet.stream = self._stream
        self._container.mux_one(packet)

    def _check(self, extradata: bytes, packet: Any) -> None:
        """A copy has one set of headers, so a part with others would decode to noise."""
        if extradata != self._extradata:
            at = float((packet.pts or 0) * packet.time_base)
            raise UnusableMediaError(
                f"stream {packet.stream_index} changes its codec's headers {at:.3f} s in, where"
                " files were put together; encode it anew first"
            )


def _begin(stream: Any, folder: Path, opened: contextlib.ExitStack) -> _Copy | None:
    """A copy in the first format that takes the stream."""
    for name in _FORMATS:
        path = folder / f"{stream.index}.{name}"
        options = {"fflags": "+bitexact", "avoid_negative_ts": "disabled"}
        container = av.open(str(path.absolute()), "w", format=name, options=options)
        try:
            copied = container.add_stream_from_template(stream, opaque=True)
            container.start_encoding()
        except (av.FFmpegError, ValueError):
            with contextlib.suppress(av.FFmpegError, ValueError):
                container.close()
            continue
        opened.enter_context(container)
        return _Copy(container, copied, stream, path)
    return None
