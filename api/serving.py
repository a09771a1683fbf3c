"""The API as a process: from settings to a port that answers, until SIGTERM."""

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from api.app import create_app
from api.farm import Farm
from api.webhook_sender import WebhookSender
from infra.bells import Ringer
from infra.db.session import Database
from infra.errors import ServiceUnavailableError
from infra.logs import get_logger
from infra.settings import Settings
from infra.storage.objects import ObjectStore

#: Uploads and waiting requests in hand may end; after this they are broken off.
STOP_SECONDS = 8

#: As many threads answer requests; each needs a connection for some milliseconds.
_CONNECTIONS = 20
_SENDER_CONNECTIONS = 4

_BACKLOG = 1024

_log = get_logger(__name__)


def serve(settings: Settings, host: str, port: int) -> None:
    """Answer requests until SIGTERM or SIGINT, then finish those in hand.

    Args:
        settings: of the farm.
        host: address to listen on.
        port: 0 takes a free one; the log says which.

    Raises:
        ServiceUnavailableError: the port is taken.
    """
    listener = _listen(host, port)
    ringer = Ringer(settings.redis_url)
    database = Database(
        settings.database_url,
        ring=ringer.ring,
        ring_for_changes=ringer.ring_for_changes,
        pool_size=_CONNECTIONS,
    )
    app = create_app(settings, database, ObjectStore(settings))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    _log.info("api.listening", address="http://{}:{}".format(*listener.getsockname()[:2]))
    try:
        with _sending_webhooks(app.state.farm):
            _Server(config, app.state.farm.events.stop).run(sockets=[listener])
    finally:
        ringer.close()
        database.close()


@contextlib.contextmanager
def _sending_webhooks(farm: Farm) -> Iterator[None]:
    """Webhooks go out meanwhile, over connections that requests do not wait for."""
    database = Database(farm.settings.database_url, pool_size=_SENDER_CONNECTIONS)
    stop = threading.Event()
    sender = WebhookSender(farm, database)
    thread = threading.Thread(target=sender.run_until, args=(stop,), name="webhooks", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        # What is still under way then is sent again by another, when its lease runs out.
        thread.join(STOP_SECONDS)
        database.close()


class _Server(uvicorn.Server):
    """Ends well on the first signal; uvicorn itself would then die of it.

    Args:
        config: as uvicorn's.
        at_stop: called in the signal's handler, for answers that would never end by themselves.
    """

    def __init__(self, config: uvicorn.Config, at_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._at_stop = at_stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        def stop(number: int, frame: FrameType | None) -> None:
            self._at_stop()
            self.handle_exit(number, frame)

        numbers = (signal.SIGTERM, signal.SIGINT)
        former = {number: signal.signal(number, stop) for number in numbers}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ServiceUnavailableError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another port",
            field="port",
        ) from None
    # Connections inherit it. asyncio sets it by itself, but not on those of a socket made like this
    # one, and then an answer's body waits 40 ms for the client to confirm the headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
