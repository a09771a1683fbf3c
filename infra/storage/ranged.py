"""A file at a URL, read where it is looked at: ranges over HTTP, of so many bytes and seconds."""

import io
import re
import time
from typing import Final

import httpx

from infra.errors import FetchError, ServiceUnavailableError
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
        self._block(0)

    @property
    def size(self) -> int:
        """In bytes; what was found, where the server does not say."""
        return self._size or 0

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
        except httpx.TransportError as error:
            raise ServiceUnavailableError(f"{shown(self._url)}: {error}") from error
        return self._blocks.get(number, b"")

    def _fetch(self, number: int) -> None:
        first = number * _BLOCK
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={first}-{first + _BLOCK - 1}"}
        url = self._url
        for _ in range(_REDIRECTS + 1):
            check_address(url)
            with (
                malformed_told(url),
                self._client.stream("GET", url, headers=headers) as answer,
            ):
                if not answer.is_redirect:
                    self._take(answer, number)
                    return
                url = redirected_to(url, answer)
        raise FetchError(f"{shown(url)}: more than {_REDIRECTS} redirects")

    def _take(self, answer: httpx.Response, number: int) -> None:
        if answer.status_code == httpx.codes.PARTIAL_CONTENT:
            found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
            if found is None or int(found[1]) != number * _BLOCK:
                raise ServiceUnavailableError("another part came than was asked for")
            self._size = int(found[3])
            self._keep(answer, number, _BLOCK)
        elif answer.status_code == httpx.codes.OK:
            # A server that knows no ranges: its file from the beginning, as far as it goes.
            length = answer.headers.get("content-length", "")
            self._keep(answer, 0, self._budget)
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

    def _keep(self, answer: httpx.Response, number: int, most: int) -> None:
        """Keep up to ``most`` bytes as blocks from that number on."""
        taken = bytearray()
        for piece in answer.iter_raw():
            taken += piece[: most - len(taken)]
            if len(taken) >= most or time.monotonic() > self._give_up:
                break
        self._budget -= len(taken)
        for offset in range(0, len(taken), _BLOCK):
            self._blocks[number + offset // _BLOCK] = bytes(taken[offset : offset + _BLOCK])
