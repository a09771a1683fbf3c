"""A file at a URL, read where it is looked at: ranges over HTTP, of so many bytes and seconds.

A server that knows no ranges, or encodes what it sends, is read from the beginning instead: what a
part of an encoded body says, nobody knows without all before it.
"""

import io
import re
import time
from collections.abc import Iterator
from typing import Final

import httpx

from infra.errors import FetchError, ServiceUnavailableError
from infra.storage.content_encoding import Decoder, EncodingError
from infra.storage.public_network import transport_to
from infra.storage.web_addresses import check_address, malformed_told, redirected_to, shown

_BLOCK: Final = 256 << 10
_REDIRECTS: Final = 5
_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class RangedFile(io.RawIOBase):
    """Bytes of a URL, seekable; what was read is kept.

    Where the budget is spent it seems to end, so a reader gets as far as it can.
    """

    def __init__(
        self, url: str, *, private_addresses: bool, max_bytes: int, seconds: float
    ) -> None:
        """Ask for the first bytes.

        Args:
            url: http or https.
            private_addresses: whether it may lead into private networks.
            max_bytes: read at most, all in memory.
            seconds: for everything.

        Raises:
            FetchError: it must not be fetched, or is not there.
            ServiceUnavailableError: its server does not answer now.
        """
        self._url, self._private = url, private_addresses
        self._budget, self._give_up = max_bytes, time.monotonic() + seconds
        self._blocks: dict[int, bytes] = {}
        self._transport = transport_to(private_addresses=private_addresses)
        self._client = httpx.Client(
            transport=self._transport, timeout=httpx.Timeout(min(seconds, 10.0)), trust_env=False
        )
        self._position = 0
        self._size: int | None = None
        self._asks_for_ranges = True
        #: Of what answered, as it said.
        self.content_type = ""
        #: Where it answered from.
        self.found_at = url
        self._block(0)

    @property
    def size(self) -> int:
        """In bytes; what was found, where the server does not say."""
        return self._size or 0

    @property
    def is_empty(self) -> bool:
        """Whether its server says that nothing is in it."""
        return self._size == 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where it is."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there; nothing is asked of the server."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Bytes from here on; fewer than asked for at the end of a block."""
        number, offset = divmod(self._position, _BLOCK)
        block = self._block(number)[offset:]
        found = block if size < 0 else block[:size]
        self._position += len(found)
        return found

    def close(self) -> None:
        """Close its connections."""
        if not self.closed:
            self._client.close()
        super().close()

    def _block(self, number: int) -> bytes:
        if number in self._blocks:
            return self._blocks[number]
        if self._size is not None and number * _BLOCK >= self._size:
            return b""
        if self._budget < _BLOCK or time.monotonic() > self._give_up:
            return b""
        try:
            self._fetch(number)
        except EncodingError as error:
            raise FetchError(f"{shown(self._url)}: {error}") from None
        except httpx.TransportError as error:
            raise ServiceUnavailableError(f"{shown(self._url)}: {error}") from error
        return self._blocks.get(number, b"")

    def _fetch(self, number: int) -> None:
        first = number * _BLOCK
        headers = {"Accept-Encoding": "identity"}
        if self._asks_for_ranges:
            headers["Range"] = f"bytes={first}-{first + _BLOCK - 1}"
        url = self._url
        for _ in range(_REDIRECTS + 1):
            check_address(url)
            with (
                malformed_told(url),
                self._client.stream("GET", url, headers=headers) as answer,
            ):
                if not answer.is_redirect:
                    self.found_at = url
                    self._take(answer, number)
                    return
                url = redirected_to(url, answer)
        raise FetchError(f"{shown(url)}: more than {_REDIRECTS} redirects")

    def _take(self, answer: httpx.Response, number: int) -> None:
        self.content_type = answer.headers.get("content-type", "")
        decoder = Decoder(answer.headers.get("content-encoding", "") if answer.is_success else "")
        if answer.status_code == httpx.codes.PARTIAL_CONTENT:
            if not self._asks_for_ranges:
                raise FetchError(f"{shown(self._url)}: sends a part where all was asked for")
            if not decoder.is_plain:
                self._asks_for_ranges = False
                self._fetch(0)
                return
            found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
            if found is None or int(found[1]) != number * _BLOCK:
                raise ServiceUnavailableError("another part came than was asked for")
            self._size = int(found[3])
            self._keep(answer.iter_raw(), number, _BLOCK)
        elif answer.status_code == httpx.codes.OK:
            # Its file from the beginning, as far as it goes.
            length = answer.headers.get("content-length", "") if decoder.is_plain else ""
            self._keep(_decoded(answer, decoder), 0, self._budget)
            read = sum(map(len, self._blocks.values()))
            self._size = int(length) if length.isascii() and length.isdigit() else read
            self._budget = 0
        elif answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._size = self._size or 0
        elif answer.is_server_error or answer.status_code in {408, 429}:
            raise ServiceUnavailableError(f"{shown(self._url)}: answered {answer.status_code}")
        else:
            raise FetchError(
                f"{shown(self._url)}: answered {answer.status_code}; is the link expired?"
            )

    def _keep(self, pieces: Iterator[bytes], number: int, most: int) -> None:
        """Keep up to ``most`` bytes as blocks from that number on."""
        taken = bytearray()
        for piece in pieces:
            taken += piece[: most - len(taken)]
            if len(taken) >= most or time.monotonic() > self._give_up:
                break
        self._budget -= len(taken)
        for offset in range(0, len(taken), _BLOCK):
            self._blocks[number + offset // _BLOCK] = bytes(taken[offset : offset + _BLOCK])


def _decoded(answer: httpx.Response, decoder: Decoder) -> Iterator[bytes]:
    for block in answer.iter_raw():
        yield from decoder.decode(block)
