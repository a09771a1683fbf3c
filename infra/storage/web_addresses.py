"""Addresses of the web as strangers write them: which are fetched, and how they are spoken of."""

import contextlib
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import httpx

from infra.errors import FetchError

_LONGEST_SHOWN = 200


def check_address(url: str) -> None:
    """See that it is a plain http or https address, without a user name.

    Raises:
        FetchError: it is not.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise FetchError(f"{shown(url)}: it is no address") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise FetchError(f"{shown(url)}: inputs are fetched over http and https alone")
    if parts.username or parts.password:
        raise FetchError(f"{shown(url)}: no user name or password in an input's URL, please")


def shown(url: str) -> str:
    """Without the query, where signatures are, and without a user's name; with its port."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2].lower()
        plain = f"{parts.scheme}://{host}{parts.path}"
    except ValueError:
        plain = url.partition("?")[0].rpartition("@")[2]
    return "".join(c if c.isprintable() else "?" for c in plain)[:_LONGEST_SHOWN]


def redirected_to(url: str, answer: httpx.Response) -> str:
    """Where an answer leads; not yet checked.

    Raises:
        FetchError: that is no address.
    """
    try:
        location: str = answer.headers.get("location", "")
        return urljoin(url, location)
    except ValueError:
        raise FetchError(f"{shown(url)}: it leads to what is no address") from None


@contextlib.contextmanager
def malformed_told(url: str) -> Iterator[None]:
    """Raise FetchError where the library finds an address, or one it leads to, to be none."""
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise FetchError(f"{shown(url)}: it is no address, or leads to none: {error}") from None
