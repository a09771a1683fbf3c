"""Inputs given by URL: fetched to a file, and never from inside the farm's own network.

A name is resolved once, all its addresses are checked, and the connection goes to one of those that
were checked, so a name that changes its mind between look and connection gains nothing. Redirects
are followed by hand, each checked like the first URL.
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx

from infra.errors import FetchError, ServiceUnavailableError
from infra.storage.arriving import full_disk_told
from infra.storage.stopping import TransferStoppedError

_REDIRECTS: Final = 5
_TRIES: Final = 4
_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = 30.0
_BLOCK: Final = 1 << 20

#: Statuses that may be another the next moment.
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


def fetch_url(
    url: str,
    path: Path,
    *,
    max_bytes: int,
    private_addresses: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Fetch a URL to a file, which appears when it is whole.

    Args:
        url: http or https.
        path: of the file.
        max_bytes: more is refused.
        private_addresses: whether it may lead into private networks.
        should_stop: asked between blocks.

    Raises:
        FetchError: it must not be fetched, is not there, or is too large.
        ServiceUnavailableError: its server does not answer now.
        StoreFullError: no room for it here.
        TransferStoppedError: ``should_stop`` said so.
    """
    part = path.with_name(f".{path.name}.part")
    transport = httpx.HTTPTransport()
    # The one way to give it addresses of our choice and leave names to TLS and the Host header.
    transport._pool = httpcore.ConnectionPool(
        ssl_context=httpx.create_ssl_context(),
        network_backend=_CheckedNetwork(private_addresses=private_addresses),
    )
    timeout = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
    try:
        with httpx.Client(transport=transport, timeout=timeout, trust_env=False) as client:
            _Fetch(client, part, max_bytes, should_stop).run(url)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class _Fetch:
    def __init__(
        self,
        client: httpx.Client,
        part: Path,
        max_bytes: int,
        should_stop: Callable[[], bool],
    ) -> None:
        self._client, self._part = client, part
        self._max_bytes, self._should_stop = max_bytes, should_stop

    def run(self, url: str) -> None:
        for attempt in range(_TRIES):
            try:
                self._follow(url)
            except (httpx.TransportError, ServiceUnavailableError) as error:
                if attempt + 1 == _TRIES:
                    raise ServiceUnavailableError(f"{_shown(url)}: {error}") from error
                self._pause(2**attempt)
            else:
                return

    def _follow(self, url: str) -> None:
        for _ in range(_REDIRECTS + 1):
            _check(url)
            with self._client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer:
                if not answer.is_redirect:
                    self._take(url, answer)
                    return
                url = urljoin(url, answer.headers.get("location", ""))
        raise FetchError(f"{_shown(url)}: more than {_REDIRECTS} redirects")

    def _take(self, url: str, answer: httpx.Response) -> None:
        if answer.status_code in _PASSING:
            raise ServiceUnavailableError(f"answered {answer.status_code}")
        if answer.status_code != httpx.codes.OK:
            raise FetchError(f"{_shown(url)}: answered {answer.status_code}; is the link expired?")
        expected = answer.headers.get("content-length")
        size = 0
        with full_disk_told(self._part), self._part.open("wb") as file:
            for block in answer.iter_raw(_BLOCK):
                size += len(block)
                if size > self._max_bytes:
                    raise FetchError(f"{_shown(url)}: larger than {self._max_bytes} bytes")
                if self._should_stop():
                    raise TransferStoppedError(f"{_shown(url)} broken off")
                file.write(block)
        if expected is not None and expected.isdigit() and int(expected) != size:
            raise ServiceUnavailableError(f"broke off after {size} of {expected} bytes")

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._should_stop():
                raise TransferStoppedError("broken off while a server was away")
            time.sleep(0.1)


class _CheckedNetwork(httpcore.SyncBackend):
    """Connects to public addresses alone, each the very one that was checked."""

    def __init__(self, *, private_addresses: bool) -> None:
        self._private_addresses = private_addresses

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"{host}: {error}") from error
        addresses = [str(address[0]) for *_, address in found]
        if not self._private_addresses:
            for address in addresses:
                _check_address(host, address)
        return super().connect_tcp(addresses[0], port, timeout, local_address, socket_options)


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise FetchError(f"{_shown(url)}: inputs are fetched over http and https alone")
    if parts.username or parts.password:
        raise FetchError(f"{parts.hostname}: no user name or password in an input's URL, please")


def _check_address(host: str, address: str) -> None:
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner = [ip]
    if isinstance(ip, ipaddress.IPv6Address):
        # An IPv4 address can hide in an IPv6 one in several ways.
        inner += filter(None, (ip.ipv4_mapped, ip.sixtofour))
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
        inner += ip.teredo or ()
    if any(not each.is_global or each.is_multicast for each in inner):
        raise FetchError(
            f"{host} leads to {ip}, which is not a public address; upload the file instead"
        )


def _shown(url: str) -> str:
    """Without the query: that is where signatures are."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"[:200]
