"""Inputs given by URL: fetched to a file, whole, from servers that may be slow or break off.

Where they may come from, :mod:`infra.storage.public_network` says. Redirects are followed by hand,
each checked like the first URL. What broke off goes on where it was, if the server can say that the
rest belongs to it. What comes encoded is decoded, and what is no media is told by its first bytes,
before the rest is read.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx

from infra.errors import FetchError, ServiceUnavailableError
from infra.storage.arriving import arriving, full_disk_told
from infra.storage.content_encoding import Decoder, EncodingError
from infra.storage.documents import LOOKED_AT, Wanted, check_is_media
from infra.storage.public_network import transport_to
from infra.storage.stopping import ShouldStop, TransferStoppedError, never, pause, run_stoppable
from infra.storage.web_addresses import check_address, malformed_told, redirected_to, shown

_REDIRECTS: Final = 5

#: In a row without a byte gained.
_TRIES: Final = 4

_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = 30.0

#: Averaged over ``_READ_SECONDS``; one that gives less, drop by drop, would keep us for ever.
_LEAST_BYTES_PER_SECOND: Final = 10_000

#: Statuses that may be another the next moment.
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})

_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+)")


def fetch_url(
    url: str,
    path: Path,
    *,
    max_bytes: int,
    wanted: Wanted = "film",
    private_addresses: bool = False,
    should_stop: ShouldStop = never,
) -> None:
    """Fetch a URL to a file, which appears when it is whole.

    Args:
        url: http or https.
        path: of the file.
        max_bytes: of the file; more is refused.
        wanted: what the file should be, for the message where it is something else.
        private_addresses: whether it may lead into private networks.
        should_stop: asked all the time.

    Raises:
        FetchError: it must not be fetched, is not there, is too large, or is no media.
        ServiceUnavailableError: its server does not answer now.
        StoreFullError: no room for it here.
        TransferStoppedError: ``should_stop`` said so.
    """

    def fetch(stop: ShouldStop) -> None:
        timeout = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
        with (
            transport_to(private_addresses=private_addresses) as transport,
            httpx.Client(transport=transport, timeout=timeout, trust_env=False) as client,
        ):
            _Fetch(client, url, wanted, part, max_bytes, stop).run()

    with arriving(path) as part:
        run_stoppable(fetch, should_stop, clear_away=lambda: part.unlink(missing_ok=True))


class _Fetch:
    """One URL's bytes, and what is known of them between one try and the next."""

    def __init__(
        self,
        client: httpx.Client,
        url: str,
        wanted: Wanted,
        part: Path,
        max_bytes: int,
        should_stop: ShouldStop,
    ) -> None:
        self._client, self._url, self._wanted, self._part = client, url, wanted, part
        self._max_bytes, self._should_stop = max_bytes, should_stop
        self._begin_again("")
        #: What tells this content from an earlier or later one at the same URL.
        self._tag: str | None = None

    def _begin_again(self, content_encoding: str) -> None:
        """Forget what came."""
        self._decoder = Decoder(content_encoding)
        #: Bytes that came, which ranges count, and those they were decoded to.
        self._came = self._size = 0
        self._start = b""

    def run(self) -> None:
        tries = 0
        while True:
            before = self._came
            try:
                self._follow()
            except EncodingError as error:
                raise FetchError(f"{shown(self._url)}: {error}") from None
            except (httpx.TransportError, ServiceUnavailableError) as error:
                tries = 1 if self._tag and self._came > before else tries + 1
                if tries == _TRIES:
                    raise ServiceUnavailableError(f"{shown(self._url)}: {error}") from error
                pause(2 ** (tries - 1), self._should_stop)
            else:
                return

    def _follow(self) -> None:
        url = self._url
        for _ in range(_REDIRECTS + 1):
            check_address(url)
            with (
                malformed_told(url),
                self._client.stream("GET", url, headers=self._headers()) as answer,
            ):
                if not answer.is_redirect:
                    self._take(url, answer)
                    return
                url = redirected_to(url, answer)
        raise FetchError(f"{shown(url)}: more than {_REDIRECTS} redirects")

    def _headers(self) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity"}
        if self._tag and self._came:
            headers |= {"Range": f"bytes={self._came}-", "If-Range": self._tag}
        return headers

    def _take(self, url: str, answer: httpx.Response) -> None:
        whole = self._begin(url, answer)
        if whole is not None and whole > self._max_bytes:
            raise FetchError(f"{shown(url)}: larger than {self._max_bytes} bytes")
        with full_disk_told(self._part), self._part.open("ab") as file:
            file.truncate(self._size)
            for block in _not_too_slowly(answer.iter_raw()):
                for piece in self._decoder.decode(block):
                    self._look(url, answer, piece)
                    file.write(piece)
                    self._size += len(piece)
                self._came += len(block)
        if whole is not None and whole != self._came:
            raise ServiceUnavailableError(f"broke off after {self._came} of {whole} bytes")
        if whole is not None or "transfer-encoding" in answer.headers:
            self._decoder.check_whole()
        elif not self._decoder.is_whole:
            raise ServiceUnavailableError(f"broke off after {self._came} bytes")
        if self._size < LOOKED_AT:
            self._check(url, answer)

    def _look(self, url: str, answer: httpx.Response, piece: bytes) -> None:
        """See whether a piece may still be written."""
        if self._size + len(piece) > self._max_bytes:
            raise FetchError(f"{shown(url)}: larger than {self._max_bytes} bytes")
        if self._should_stop():
            raise TransferStoppedError(f"{shown(url)} broken off")
        if self._size < LOOKED_AT:
            self._start += piece[: LOOKED_AT - len(self._start)]
            if len(self._start) == LOOKED_AT:
                self._check(url, answer)

    def _check(self, url: str, answer: httpx.Response) -> None:
        content_type = answer.headers.get("content-type", "")
        check_is_media(self._url, url, content_type, self._start, self._wanted)

    def _begin(self, url: str, answer: httpx.Response) -> int | None:
        """Set where the body goes on; how long it is, as it comes, if the server says."""
        if answer.status_code in _PASSING:
            raise ServiceUnavailableError(f"answered {answer.status_code}")
        if answer.status_code == httpx.codes.PARTIAL_CONTENT:
            found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
            if found and int(found[1]) == self._came:
                return int(found[2])
        is_file = answer.status_code == httpx.codes.OK
        self._begin_again(answer.headers.get("content-encoding", "") if is_file else "")
        tag = answer.headers.get("etag", "")
        # A weak one says "much the same", which is not enough to put two halves together.
        self._tag = tag if tag.startswith('"') else None
        if is_file:
            length = answer.headers.get("content-length", "")
            return int(length) if length.isascii() and length.isdigit() else None
        self._tag = None
        if answer.status_code in {httpx.codes.PARTIAL_CONTENT, 416}:
            raise ServiceUnavailableError("another part came than was asked for")
        raise FetchError(f"{shown(url)}: answered {answer.status_code}; is the link expired?")


def _not_too_slowly(blocks: Iterator[bytes]) -> Iterator[bytes]:
    since, gained = time.monotonic(), 0
    for block in blocks:
        yield block
        gained += len(block)
        seconds = time.monotonic() - since
        if seconds > _READ_SECONDS:
            if gained < _LEAST_BYTES_PER_SECOND * seconds:
                raise ServiceUnavailableError(f"only {gained} bytes in {seconds:.0f} s")
            since, gained = time.monotonic(), 0
