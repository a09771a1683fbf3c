"""One file from several mirrors: resumable, bounded, and checked before it counts.

The registered size and digest say what the file is, not a server's headers. That is why a download
begun at one mirror may go on at the next, and why a mirror that went bad costs only time.
"""

import contextlib
import errno
import fcntl
import hashlib
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx

from infra.errors import (
    CheckpointBusyError,
    CheckpointMismatchError,
    CheckpointUnavailableError,
    StoreFullError,
    StoreUnwritableError,
)
from infra.storage.content_encoding import Decoder, EncodingError
from infra.storage.documents import LOOKED_AT, document_in

#: Called with the bytes at hand and the bytes wanted.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient a download is. Seconds, and bytes a second."""

    connect_seconds: float = 10.0
    #: The longest silence between two pieces of a body.
    read_seconds: float = 30.0
    #: A mirror that feeds us drop by drop would keep any read limit from firing, so a body must
    #: also come at this rate, averaged over ``read_seconds``. A slow modem line is faster.
    least_bytes_per_second: float = 1000.0
    redirects: int = 5
    #: A cut connection is taken up again at the same mirror; one that never opens is not.
    attempts_per_mirror: int = 3
    #: Tests speak plain HTTP to a server of their own; nobody else may.
    schemes: frozenset[str] = field(default_factory=lambda: frozenset({"https"}))


DEFAULT_LIMITS = Limits()


class _MirrorError(Exception):
    """This mirror will not do; the message says why in a few words."""


class _ConnectionCutError(_MirrorError):
    """It answered, then broke off: the same mirror may go on from there."""


