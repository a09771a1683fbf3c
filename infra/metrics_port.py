"""A port on which a process that is no web server answers Prometheus."""

import hmac
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app

from infra.errors import ServiceUnavailableError
from infra.logs import get_logger
from infra.settings import Settings

_logger = get_logger(__name__)

_Answer = Callable[[str, list[tuple[str, str]]], object]


class MetricsPort:
    """Answers ``/metrics`` until it is closed; does nothing where the settings name no port.

    With ``metrics_token`` it wants that, from anywhere; without one it listens to this machine
    alone.
    """

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        """Begin to answer.

        Args:
            settings: of the process.
            registry: what to tell, besides memory and processor time.

        Raises:
            ServiceUnavailableError: the port is taken.
        """
        self._server: WSGIServer | None = None
        if settings.metrics_port is None:
            return
        ProcessCollector(registry=registry)
        token = settings.metrics_token.get_secret_value() if settings.metrics_token else None
        try:
            self._server = _Server(
                ("127.0.0.1" if token is None else "", settings.metrics_port), _Handler
            )
        except OSError as error:
            raise ServiceUnavailableError(
                f"cannot listen on LIPFARM_METRICS_PORT {settings.metrics_port}: "
                f"{error.strerror or error}"
            ) from None
        self._server.set_app(_guarded(make_wsgi_app(registry), token))
        Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()
        _logger.info("metrics.listening", port=self.port)

    @property
    def port(self) -> int | None:
        """Where it listens."""
        return None if self._server is None else self._server.server_port

    def close(self) -> None:
        """Stop."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = 10

    def log_message(self, *_args: Any) -> None:
        """Every few seconds the same: nothing for a log."""


def _guarded(app: Any, token: str | None) -> Any:
    def answer(environ: dict[str, Any], start: _Answer) -> Iterable[bytes]:
        scheme, _, sent = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        is_known = token is None or (
            scheme.lower() == "bearer" and hmac.compare_digest(sent.encode(), token.encode())
        )
        if environ.get("PATH_INFO") != "/metrics":
            start("404 Not Found", [])
            return [b""]
        if not is_known:
            start("401 Unauthorized", [("WWW-Authenticate", "Bearer")])
            return [b""]
        answered: Iterable[bytes] = app(environ, start)
        return answered

    return answer
