"""Frames, one after the other, in native planes and with the source's own times."""

from collections.abc import Iterator
from pathlib import Path

import av

from pipeline.errors import UnreadableMediaError
from pipeline.media import VIDEO_DEMUXERS, one_line, open_media
from pipeline.planes import bit_depth, planar_format, plane_arrays, to_planar

__all__ = ["bit_depth", "decode_source", "planar_format", "plane_arrays"]

#: Decoder threads where the caller does not say.
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
        streams = [s for s in container.streams.video if not s.disposition & 0x400]
        if not streams:
            raise UnreadableMediaError(f"{one_line(path)}: holds no picture")
        stream = streams[0]
        stream.thread_type, stream.thread_count = "AUTO", threads
        for packet in container.demux(stream):
            try:
                decoded = packet.decode()
            except av.InvalidDataError:
                continue  # a damaged packet: players show the next picture, and so do we
            for frame in decoded:
                yield to_planar(frame)
