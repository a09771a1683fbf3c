"""The beginning of each track, written as the end of the work will write it: proof of the tables.

A table knows a codec, a muxer the stream: its header may say too little, its packets be something
else. What the muxer refuses is found here, in milliseconds and before any work.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from pipeline.media.opening import open_media
from pipeline.output.containers import Container, OutputPlan

#: Packets of each track that are tried; and bytes of the film that are read to find them.
TRACK_PACKETS = 4
FILM_BYTES = 32 << 20


def rehearse(source: Path, plan: OutputPlan) -> OutputPlan:
    """The plan without those tracks that are to be copied and that the muxer refuses.

    A track of which nothing lies in the first FILM_BYTES passes.
    """
    copied = {k.stream.index: k for k in plan.kept if k.codec == "copy" and not k.is_file}
    # PCM has no header that could be wrong; and ffmpeg, unlike the muxer alone, gives channels
    # without a layout one.
    copied = {i: k for i, k in copied.items() if not (k.stream.codec or "").startswith("pcm_")}
    if not copied:
        return plan
    with open_media(source) as container:
        packets = _first_packets(container, list(copied))
        refused = [
            kept
            for index, kept in copied.items()
            if packets[index] and not _is_taken(packets[index], plan.container)
        ]
    return plan.without(refused, "the muxer refuses its beginning")


def _first_packets(container: InputContainer, wanted: Sequence[int]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {index: [] for index in wanted}
    size = 0
    try:
        for packet in container.demux():
            size += packet.size
            track = found.get(packet.stream_index, [])
            if packet.size and len(track) < TRACK_PACKETS:
                track.append(packet)
            if size > FILM_BYTES or all(len(each) == TRACK_PACKETS for each in found.values()):
                break
    except (av.FFmpegError, OSError):
        # A damaged place ends the film here as it does in players; what was found counts.
        pass
    return found


def _is_taken(packets: Sequence[Any], container: Container) -> bool:
    """Whether a muxer writes a file of these packets of one stream."""
    options = {"fflags": "+bitexact", "strict": "experimental"}
    try:
        with av.open(io.BytesIO(), "w", format=container, options=options) as muxer:
            stream: Any = muxer.add_stream_from_template(packets[0].stream, opaque=True)
            time = 0
            for packet in packets:
                # Not every format has times; laid out, each packet has.
                packet.pts = packet.dts = time
                time += max(packet.duration or 0, 1)
                packet.stream = stream
                muxer.mux_one(packet)
    except (av.FFmpegError, ValueError):
        return False
    return True
