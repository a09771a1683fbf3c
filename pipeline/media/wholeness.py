"""Was the file cut short? Told from what its own header or index promises, without reading it all.

A copy that broke off, a full disk, a download that stopped: such a file opens, plays for a while
and ends early. Dubbing it would give a film with its end missing and nobody told.
"""

from pathlib import Path

from av.video.stream import VideoStream

from pipeline.errors import UnreadableMediaError
from pipeline.media.opening import one_line

#: Bytes from the start of a file that hold all we look at there.
_HEAD_BYTES = 4096

_EBML_ID = 0x1A45DFA3
_SEGMENT_ID = 0x18538067


def require_whole(path: Path, stream: VideoStream, size: int) -> None:
    """Raise where the file must be longer than it is.

    MP4 is judged by the index of its picture stream, Matroska and AVI by the size in their header.
    Formats made to be cut anywhere (MPEG-TS), and live recordings that never learned their size,
    promise nothing and pass.

    Raises:
        UnreadableMediaError: it is cut short.
    """
    family = stream.container.format.name
    if family.startswith("mov"):
        promised = max((e.pos + e.size for e in stream.index_entries), default=0)
    else:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        promised = _riff_size(head) if family == "avi" else _matroska_size(head)
    if promised > size:
        raise UnreadableMediaError(
            f"{one_line(path)}: is cut short: {size} of {promised} bytes; copy it again"
        )


def _riff_size(head: bytes) -> int:
    # An index by the hour (OpenDML) adds more RIFF chunks; the first one is enough to judge by.
    return 8 + int.from_bytes(head[4:8], "little") if head[:4] == b"RIFF" else 0


def _matroska_size(head: bytes) -> int:
    """Where the segment ends by its header: 0 where it is not Matroska, or of unknown size."""
    position = 0
    while position < len(head):
        identity, position = _vint(head, position, keep_marker=True)
        length, start = _vint(head, position, keep_marker=False)
        unknown = length == (1 << (7 * (start - position))) - 1
        if identity == _SEGMENT_ID:
            return 0 if unknown else start + length
        if identity != _EBML_ID and not _is_void(identity):
            return 0
        position = start + length
    return 0


def _is_void(identity: int) -> bool:
    return identity in (0xEC, 0xBF)  # Void and CRC-32 may stand between


def _vint(head: bytes, position: int, *, keep_marker: bool) -> tuple[int, int]:
    """An EBML number and where it ends: leading zero bits say how many bytes follow (RFC 8794)."""
    first = head[position] if position < len(head) else 0
    width = 9 - first.bit_length()
    value = int.from_bytes(head[position : position + width], "big")
    if not keep_marker:
        value &= (1 << (7 * width)) - 1
    return value, position + width