def fetch(
    mirrors: Sequence[str],
    target: Path,
    *,
    size: int,
    sha256: str,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> None:
    """Bring ``target`` into being from the first mirror that has the right bytes.

    What arrives is kept in ``target.part`` until its digest is right, and renamed in one move;
    an interrupted download goes on from there.

    Args:
        mirrors: https addresses, tried in turn.
        size: the file's length in bytes; never more is written.
        sha256: its digest, lowercase hex.

    Raises:
        CheckpointUnavailableError: no mirror gave the file; says what each answered.
        CheckpointBusyError: another process is at it.
        StoreFullError, StoreUnwritableError: the folder will not take it.
    """
    part = _part_of(target)
    refusals = []
    with store_errors(target.parent), _exclusively(part), _client(limits) as client:
        download = _Download(client, part, size, sha256, progress, limits)
        download.require_space()
        for url in mirrors:
            try:
                download.complete_from(url)
            except _MirrorError as refusal:
                refusals.append(f"{httpx.URL(url).host}: {refusal}")
                continue
            part.replace(target)
            return
    raise CheckpointUnavailableError(
        f"{target.name} could not be fetched from any of its mirrors ({'; '.join(refusals)})"
    )


def adopt(source: Path, target: Path, *, sha256: str) -> None:
    """Bring ``target`` into being from a file at hand, which stays where it is.

    Raises:
        CheckpointMismatchError: the file's digest is another one.
        CheckpointBusyError, StoreFullError, StoreUnwritableError: as in :func:`fetch`.
    """
    part = _part_of(target)
    with store_errors(target.parent), _exclusively(part):
        try:
            # The copy is what gets checked: the source may change while we read it.
            shutil.copyfile(source, part)
            digest = file_digest(part)
            if digest != sha256:
                raise CheckpointMismatchError(
                    f"{source} is not {target.name}: its sha256 is {digest}, expected {sha256}"
                )
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def store_errors(directory: Path) -> Iterator[None]:
    """Turn the operating system's refusals into ours, which say which folder and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreFullError(
                f"no space left in {directory}; free some and try again"
            ) from error
        raise StoreUnwritableError(
            f"{error.filename or directory}: {error.strerror or error} (checkpoints are kept in "
            f"{directory}; LIPFARM_CHECKPOINTS_DIR changes that)"
        ) from error


def file_digest(path: Path) -> str:
    """The file's sha256, lowercase hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _part_of(target: Path) -> Path:
    return target.with_name(target.name + ".part")


@contextlib.contextmanager
def _exclusively(part: Path) -> Iterator[None]:
    """Hold the lock beside ``part``; the system drops it when the process dies, however it dies."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.with_name(part.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CheckpointBusyError(
                f"{part.stem} is being fetched by another process; wait for it to end"
            ) from error
        yield


@contextlib.contextmanager
def _client(limits: Limits) -> Iterator[httpx.Client]:
    def refuse_other_schemes(request: httpx.Request) -> None:
        # Here rather than on the address given, because a redirect is a request too.
        if request.url.scheme not in limits.schemes:
            raise _MirrorError(f"leads to {request.url.scheme}://, which is not safe")

    with httpx.Client(
        follow_redirects=True,
        max_redirects=limits.redirects,
        timeout=httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds),
        event_hooks={"request": [refuse_other_schemes]},
        headers={"User-Agent": "lipfarm", "Accept-Encoding": "identity"},
    ) as client:
        yield client


@dataclass(frozen=True, slots=True)
class _Download:
    """The file in the making, whichever mirror its bytes come from."""

    client: httpx.Client
    part: Path
    size: int
    sha256: str
    progress: Progress | None
    limits: Limits

    def require_space(self) -> None:
        missing = self.size - self._length()
        if shutil.disk_usage(self.part.parent).free < missing:
            raise OSError(errno.ENOSPC, "too little space")

    def complete_from(self, url: str) -> None:
        """Leave ``part`` whole and of the right digest, or raise ``_MirrorError``."""
        began_with = self._length()
        self._fetch_missing(url)
        if file_digest(self.part) == self.sha256:
            return
        self.part.unlink()
        if not began_with:
            raise _MirrorError("has another file under this name (digest differs)")
        # The bytes we came with may have been the wrong ones, so this mirror deserves a clean try.
        self.complete_from(url)

    def _length(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _fetch_missing(self, url: str) -> None:
        for attempt in range(1, self.limits.attempts_per_mirror + 1):
            if self._length() > self.size:
                self.part.unlink()
            if self._length() == self.size:
                return
            try:
                self._request_missing(url)
            except _ConnectionCutError:
                if attempt == self.limits.attempts_per_mirror:
                    raise
            except httpx.TooManyRedirects as error:
                raise _MirrorError("redirects without end") from error
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                raise _MirrorError("cannot be reached") from error
            except httpx.TimeoutException as error:
                raise _MirrorError("does not answer") from error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise _MirrorError(str(error) or type(error).__name__) from error

    def _request_missing(self, url: str) -> None:
        offset = self._length()
        wanted = {"Range": f"bytes={offset}-"} if offset else {}
        with self.client.stream("GET", url, headers=wanted) as response:
            try:
                decoder = Decoder(response.headers.get("Content-Encoding", ""))
                offset = self._accept(response, offset, decoder)
                with self.part.open("ab" if offset else "wb") as file:
                    self._write_body(response, file, offset, decoder)
            except EncodingError as error:
                raise _MirrorError(str(error)) from error

    def _accept(self, response: httpx.Response, offset: int, decoder: Decoder) -> int:
        """Where in the file this answer's body begins; raises if it cannot be the file."""
        if response.is_success and not decoder.is_plain:
            # Its ranges and its length are of what it was encoded to.
            if response.status_code == httpx.codes.PARTIAL_CONTENT:
                self.part.unlink(missing_ok=True)
                raise _ConnectionCutError("sends a part of what it encoded")
            return 0
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
            if not span or (int(span[1]), int(span[2])) != (offset, self.size):
                raise _MirrorError("sends another range than asked for, or of another file")
            return offset
        if response.status_code != httpx.codes.OK:
            raise _MirrorError(f"answers {response.status_code}")
        length = response.headers.get("Content-Length")
        if length is not None and length != str(self.size):
            if response.headers.get("Content-Type", "").startswith("text/html"):
                raise _MirrorError("answers with a web page")
            raise _MirrorError(f"has a file of {length} bytes instead of {self.size}")
        return 0  # the server ignores ranges, or was asked for none: the whole file comes

    def _write_body(
        self, response: httpx.Response, file: IO[bytes], offset: int, decoder: Decoder
    ) -> None:
        pace = _Pace(self.limits)
        try:
            # As it comes: pieces of a chosen size would be gathered where a cut loses them, and
            # where a slow mirror goes unnoticed.
            for block in response.iter_raw():
                for piece in decoder.decode(block):
                    if not offset and (found := document_in(piece[:LOOKED_AT])):
                        raise _MirrorError(f"sends {found.kind}, not the file")
                    if offset + len(piece) > self.size:
                        file.truncate(0)
                        raise _MirrorError(f"sends more than the {self.size} bytes of the file")
                    file.write(piece)
                    offset += len(piece)
                pace.note(len(block))
                if self.progress:
                    self.progress(offset, self.size)
        except httpx.TimeoutException as error:
            raise _ConnectionCutError(f"fell silent at byte {offset} of {self.size}") from error
        except httpx.TransportError as error:
            raise _ConnectionCutError(f"broke off at byte {offset} of {self.size}") from error
        if offset < self.size:
            raise _ConnectionCutError(f"broke off at byte {offset} of {self.size}")


class _Pace:
    """Notices a body that comes too slowly to ever end."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._since = time.monotonic()
        self._bytes = 0

    def note(self, count: int) -> None:
        self._bytes += count
        elapsed = time.monotonic() - self._since
        if elapsed < self._limits.read_seconds:
            return
        if self._bytes < elapsed * self._limits.least_bytes_per_second:
            raise _MirrorError(f"sends only {self._bytes / elapsed:.0f} bytes a second")
        self._since, self._bytes = time.monotonic(), 0
