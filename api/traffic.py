"""How many requests there are, of which kind, and how long they take, counted as they pass."""

import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Around what a page may take: 150 ms.
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)

#: Methods of which clients make their own words are not told apart.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class TrafficMetrics:
    """The counters; one set a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register them."""
        self.requests = Counter(
            "lipfarm_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "lipfarm_http_request_seconds",
            "Until an answer began; what then is streamed takes as long as it takes.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.under_way = Gauge(
            "lipfarm_http_requests_in_progress",
            "Requests being answered, streams of events among them.",
            registry=registry,
        )


class Traffic:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, metrics: TrafficMetrics) -> None:
        """Wrap the application."""
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status, seconds = 0, 0.0

        async def send_on(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = message["status"], time.perf_counter() - began
            await send(message)

        with self._metrics.under_way.track_inprogress():
            try:
                await self._app(scope, receive, send_on)
            finally:
                self._note(scope, status, seconds)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        # The route's template, never the path: ids and guesses would be a series each.
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(method, route, str(status)).inc()
        # None where the client was gone before there was an answer, or asked to be kept waiting.
        if status and b"wait=" not in scope["query_string"]:
            self._metrics.seconds.labels(method, route).observe(seconds)
