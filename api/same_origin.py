"""Whether a request with a cookie comes from our own pages, as the browser itself says it.

A cookie goes along with whatever any page makes the browser send, so a request that changes
something must prove where it was made. The cookie is ``SameSite=Strict``, too; this also holds
against pages of a neighbouring host of the same site, and in browsers that know no ``SameSite``.
"""

from typing import Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def is_safe(method: str) -> bool:
    """Whether the method changes nothing."""
    return method in _SAFE_METHODS


def is_same_origin(request: HTTPConnection) -> bool:
    """Whether the browser says that one of our own pages sent it.

    Without ``Sec-Fetch-Site`` (an address that is not https, or an old browser) the ``Origin``
    counts; its host alone, for a proxy in front may have taken off the TLS.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == request.headers.get("host")


def is_cross_origin(request: HTTPConnection) -> bool:
    """Whether the browser says that another's page sent it; programs say nothing."""
    says = {"sec-fetch-site", "origin"} & set(request.headers)
    return bool(says) and not is_same_origin(request)
