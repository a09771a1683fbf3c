"""The process that parses what a stranger sent: ``python -m infra.media_parsing``.

On its standard input come the size of a file, 8 bytes, and then each block it asked for, after 4
bytes with its length. On its standard output go lines of JSON: ``{"offset", "size"}`` to ask for a
block, and last ``{"answer": …}``.
"""

import io
import json
import resource
import struct
import sys
from typing import Any, Final

from pymediainfo import MediaInfo

_MOST_MEMORY: Final = 2 << 30
_MOST_SECONDS: Final = 15
_BLOCK: Final = 256 << 10


class _AskedFile(io.RawIOBase):
    """A file whose bytes the parent process has."""

    def __init__(self, size: int) -> None:
        self._size, self._position = size, 0

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        wanted = _BLOCK if size < 0 else size
        _say({"offset": self._position, "size": wanted})
        (length,) = struct.unpack("<I", sys.stdin.buffer.read(4))
        block = sys.stdin.buffer.read(length)
        self._position += length
        return block


def length_of(tracks: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The fields of a :class:`infra.media_length.MediaLength`, from what the library says.

    None where it does not say how long the file is.
    """
    first: dict[str, dict[str, Any]] = {}
    for track in tracks:
        first.setdefault(track.get("@type", ""), track)
    picture, sound, general = first.get("Video"), first.get("Audio"), first.get("General")
    if picture is None and "Image" in first:
        return {"seconds": None, "frames": 1, "frame_rate": None, "has_audio": sound is not None}
    seconds = _number("Duration", picture, sound, general)
    if seconds is None or (picture is None and sound is None):
        return None
    rate = None if picture is None else _number("FrameRate", picture, general)
    frames = _number("FrameCount", picture)
    if frames is None and rate is not None:
        frames = seconds * rate
    return {
        "seconds": seconds,
        "frames": None if frames is None else round(frames),
        "frame_rate": rate,
        "has_audio": sound is not None,
    }


def _number(name: str, *tracks: dict[str, Any] | None) -> float | None:
    """The first of the tracks that has a number of that name."""
    for track in tracks:
        try:
            value = float((track or {})[name])
        except (KeyError, ValueError):
            continue
        if value > 0:
            return value
    return None


def _say(words: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def _confine() -> None:
    """From here on nothing can be opened, and little be used."""
    MediaInfo.can_parse()  # loads the library
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))  # the three it has
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_SECONDS, _MOST_SECONDS))


def main() -> None:
    """Parse one file."""
    (size,) = struct.unpack("<Q", sys.stdin.buffer.read(8))
    _confine()
    # Enough for the frame rate of a Matroska file that does not state it.
    found = MediaInfo.parse(_AskedFile(size), parse_speed=0.3, output="JSON")
    media = json.loads(str(found)).get("media") or {}
    _say({"answer": length_of(media.get("track", []))})


if __name__ == "__main__":
    main()
