"""Transactions: begun and committed here alone, and what must wait for the commit."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.orm import Session, sessionmaker

from infra.db.states import Queue
from infra.errors import IllegalMoveError, ServiceUnavailableError

#: What the guards of the tables raise; see the migrations.
ILLEGAL_MOVE = "LF001"

# A worker that is stopped in the middle of a transaction must not keep a job's row for long, and a
# dead network must be noticed within a lease.
_CONNECTION = {
    "application_name": "lipfarm",
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "options": (
        "-c lock_timeout=10s -c statement_timeout=60s -c idle_in_transaction_session_timeout=10s "
        "-c jit=off"  # compiling takes longer than any statement here
    ),
}

#: A connection unused for so long is asked whether it still stands; asking each time would be dear.
_IDLE_SECONDS = 2.0

_logger = logging.getLogger(__name__)


class Database:
    """The connections of one process; threads share it.

    Args:
        url: ``postgresql://…``.
        ring: told each queue that got work, after the commit; it must not raise.
        ring_for_changes: told, after the commit, that running steps were taken from their workers.
        pool_size: connections at most; more transactions at once wait.
    """

    def __init__(
        self,
        url: str,
        *,
        ring: Callable[[Queue], object] | None = None,
        ring_for_changes: Callable[[], object] | None = None,
        pool_size: int = 10,
    ) -> None:
        self._engine = create_engine(
            with_driver(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=30,
            connect_args=_CONNECTION,
        )
        event.listen(self._engine, "checkin", _note_time)
        event.listen(self._engine, "checkout", _ping_if_idle)
        self._sessions = sessionmaker(self._engine, expire_on_commit=False)
        self._ring = ring
        self._ring_for_changes = ring_for_changes
        self._before_commit: list[Callable[[Session], object]] = []

    def call_before_commit(self, callback: Callable[[Session], object]) -> None:
        """Call this at the end of every transaction that is about to commit, as its last part.

        What it raises rolls the transaction back.
        """
        if callback not in self._before_commit:
            self._before_commit.append(callback)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Session]:
        """One transaction: committed at the end of the block, rolled back by an exception.

        Raises:
            ServiceUnavailableError: the database does not answer; whether a commit that was under
                way counted is then unknown.
            IllegalMoveError: a table refused a change of state.
        """
        session = self._sessions()
        try:
            with session.begin():
                yield session
                for callback in self._before_commit:
                    callback(session)
        except DBAPIError as error:
            raise _translated(error) from error
        finally:
            session.close()
        self._after_commit(session)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _after_commit(self, session: Session) -> None:
        calls: list[Callable[[], object]] = [*session.info.get("after_commit", ())]
        if self._ring is not None:
            calls += [_bound(self._ring, queue) for queue in sorted(session.info.get("queues", ()))]
        if self._ring_for_changes is not None and session.info.get("changes"):
            calls.append(self._ring_for_changes)
        for call in calls:
            try:
                call()
            except Exception:
                # It is committed; whoever asked must not take it for failed.
                _logger.exception("after_commit.failed")


def after_commit(session: Session, callback: Callable[[], object]) -> None:
    """Call this once the transaction counts, before any bell; never if it is rolled back."""
    session.info.setdefault("after_commit", []).append(callback)


def has_written(session: Session) -> bool:
    """Whether the transaction changed anything so far, or locked it to do so."""
    session.flush()
    query = text("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
    return bool(session.scalar(query))


def note_work(session: Session, queue: Queue) -> None:
    """A queue got work: ring for it once the transaction counts."""
    session.info.setdefault("queues", set()).add(queue)


def note_changes(session: Session) -> None:
    """Running steps were taken from their workers: have them look at once."""
    session.info["changes"] = True


def with_driver(url: str) -> str:
    """The URL with the driver SQLAlchemy is to use."""
    return "postgresql+psycopg://" + url.split("://", 1)[1]


def _note_time(_connection: Any, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _ping_if_idle(connection: Any, record: Any, _proxy: Any) -> None:
    if time.monotonic() - record.info.get("used", time.monotonic()) < _IDLE_SECONDS:
        return
    try:
        connection.execute("")
        connection.rollback()
    except psycopg.Error as error:
        raise DisconnectionError from error  # the pool makes another


def _bound(ring: Callable[[Queue], object], queue: Queue) -> Callable[[], object]:
    return lambda: ring(queue)


def _translated(error: DBAPIError) -> Exception:
    state = getattr(error.orig, "sqlstate", None)
    message = str(error.orig).splitlines()[0] if str(error.orig) else type(error.orig).__name__
    if state == ILLEGAL_MOVE:
        return IllegalMoveError(message)
    # 08: connection; 57P: shut down or starting; 53: too many connections, disk full, memory;
    # 40: deadlock or serialization. Below: lock or statement timeout, idle for too long.
    if state is None or state[:2] in {"08", "53", "40"} or state[:3] == "57P":
        return ServiceUnavailableError(f"the database does not answer: {message}")
    if state in {"55P03", "57014", "25P03"}:
        return ServiceUnavailableError(f"the database takes too long: {message}")
    return error
