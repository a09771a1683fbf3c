"""AAC in transport streams: each packet has a header of its own, and may be unlike the one before.

Between two programmes a broadcast goes from stereo to 5.1, or to another rate, within one stream.
Decoders follow. A copy in MP4, MOV or MKV cannot: it has one header for the whole stream.
"""

from typing import Any

import av
from av.container import InputContainer


class AdtsScan:
    """Sees every packet of a file and says which streams change their channels or rate."""

    def __init__(self, container: InputContainer) -> None:
        streams = container.streams.audio if container.format.name == "mpegts" else ()
        contexts = {stream.index: stream.codec_context for stream in streams}
        self._headers: dict[int, tuple[int, int] | None] = {
            index: None
            for index, context in contexts.items()
            if context is not None and context.codec.canonical_name == "aac"
        }
        #: By stream, why it cannot be copied.
        self.changing: dict[int, str] = {}

    def add(self, packet: "av.Packet[Any]") -> None:
        index = packet.stream_index
        if index not in self._headers or packet.size < 4:
            return
        head = bytes(memoryview(packet)[:4])
        if head[0] != 0xFF or head[1] & 0xF0 != 0xF0:
            return
        # ISO/IEC 13818-7, 6.2.1: sampling_frequency_index, and both parts of channel_configuration.
        header = (head[2] & 0x3D, head[3] >> 6)
        if self._headers[index] not in (None, header):
            self.changing[index] = "its channels or its rate change on the way"
        self._headers[index] = header
