"""Keys that tell of the whole file. MP4 and MOV have two forms of them, and ffmpeg writes one.

The plain form, iTunes' in MP4 and QuickTime's user data in MOV, has a fixed set of keys, which
every player reads. QuickTime's metadata, ``mdta``, takes any key, and so it is the form of what
cameras and phones tell: com.apple.quicktime.make, com.android.version. A film with such keys gets
the second form, in which those of the first are repeated under Apple's names.
"""

import re
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

#: Plain keys of cameras; MOV's user data has a place for the first two.
_PLAIN_CAMERA_KEYS = {
    "mp4": frozenset(("make", "model", "firmware")),
    "mov": frozenset(("firmware",)),
}

_APPLE = "com.apple.quicktime."

#: FFmpeg's name for a plain key, and Apple's for the same.
_APPLE_NAMES = {
    "title": "title",
    "artist": "artist",
    "album": "album",
    "author": "author",
    "comment": "comment",
    "copyright": "copyright",
    "description": "description",
    "genre": "genre",
    "keywords": "keywords",
    "make": "make",
    "model": "model",
    "location": "location.ISO6709",
}

#: Where MP4 and MOV count seconds from; and the boxes that tell when the film was made.
_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
_FOLDER_BOXES = frozenset((b"moov", b"trak", b"mdia"))
_HEADER_BOXES = frozenset((b"mvhd", b"tkhd", b"mdhd"))


def has_camera_keys(metadata: Mapping[str, str], container: str) -> bool:
    """Whether some key has no place in the container's plain form, and comes from a camera."""
    plain = _PLAIN_CAMERA_KEYS.get(container)
    return plain is not None and any("." in key or key in plain for key in metadata)


def key_options(metadata: Mapping[str, str], container: str) -> list[str]:
    """Options of ffmpeg that write the source's keys in the form that has room for them.

    faststart is among them: the index before the data, so that playback starts while the file still
    arrives. With camera keys the output has no time of creation before :func:`stamp` was called.
    """
    time = metadata.get("creation_time", "")
    if not has_camera_keys(metadata, container):
        # Named again: where the source says it in both forms, ffmpeg reads one text of two times.
        options = ["-metadata", f"creation_time={time}"]
        return options if container == "matroska" else [*options, "-movflags", "+faststart"]
    # As a key beside the header's field it would be read as those two times.
    options = ["-movflags", "+faststart+use_metadata_tags", "-metadata", "creation_time="]
    for plain, name in _APPLE_NAMES.items():
        if plain in metadata and _APPLE + name not in metadata:
            options += ["-metadata", f"{_APPLE}{name}={metadata[plain]}"]
    for key in metadata:
        # ffmpeg reads a key with a language twice, as title and as title-eng.
        match = re.fullmatch(r"(.+)-[a-z]{3}", key)
        if match is not None and match[1] in metadata:
            options += ["-metadata", f"{key}="]
    return options


def stamp(path: Path, metadata: Mapping[str, str], container: str) -> None:
    """Write the time of creation into the headers of an output with camera keys."""
    if not has_camera_keys(metadata, container) or "creation_time" not in metadata:
        return
    try:
        time = datetime.fromisoformat(metadata["creation_time"])
    except ValueError:
        return
    seconds = int((time.replace(tzinfo=time.tzinfo or UTC) - _EPOCH).total_seconds())
    with path.open("r+b") as file:
        _stamp_boxes(file, 0, path.stat().st_size, max(seconds, 0))


def _stamp_boxes(file: BinaryIO, position: int, end: int, seconds: int) -> None:
    """Set creation and modification time in all header boxes of a range of the file."""
    while position + 8 <= end:
        file.seek(position)
        size, kind = struct.unpack(">I4s", file.read(8))
        header = 8
        if size == 1:
            size, header = struct.unpack(">Q", file.read(8))[0], 16
        if size < header:
            return
        if kind in _FOLDER_BOXES:
            _stamp_boxes(file, position + header, position + size, seconds)
        elif kind in _HEADER_BOXES:
            is_long = file.read(1) == b"\1"  # version 1 counts in 64 bits
            file.seek(position + header + 4)
            file.write(struct.pack(">2Q" if is_long else ">2I", seconds, seconds))
        position += size
