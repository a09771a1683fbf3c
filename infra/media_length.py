"""How long an input is, from a few of its bytes.

What a stranger sends is parsed by a library in C++ that opens whatever file or address a playlist
in it names. So it is parsed in a process of its own (:mod:`infra.media_parsing`) that can open
nothing: it asks for bytes over a pipe, and may neither live long nor grow large nor take the API
with it.
"""

import contextlib
import json
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import IO, Any, Final

from infra.errors import InfraError, ServiceUnavailableError
from infra.storage.documents import LOOKED_AT, Wanted, check_is_media
from infra.storage.ranged import RangedFile

#: Of one input, for everything; the process is killed a little later.
_SECONDS: Final = 15.0
_GRACE_SECONDS: Final = 5.0
_MOST_BYTES: Final = 48 << 20

#: Processes at once; others wait.
_AT_ONCE: Final = threading.BoundedSemaphore(4)

#: Of lists that lead elsewhere.
_PLAYLISTS: Final = (b"#EXTM3U", b"ffconcat", b"<", b"\xef\xbb\xbf", b"{", b"[")


@dataclass(frozen=True, slots=True)
class MediaLength:
    """What an input says of its length.

    Attributes:
        seconds: None for a still picture.
        frames, frame_rate: of the first video track; None without one.
        has_audio: whether it has a track of sound.
    """

    seconds: float | None
    frames: int | None
    frame_rate: float | None
    has_audio: bool


class UnmeasurableError(InfraError):
    """Nothing that was read says how long the input is."""

    code = "media_unreadable"
    exit_status = 3


def measure(url: str, *, private_addresses: bool, wanted: Wanted = "film") -> MediaLength:
    """How long the media at a URL is; ``wanted`` is what it should be.

    Raises:
        FetchError: it must not be fetched, is not there, or is no media.
        ServiceUnavailableError: its server does not answer in time.
        UnmeasurableError: it is no media, or does not say.
    """
    if not _AT_ONCE.acquire(timeout=_SECONDS):
        raise ServiceUnavailableError("too many inputs are being looked at; try again")
    try:
        with RangedFile(
            url, private_addresses=private_addresses, max_bytes=_MOST_BYTES, seconds=_SECONDS
        ) as file:
            start = file.read(LOOKED_AT)
            if start or file.is_empty:
                check_is_media(url, file.found_at, file.content_type, start, wanted)
            if start.lstrip().startswith(_PLAYLISTS):
                raise UnmeasurableError(
                    "it is no media; lists that lead elsewhere are not followed"
                )
            said = _parse_elsewhere(file)
    finally:
        _AT_ONCE.release()
    if said is None:
        raise UnmeasurableError("it is no media, or does not say how long it is")
    return MediaLength(**said)


def _parse_elsewhere(file: RangedFile) -> dict[str, Any] | None:
    argv, is_late = [sys.executable, "-m", "infra.media_parsing"], threading.Event()
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=nowhere) as process:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101

        def end() -> None:
            is_late.set()
            process.kill()

        timer = threading.Timer(_SECONDS + _GRACE_SECONDS, end)
        timer.start()
        said = None
        try:
            # It may die of what it reads.
            with contextlib.suppress(BrokenPipeError, ValueError):
                said = _answer_questions(file, process.stdin, process.stdout)
        finally:
            timer.cancel()
            process.kill()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
    if said is None and is_late.is_set():
        raise ServiceUnavailableError("the input does not come fast enough")
    return said


def _answer_questions(file: RangedFile, to: IO[bytes], said: IO[bytes]) -> dict[str, Any] | None:
    """Hand out bytes until the process knows; see :mod:`infra.media_parsing` for both sides."""
    to.write(struct.pack("<Q", file.size))
    to.flush()
    for line in said:
        question = json.loads(line)
        if "answer" in question:
            answer: dict[str, Any] | None = question["answer"]
            return answer
        file.seek(question["offset"])
        block = file.read(question["size"])
        to.write(struct.pack("<I", len(block)) + block)
        to.flush()
    return None
