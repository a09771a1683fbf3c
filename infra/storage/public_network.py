"""Connections to public addresses alone: nobody fetches from inside the farm's own network.

A name is resolved once, all its addresses are checked, and the connection goes to one of those that
were checked, so a name that changes its mind between look and connection gains nothing.
"""

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any, Final

import httpcore
import httpx

from infra.errors import FetchError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Where networks without IPv4 reach it; the last four bytes are the real address.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def transport_to(*, private_addresses: bool) -> httpx.HTTPTransport:
    """For a client without proxies.

    Connecting raises FetchError where a name leads to a private address and those are not allowed.
    """
    transport = httpx.HTTPTransport()
    # The one way to give it addresses of our choice and leave names to TLS and the Host header.
    transport._pool = httpcore.ConnectionPool(
        ssl_context=httpx.create_ssl_context(),
        network_backend=_CheckedNetwork(private_addresses=private_addresses),
    )
    return transport


class _CheckedNetwork(httpcore.SyncBackend):
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
        options = list(socket_options or ())
        refusal = httpcore.ConnectError(f"{host} has no address")
        for address in self._addresses(host, port):
            try:
                return super().connect_tcp(address, port, timeout, local_address, options)
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
