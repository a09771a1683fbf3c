"""How long a file says it is: the byte at which what its header speaks of ends.

Each function reads a few bytes here and there and returns 0 where nothing is promised: live
recordings, and writers into a pipe, never learned the length.
"""

from collections.abc import Callable, Iterator
from typing import IO, Literal

#: What stands for a length that its writer did not know lies this near to 2 or 4 GiB: sox, ALSA and
#: GStreamer each have a number of their own there; sox has another one for AIFF.
_UNKNOWN = (1 << 31, 1 << 32, 0x7F000000)
_UNKNOWN_WITHIN = 4096

#: Bytes that may be missing, if they are no more than this part of the whole. Some writers count
#: the header into the length of what follows it; in MP3 the frame that holds the length, or not.
_SLACK = {"wav": 128, "w64": 128, "aiff": 128, "au": 128, "mp3": 1441}
_SLACK_PART = 50

#: Chunks and boxes to look at before giving up: tags come before the sound, never by the thousand.
#: An MP4 of fragments has two boxes for each second or so.
_MOST_CHUNKS = 1000
_MOST_BOXES = 200_000

_EBML_ID = 0x1A45DFA3
_SEGMENT_ID = 0x18538067

#: The boxes of an MP4's top level. A file that goes on with something else has been added to.
_BOXES = frozenset(
    b"ftyp styp moov moof mdat free skip wide uuid sidx ssix mfra emsg meta prft pnot udta".split()
)

#: ASF's file properties object, and its flag for a file that was still being written.
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_BROADCAST = 1

#: The key of an MXF partition pack up to where its kind begins (SMPTE ST 377-1, 7.1).
_MXF_PARTITION = bytes.fromhex("060e2b34020501010d01020101")

#: Sony Wave64 names its chunks by GUIDs that begin with the name in WAV.
_W64_DATA = b"data" + bytes.fromhex("f3acd3118cd100c04f8edb8a")

_ByteOrder = Literal["big", "little"]


