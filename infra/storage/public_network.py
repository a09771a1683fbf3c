"""Connections to public addresses alone: nobody fetches from inside the farm's own network.

A name is resolved once, all its addresses are checked, and the connection goes to one of those that
were checked, so a name that changes its mind between look and connection gains nothing.
"""

import functools
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any, Final

import httpcore
import httpx

from infra.errors import FetchError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Where networks without IPv4 reach it; the last four bytes are the real address.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def transport_to(
    *, private_addresses: bool, total_seconds: float | None = None
) -> httpx.HTTPTransport:
    """For a client without proxies.

    Connecting raises FetchError where a name leads to a private address and those are not allowed.

    Args:
        private_addresses: allows them.
        total_seconds: a connection is broken off after so long, however often a byte arrives.
    """
    transport = httpx.HTTPTransport(verify=_tls())
    # The one way to give it addresses of our choice and leave names to TLS and the Host header.
    transport._pool = httpcore.ConnectionPool(
        ssl_context=_tls(),
        network_backend=_CheckedNetwork(
            private_addresses=private_addresses, total_seconds=total_seconds
        ),
    )
    return transport


@functools.cache
def _tls() -> ssl.SSLContext:
    """Read from the certificates' file once; that takes longer than many a request."""
    return httpx.create_ssl_context()


class _CheckedNetwork(httpcore.SyncBackend):
    def __init__(self, *, private_addresses: bool, total_seconds: float | None) -> None:
        self._private_addresses, self._total_seconds = private_addresses, total_seconds

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        options = list(socket_options or ())
        refusal = httpcore.ConnectError(f"{host} has no address")
        for address in self._addresses(host, port):
            try:
                stream = super().connect_tcp(address, port, timeout, local_address, options)
                if self._total_seconds is None:
                    return stream
                return _ShortLived(stream, time.monotonic() + self._total_seconds)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                refusal = httpcore.ConnectError(f"{host}: {error}")
        raise refusal

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host}: {error}") from error
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        if not self._private_addresses:
            for address in addresses:
                _check_address(host, address)
        return addresses


class _ShortLived(httpcore.NetworkStream):
    """A connection that ends at a time, with less and less patience for every byte."""

    def __init__(self, stream: httpcore.NetworkStream, ends: float) -> None:
        self._stream, self._ends = stream, ends

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._left(timeout, httpcore.ConnectTimeout)
        return _ShortLived(self._stream.start_tls(ssl_context, server_hostname, left), self._ends)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _left(self, timeout: float | None, late: type[httpcore.TimeoutException]) -> float:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise late("it took too long altogether")
        return left if timeout is None else min(left, timeout)


def _check_address(host: str, address: str) -> None:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if not all(map(_is_public, _inner(ip))):
        raise FetchError(
            f"{host} leads to {ip}, which is not a public address; upload the file instead"
        )


def _inner(ip: _Address) -> list[_Address]:
    """The address and the IPv4 ones that can hide in it."""
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    if ip in _NAT64:
        return [ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)]
    hidden: list[_Address | None] = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    return [ip, *(each for each in hidden if each is not None)]


def _is_public(ip: _Address) -> bool:
    if isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local:
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)
