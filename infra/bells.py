"""Doorbells: Celery messages that say only "look", to every worker of a class; see decision 9.

A bell is the Celery task ``lipfarm.ring`` on one broadcast (fanout) exchange a class, and one more
for changes of running steps. It has no arguments that matter and no result. Redis keeps nothing of
it: who listens hears it, who does not finds the work when it next looks. A lost, doubled, forged or
garbled bell therefore costs one look at most.

The listener consumes with Celery's own task consumer but without its worker, which stays deaf after
some reconnections; here a connection that fails, or does not bring back the listener's own echo, is
thrown away and made anew.
"""

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from infra.db import states

# Imported where they are used: the API is up before it first rings.
if TYPE_CHECKING:
    from celery import Celery
    from kombu import Connection, Consumer, Exchange

TASK: Final = "lipfarm.ring"

#: What a bell can be for; ``changes`` has workers renew their leases, and so hear of it, at once.
Bell = Literal["cpu", "gpu", "stitch", "changes"]
BELLS: Final[tuple[Bell, ...]] = get_args(Bell)

_SOCKET_SECONDS: Final = 0.5
_LOOK_SECONDS: Final = 0.2
_ECHO_SECONDS: Final = 5.0
_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 2.0
_SILENCE_AFTER_FAILURE_SECONDS: Final = 1.0
_CLOSE_SECONDS: Final = 1.5

_logger = logging.getLogger(__name__)


def make_app(redis_url: str) -> "Celery":
    """The Celery application; it is nobody's default."""
    from celery import Celery  # noqa: PLC0415

    app = Celery("lipfarm", broker=redis_url, set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        accept_content=["json"],
        broker_transport_options={
            "socket_timeout": _SOCKET_SECONDS,
            "socket_connect_timeout": _SOCKET_SECONDS,
            "socket_keepalive": True,
            # One try: whoever rings has better to do, whoever listens tries in its own rhythm.
            "retry_policy": {"max_retries": 0},
            "fanout_patterns": False,
        },
    )
    return app


class Ringer:
    """Rings. Never raises and never waits: a thread of its own sends, several rings as one.

    Args:
        redis_url: of the broker.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._due: set[Bell] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._speaks = True

    def ring(self, queue: states.Queue) -> None:
        """Wake every worker of a class."""
        self._add(queue)

    def ring_for_changes(self) -> None:
        """Have every worker ask at once what became of its running steps."""
        self._add("changes")

    def close(self) -> None:
        """Send what is due, if it goes quickly."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _add(self, bell: Bell) -> None:
        with self._changed:
            self._due.add(bell)
            if self._thread is None:
                # Only now: a process that forks after making us would not take a thread along.
                self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        app = make_app(self._redis_url)
        connection: Connection | None = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._due or self._closed)
                bells, self._due = self._due, set()
                closed = self._closed
            connection = self._send(app, connection, bells)
            if closed and not self._due:
                _drop(connection)
                return
            if connection is None:
                # The looks of the workers do without; a broker that is down is left in peace.
                time.sleep(_SILENCE_AFTER_FAILURE_SECONDS)

    def _send(
        self, app: "Celery", connection: "Connection | None", bells: Iterable[Bell]
    ) -> "Connection | None":
        try:
            connection = connection or app.connection_for_write()
            for bell in sorted(bells):
                _publish(app, connection, _exchange(bell))
        except Exception as error:  # whatever it is, a bell must not harm who rings it
            if self._speaks:
                _logger.warning("bells.unheard error=%s", error)
            self._speaks = False
            _drop(connection)
            return None
        self._speaks = True
        return connection


class Listener:
    """Hears the bells of some classes, in a thread of its own.

    Args:
        redis_url: of the broker.
        bells: which to hear.
        on_bell: called in the thread with each; must be quick.
    """

    def __init__(
        self, redis_url: str, bells: Iterable[Bell], on_bell: Callable[[Bell], object]
    ) -> None:
        self._app = make_app(redis_url)
        self._bells = tuple(bells)
        self._on_bell = on_bell
        self._echo = _exchange(f"echo.{uuid.uuid4().hex}", auto_delete=True)
        self._echo_heard = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bells", daemon=True)
        #: Set while it hears; for tests and for whoever wants to know.
        self.listening = threading.Event()

    def start(self) -> None:
        """Begin; where the broker is away, it is tried until it is there."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        pause, speaks = _FIRST_PAUSE_SECONDS, True
        while not self._stopped.is_set():
            connection = self._app.connection_for_read()
            try:
                with self._consumer(connection):
                    self._hear(connection)
            except Exception as error:  # one error or another, the answer is a new connection
                if speaks:
                    _logger.warning("bells.deaf error=%s", error)
                if self.listening.is_set():
                    pause = _FIRST_PAUSE_SECONDS
                speaks = self.listening.is_set()
            finally:
                self.listening.clear()
                _drop(connection)
            self._stopped.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _consumer(self, connection: "Connection") -> "Consumer":
        from kombu import Queue  # noqa: PLC0415

        # Broadcast: a queue of its own for each listener, gone when it is.
        queues = [
            Queue(f"{exchange.name}.{uuid.uuid4().hex}", exchange, auto_delete=True)
            for exchange in (*map(_exchange, self._bells), self._echo)
        ]
        consumer: Consumer = self._app.amqp.TaskConsumer(
            connection.default_channel,
            queues,
            on_message=self._on_message,
            no_ack=True,
        )
        return consumer

    def _hear(self, connection: "Connection") -> None:
        """Until stopped; raises when the connection fails, or brings no echo."""
        # It is subscribed with the first look, so the first echo may be asked for in vain.
        self._echo_heard, asked = time.monotonic(), 0.0
        while not self._stopped.is_set():
            now = time.monotonic()
            if now - self._echo_heard > 2 * _ECHO_SECONDS:
                raise ConnectionError("no echo")
            if now - asked > (_ECHO_SECONDS if self.listening.is_set() else _LOOK_SECONDS / 2):
                asked = now
                _publish(self._app, connection, self._echo)
            with contextlib.suppress(TimeoutError):
                connection.drain_events(timeout=_LOOK_SECONDS)

    def _on_message(self, message: Any) -> None:
        # Nothing of the message is looked at but where it was sent.
        exchange = message.delivery_info.get("exchange")
        if exchange == self._echo.name:
            self._echo_heard = time.monotonic()
            if not self.listening.is_set():
                self.listening.set()
                # What was rung for before this moment was not heard.
                self._tell(*self._bells)
            return
        self._tell(*(bell for bell in self._bells if exchange == _exchange(bell).name))

    def _tell(self, *bells: Bell) -> None:
        for bell in bells:
            try:
                self._on_bell(bell)
            except Exception:
                _logger.exception("bells.listener_failed")


def _exchange(name: str, *, auto_delete: bool = False) -> "Exchange":
    from kombu import Exchange  # noqa: PLC0415

    return Exchange(f"lipfarm.{name}", "fanout", durable=False, auto_delete=auto_delete)


def _publish(app: "Celery", connection: "Connection", exchange: "Exchange") -> None:
    with app.amqp.Producer(connection.default_channel) as producer:
        app.send_task(
            TASK,
            producer=producer,
            exchange=exchange.name,
            exchange_type="fanout",
            routing_key=TASK,
            declare=[exchange],
            retry=False,
            ignore_result=True,
        )


def _drop(connection: "Connection | None") -> None:
    if connection is not None:
        # What is broken may break again while it is closed.
        with contextlib.suppress(Exception):
            connection.release()
