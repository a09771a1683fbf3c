"""Opening a media file that a stranger may have sent: regular files only, no way to another file.

Every demuxer of ours goes through :func:`open_media`. Three fences stand in it: the path must be a
regular file; only the ``file`` protocol may be used; and only demuxers that read one self-contained
file are allowed. Playlists (HLS, DASH, ffconcat, SDP …) refer to other files, so a playlist
renamed ``.mp4`` is refused before it is read.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from pipeline.errors import UnreadableMediaError
from pipeline.errors import one_line as one_line  # noqa: PLC0414 -- others have it from here

#: Seconds that opening, and reading one packet, may take: a dead network mount must not hang us.
OPEN_TIMEOUT = 60.0
READ_TIMEOUT = 120.0

#: Demuxers that read one file with picture in it and never open another.
VIDEO_DEMUXERS = (
    "mov",  # and mp4, m4a, 3gp, 3g2, mj2: one demuxer
    "matroska",
    "webm",
    "avi",
    "mpegts",
    "mpeg",
    "mpegvideo",
    "mxf",
    "asf",
    "flv",
    "nut",
    "ogg",
    "gif",
    "apng",
    "h264",
    "hevc",
    "m4v",
    "mjpeg",
    "ivf",
    "obu",
    "dv",
    "gxf",
    "wtv",
    "rm",
    "yuv4mpegpipe",
)

#: Those of bare streams of pictures, that take a frame rate to lay them out at.
BARE_DEMUXERS = frozenset({"h264", "hevc", "m4v", "mpegvideo", "obu"})

#: Frames a second that such a stream is believed. Clocks of 90 kHz in their place are common.
SLOWEST, FASTEST = 1, 300

#: Demuxers of files that hold sound alone.
AUDIO_DEMUXERS = (
    "wav",
    "w64",
    "flac",
    "mp3",
    "aac",
    "ac3",
    "eac3",
    "aiff",
    "au",
    "caf",
    "amr",
    "ape",
    "wv",
    "tta",
    "dts",
    "truehd",
)

#: Whose demuxer is known by its first bytes. FFmpeg's guess counts the name as well, and takes a
#: file named as pictures are, or with a ``%d`` in its name, for a list of files.
_BY_FIRST_BYTES = {b"\xff\xd8\xff": "mjpeg", b"GIF8": "gif", b"\x89PNG\r\n\x1a\n": "apng"}

#: For ffmpeg's own command, which guesses a file's format anew: what it may guess.
FORMATS = ",".join(VIDEO_DEMUXERS + AUDIO_DEMUXERS)


def check_regular_file(path: Path) -> os.stat_result:
    """Its stat, or an :class:`UnreadableMediaError` that says what it is instead."""
    name = one_line(path)
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise UnreadableMediaError(f"{name}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableMediaError(f"{name}: cannot be read: {reason}") from None
    if stat.S_ISDIR(status.st_mode):
        raise UnreadableMediaError(f"{name}: is a directory, not a media file")
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableMediaError(f"{name}: is a pipe or device, not a regular file")
    if status.st_size == 0:
        raise UnreadableMediaError(f"{name}: is empty")
    return status


@contextlib.contextmanager
def open_media(
    path: Path | str, demuxers: tuple[str, ...] = VIDEO_DEMUXERS + AUDIO_DEMUXERS
) -> Iterator[InputContainer]:
    """Open a file for demuxing; closes it at the end of the block.

    Args:
        path: any name: spaces, colons and leading dashes mean nothing special.
        demuxers: names of the FFmpeg demuxers that may read it; one alone does, whatever FFmpeg
            would guess.

    Raises:
        UnreadableMediaError: missing, not a regular file, empty, damaged, not media, or a format
            that is not in ``demuxers``.
    """
    path = Path(path)
    check_regular_file(path)
    container = _open(path, demuxers)
    rate = _coded_rate(container)
    if rate is not None:
        container.close()
        container = _open(path, demuxers, framerate=str(rate))
    with container:
        yield container


def _open(path: Path, demuxers: tuple[str, ...], **options: str) -> InputContainer:
    fences = {"protocol_whitelist": "file", "format_whitelist": ",".join(demuxers)}
    try:
        # An absolute path has a slash before any colon, so no part of a name is ever a protocol.
        return av.open(
            os.path.abspath(path),  # noqa: PTH100 -- Path.absolute keeps "..", as does the kernel
            mode="r",
            format=known_demuxer(path, demuxers),
            options=fences | options,
            metadata_errors="replace",
            timeout=(OPEN_TIMEOUT, READ_TIMEOUT),
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableMediaError(f"{one_line(path)}: {_why_unopened(path, error)}") from None


def _coded_rate(container: InputContainer) -> Fraction | None:
    """The frame rate a bare stream of pictures tells of itself, where its demuxer has another.

    There are no times in such a file. The demuxer makes some up, at 25 a second unless told.
    """
    if container.format.name not in BARE_DEMUXERS:
        return None
    stream = container.streams.video[0]
    rate = stream.guessed_rate
    if rate is None or rate == stream.average_rate:
        return None
    return rate if SLOWEST <= rate <= FASTEST else None


def picture_stream(container: InputContainer) -> VideoStream | None:
    """The stream that is the film: the first that is no cover art, a default one before others."""
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    chosen = [s for s in streams if s.disposition & Disposition.default]
    return next(iter(chosen or streams), None)


def read_packets(
    path: Path | str, container: InputContainer, streams: Sequence[Stream]
) -> Iterator["av.Packet[Any]"]:
    """Packets of some streams, in the file's order.

    Where the file is damaged beyond reading on, it ends, as it does in players.

    Raises:
        UnreadableMediaError: reading failed for another reason.
    """
    packets = container.demux(streams)
    packet: av.Packet[Any] | None
    while True:
        try:
            packet = next(packets, None)
        except (av.InvalidDataError, IndexError):
            # PyAV stumbles over streams that appeared on the way, once all packets were read.
            packet = None
        except (av.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise UnreadableMediaError(f"{one_line(path)}: cannot be read on: {reason}") from None
        if packet is None:
            return
        if packet.size:  # empty ones stand for dropped pictures, and for the end of each stream
            yield packet


def flush_packet(stream: Stream) -> "av.Packet[Any]":
    """The empty packet that tells a decoder to hand out what it still holds."""
    packet: av.Packet[Any] = av.Packet()
    packet.stream, packet.time_base = stream, stream.time_base or Fraction(1, av.time_base)
    return packet


def known_demuxer(
    path: Path, demuxers: tuple[str, ...] = VIDEO_DEMUXERS + AUDIO_DEMUXERS
) -> str | None:
    """The one of them that reads the file, where that needs no guess."""
    if len(demuxers) == 1:
        return demuxers[0]
    with contextlib.suppress(OSError), path.open("rb") as file:
        head = file.read(8)
        for first, demuxer in _BY_FIRST_BYTES.items():
            if head.startswith(first) and demuxer in demuxers:
                return demuxer
    return None


def _why_unopened(path: Path, error: Exception) -> str:
    if isinstance(error, av.InvalidDataError):
        with contextlib.suppress(OSError), path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            if head[4:8] == b"ftyp":
                return "its index is missing: the MP4 was cut short, or is still being written"
            if _WEB_PAGE.match(head):
                return "is a web page, not media: download the file that the page shows"
    for kind, why in _WHY_UNOPENED.items():
        if isinstance(error, kind):
            return why
    return f"cannot be opened: {getattr(error, 'strerror', None) or error}"


#: How much of a file is looked at to tell what it is instead of media.
_HEAD_BYTES = 1024
_WEB_PAGE = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<!--.*?-->\s*|<\?xml.*?\?>\s*)*<(!doctype\s+html|html|head|body|script)\b",
    re.DOTALL | re.IGNORECASE,
)

_WHY_UNOPENED: dict[type[Exception], str] = {
    PermissionError: "cannot be read: permission denied",
    av.ExitError: f"did not open within {OPEN_TIMEOUT:.0f} s",
    av.EOFError: "is cut short: it ends before its first packet; copy it again",
    av.InvalidDataError: "is not a media file, or is damaged from the start",
    # FFmpeg took it for a format that is not on the list, and may have been wrong.
    av.ArgumentError: "is of a kind that is not accepted (a list of other files is none), or is"
    " damaged from the start",
}
