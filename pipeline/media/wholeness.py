"""Was the file cut short? Told from what its own header or index promises, without reading it all.

A copy that broke off, a full disk, a download that stopped: such a file opens, plays for a while
and ends early. Dubbing it would give a film with its end missing, or a dialogue that falls silent,
and nobody told.
"""

from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream

from pipeline.errors import UnreadableMediaError
from pipeline.media.opening import AUDIO_DEMUXERS, one_line, open_media
from pipeline.media.promises import promised_bytes

#: An Ogg page is at most this long, and the flag of a stream's last one (RFC 3533, 6).
_OGG_PAGE = 27 + 255 + 255 * 255
_OGG_LAST = 4

#: Formats that count their samples in the header, and where nothing says how many bytes they are.
_COUNTED_FORMATS = frozenset(("flac", "wv"))

#: Seconds before the promised end from where on packets are looked at, and that may be missing.
_TAIL = Fraction(1)
_TAIL_SLACK = Fraction(1, 20)


def require_whole(path: Path, container: InputContainer, size: int) -> None:
    """Raise where the file must be longer than it is.

    MP4 and True Audio are judged by the index of their streams; WAV and its like, AVI, Matroska,
    ASF, MXF and MP3 with a Xing or VBRI header by the length that stands there; Ogg by its last
    page; FLAC and WavPack by the number of samples. What was added after the end, as tags are, does
    no harm. Formats made to be cut anywhere (MPEG-TS), and live recordings that never learned their
    length, promise nothing and pass.

    Raises:
        UnreadableMediaError: it is cut short.
    """
    missing = _missing(path, container, size)
    if missing is not None:
        raise UnreadableMediaError(f"{one_line(path)}: is cut short: {missing}; copy it again")


def _missing(path: Path, container: InputContainer, size: int) -> str | None:
    """What of the file is not there, in words."""
    family = container.format.name
    if family == "ogg":
        return _missing_page(path, size)
    if family in _COUNTED_FORMATS:
        return _missing_seconds(path, container.streams[0])
    with path.open("rb") as file:
        promised = promised_bytes(file, family, size)
    if family.startswith("mov") or family in AUDIO_DEMUXERS:
        indexed = (s for s in container.streams if s.type in ("video", "audio", "subtitle"))
        promised = max(promised, *map(_index_end, indexed), 0)
    return f"{size} of {promised} bytes" if promised > size else None


def _index_end(stream: Stream) -> int:
    return max((entry.pos + entry.size for entry in stream.index_entries), default=0)


def _missing_page(path: Path, size: int) -> str | None:
    """The last page of an Ogg file is whole, and says that it is the last."""
    with path.open("rb") as file:
        file.seek(max(0, size - 2 * _OGG_PAGE))
        tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0:
        return None
    header = tail[at : at + 27]
    lengths = tail[at + 27 : at + 27 + header[-1]]
    is_whole = len(header) == 27 and at + 27 + header[-1] + sum(lengths) <= len(tail)
    return None if is_whole and header[5] & _OGG_LAST else "its last page is missing"


def _missing_seconds(path: Path, stream: Stream) -> str | None:
    if stream.duration is None or stream.time_base is None:
        return None
    promised = stream.duration * stream.time_base
    if _last_end(path, promised - _TAIL) >= promised - _TAIL_SLACK:
        return None
    there = _last_end(path, Fraction(0))  # now it is worth while to read it all
    return f"{float(there):.1f} of {float(promised):.1f} seconds"


def _last_end(path: Path, start: Fraction) -> Fraction:
    """When the last packet of sound is over that can be read from there on."""
    end = Fraction(0)
    with open_media(path) as container:
        try:
            if start > 0:
                container.seek(int(start * av.time_base))
            for packet in container.demux(container.streams[0]):
                if packet.size and packet.pts is not None:
                    end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
        except (av.FFmpegError, OSError):
            pass  # broken in the middle of a packet: as far as it went
    return end