def promised_bytes(file: IO[bytes], family: str, size: int) -> int:
    """Where the file ends by its own account; 0 where it does not say, or says about what it is.

    Args:
        file: opened for reading.
        family: name of the FFmpeg demuxer.
        size: of the file.
    """
    family = family.split(",", maxsplit=1)[0]
    if family not in _READERS:
        return 0
    promised = _READERS[family](file, size)
    slack = min(_SLACK.get(family, 0), promised // _SLACK_PART)
    return promised if promised > size + slack else 0


def _at(file: IO[bytes], position: int, count: int) -> bytes:
    file.seek(position)
    return file.read(count)


def _known(length: int) -> int:
    """The length, or 0 where it stands for one that its writer did not know."""
    is_known = all(abs(length - number) > _UNKNOWN_WITHIN for number in _UNKNOWN)
    return length if is_known and length < 1 << 62 else 0


def _chunks(
    file: IO[bytes], start: int, size: int, order: _ByteOrder
) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of an IFF file: name, where its data starts, length by its header."""
    position = start
    for _ in range(_MOST_CHUNKS):
        header = _at(file, position, 8)
        if len(header) < 8 or position > size:
            return
        length = int.from_bytes(header[4:], order)
        yield header[:4], position + 8, length
        position += 8 + length + length % 2


def _chunk_end(file: IO[bytes], name: bytes, order: _ByteOrder, size: int) -> int:
    for found, start, length in _chunks(file, 12, size, order):
        if found == name:
            return start + known if (known := _known(length)) else 0
    return 0


def _aiff_end(file: IO[bytes], size: int) -> int:
    return _chunk_end(file, b"SSND", "big", size)


def _wav_end(file: IO[bytes], size: int) -> int:
    kind = _at(file, 0, 4)
    if kind not in (b"RF64", b"BW64"):
        return _chunk_end(file, b"data", "big" if kind == b"RIFX" else "little", size)
    long_length = 0
    for name, start, _ in _chunks(file, 12, size, "little"):
        if name == b"ds64":  # sizes of more than 32 bits: the file's, the data's
            long_length = int.from_bytes(_at(file, start + 8, 8), "little")
        if name == b"data":
            return start + long_length if long_length < 1 << 62 else 0
    return 0


def _w64_end(file: IO[bytes], size: int) -> int:
    position = 40  # the GUID riff, the file's size, the GUID wave
    for _ in range(_MOST_CHUNKS):
        header = _at(file, position, 24)
        length = int.from_bytes(header[16:], "little")  # the header's 24 bytes among it
        if header[:16] == _W64_DATA:
            return position + known if (known := _known(length)) else 0
        if length < 24 or position > size:
            return 0
        position += -(-length // 8) * 8
    return 0


def _caf_end(file: IO[bytes], size: int) -> int:
    position = 8
    for _ in range(_MOST_CHUNKS):
        header = _at(file, position, 12)
        length = int.from_bytes(header[4:], "big", signed=True)  # -1: to the end of the file
        if header[:4] == b"data":
            return position + 12 + length if length > 0 else 0
        if length < 0 or position > size:
            return 0
        position += 12 + length
    return 0


def _au_end(file: IO[bytes], _size: int) -> int:
    head = _at(file, 4, 8)
    start, length = int.from_bytes(head[:4], "big"), _known(int.from_bytes(head[4:], "big"))
    return start + length if length else 0


def _mp3_end(file: IO[bytes], _size: int) -> int:
    """By the header that encoders put into a silent first frame: Xing, Info or VBRI."""
    start = 0
    while (tag := _at(file, start, 10))[:3] == b"ID3":
        length = 0
        for byte in tag[6:10]:  # seven bits each
            length = length << 7 | byte & 0x7F
        start += 10 + length + (10 if tag[5] & 0x10 else 0)
    head = _at(file, start, 8192)
    sync = next(
        (i for i in range(len(head) - 4) if head[i] == 0xFF and head[i + 1] & 0xE0 == 0xE0), 0
    )
    frame = head[sync:]
    if len(frame) < 200:
        return 0
    is_mpeg1, is_mono = (frame[1] >> 3) & 3 == 3, frame[3] >> 6 == 3
    place = 4 + (32 if is_mpeg1 and not is_mono else 9 if is_mono and not is_mpeg1 else 17)
    if frame[place : place + 4] in (b"Xing", b"Info"):
        flags = int.from_bytes(frame[place + 4 : place + 8], "big")
        if not flags & 2:  # 1: frames are counted; 2: bytes are
            return 0
        at = place + 8 + (4 if flags & 1 else 0)
    elif frame[36:40] == b"VBRI":
        at = 36 + 10
    else:
        return 0
    length = int.from_bytes(frame[at : at + 4], "big")
    return start + sync + length if length else 0


def _avi_end(file: IO[bytes], size: int) -> int:
    """The end of the last RIFF chunk: one a gigabyte (OpenDML)."""
    end = 0
    for name, start, length in _chunks(file, 0, size, "little"):
        if name != b"RIFF" or not _known(length):
            break
        end = start + length
    return end


def _matroska_end(file: IO[bytes], _size: int) -> int:
    """Where the segment ends by its header: 0 where it is not Matroska, or of unknown size."""
    head, position = _at(file, 0, 4096), 0
    while position < len(head):
        identity, position = ebml_number(head, position, keep_marker=True)
        length, start = ebml_number(head, position, keep_marker=False)
        unknown = length == (1 << (7 * (start - position))) - 1
        if identity == _SEGMENT_ID:
            return 0 if unknown else start + length
        if identity != _EBML_ID and not _is_void(identity):
            return 0
        position = start + length
    return 0


def _is_void(identity: int) -> bool:
    return identity in (0xEC, 0xBF)  # Void and CRC-32 may stand between


def ebml_number(head: bytes, position: int, *, keep_marker: bool) -> tuple[int, int]:
    """An EBML number and where it ends: leading zero bits say how many bytes follow (RFC 8794)."""
    first = head[position] if position < len(head) else 0
    width = 9 - first.bit_length()
    value = int.from_bytes(head[position : position + width], "big")
    if not keep_marker:
        value &= (1 << (7 * width)) - 1
    return value, position + width


def _fragments_end(file: IO[bytes], size: int) -> int:
    """The end of the last box of an MP4 of fragments, of which the index knows only the first.

    In others the index alone says what is needed: some writers leave room behind it.
    """
    position, is_fragmented = 0, False
    for _ in range(_MOST_BOXES):
        header = _at(file, position, 16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:], "big")
        if kind not in _BOXES or length < 8:
            break
        is_fragmented |= kind == b"moof"
        position += length
        if position >= size:
            break
    return position if is_fragmented else 0


def _asf_end(file: IO[bytes], _size: int) -> int:
    head = _at(file, 0, 4096)
    at = head.find(_ASF_PROPERTIES)
    if at < 0:
        return 0
    # After the GUID: the object's size, an identity of 16 bytes, the file's size; then dates.
    flags = int.from_bytes(head[at + 88 : at + 92], "little")
    return 0 if flags & _ASF_BROADCAST else int.from_bytes(head[at + 40 : at + 48], "little")


def _mxf_end(file: IO[bytes], _size: int) -> int:
    """The header partition says where the footer stands; 0 where it was not known yet."""
    head = _at(file, 0, 1 << 16)
    at = head.find(_MXF_PARTITION)
    if at < 0 or at + 20 > len(head):
        return 0
    width = head[at + 16] & 0x7F if head[at + 16] & 0x80 else 0  # BER length
    pack = head[at + 17 + width :]
    # Two numbers of the version, the grid, this partition and the one before; then the footer.
    footer = int.from_bytes(pack[24:32], "big")
    return footer + 1 if footer else 0


_READERS: dict[str, Callable[[IO[bytes], int], int]] = {
    "wav": _wav_end,
    "w64": _w64_end,
    "aiff": _aiff_end,
    "caf": _caf_end,
    "au": _au_end,
    "mp3": _mp3_end,
    "avi": _avi_end,
    "matroska": _matroska_end,
    "mov": _fragments_end,
    "asf": _asf_end,
    "mxf": _mxf_end,
}
