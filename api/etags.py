"""Entity tags on JSON answers: who asks every few seconds is told ``304`` where nothing changed.

Addresses of objects are signed anew each time they are given out. They count as the same here, for
half an hour: a client that keeps an earlier answer must not be left with one that has run out.
"""

import hashlib
import re
import time
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: A signed address works for an hour; an answer with one is new after half of it.
_SAME_SECONDS: Final = 1800

#: Larger answers go on as they are; no page of the dashboard asks for one.
_MOST_BYTES: Final = 8 << 20

_SIGNATURE: Final = re.compile(rb"\?[^\"\s]*(?:X-Amz-|Signature=)[^\"\s]*")


class EntityTags:
    """ASGI middleware: tags ``GET`` answers in JSON below ``/v2``."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or not _is_api(scope["path"]):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Tagging(Headers(scope=scope), send))


class _Tagging:
    """Holds one answer back until it is whole, if it is JSON and in one piece."""

    def __init__(self, headers: Headers, send: Send) -> None:
        self._known, self._send = headers.get("if-none-match", ""), send
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_taggable(message):
            self._start = message
            return
        if self._start is not None:
            start, self._start = self._start, None
            message = self._tagged(start, message)
            await self._send(start)
        await self._send(message)

    def _tagged(self, start: Message, message: Message) -> Message:
        """Tag the head of the answer; its body, empty if the client has it already."""
        if message.get("more_body"):
            return message
        tag = entity_tag(message.get("body", b""))
        headers = MutableHeaders(scope=start)
        headers["etag"] = tag
        if not _has(self._known, tag):
            return message
        start["status"] = 304
        del headers["content-length"]
        del headers["content-type"]
        return {**message, "body": b""}


def entity_tag(body: bytes, now: float | None = None) -> str:
    """The tag of a body: the same for the same facts, whenever their addresses were signed.

    Args:
        body: of the answer.
        now: seconds since the epoch; None is this moment.
    """
    unsigned, addresses = _SIGNATURE.subn(b"", body)
    digest = hashlib.blake2b(unsigned, digest_size=12)
    if addresses:
        digest.update(b"%d" % ((time.time() if now is None else now) // _SAME_SECONDS))
    return f'W/"{digest.hexdigest()}"'


def _has(known: str, tag: str) -> bool:
    return tag in (each.strip() for each in known.split(","))


def _is_api(path: str) -> bool:
    return path.startswith("/v2/")


def _is_taggable(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    length = headers.get("content-length", "")
    return (
        start["status"] == 200
        and headers.get("content-type", "").startswith("application/json")
        and "etag" not in headers
        and length.isdecimal()
        and int(length) <= _MOST_BYTES
    )
