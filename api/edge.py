"""Around every request: its id, its line in the log, and headers that keep browsers careful."""

import time
import uuid

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auditing import RequestOrigin, origin
from infra.logs import bound, get_logger

REQUEST_ID_HEADER = "x-request-id"

#: Answers are for one client at one moment.
_HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Of answers that are no pages: whatever a browser takes them for, nothing in them runs.
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

#: A browser that was here over TLS does not come back without, for a year.
_STRICT_TRANSPORT = "max-age=31536000"

#: Asked every few seconds by whoever watches over the process.
_PROBES = frozenset({"/healthz", "/readyz"})

_log = get_logger(__name__)


class Edge:
    """ASGI middleware; does not hold bodies back."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, began, status = uuid.uuid4().hex, time.monotonic(), 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https":
                    headers["strict-transport-security"] = _STRICT_TRANSPORT
            await send(message)

        client = scope.get("client")
        origin.set(RequestOrigin(request_id, client[0] if client else None))
        with bound(request=request_id):
            try:
                await self._app(scope, receive, send_on)
            finally:
                # The path alone: a query may hold what is not for a log.
                say = _log.debug if scope["path"] in _PROBES else _log.info
                say(
                    "request.answered",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    milliseconds=round(1000 * (time.monotonic() - began), 1),
                )
