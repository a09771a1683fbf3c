"""Who leads, of several processes that could: the one whose connection holds the advisory lock."""

from typing import Final

from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from infra.db.session import with_driver
from infra.errors import ServiceUnavailableError

#: Of the advisory lock; any number will do that nothing else takes.
_LOCK: Final = 4_211_873

_CONNECTION: Final = {
    "application_name": "lipfarm reconciler",
    "connect_timeout": 5,
    # A leader whose machine vanished is forgotten by the server about as fast as a lease runs out.
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "options": "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=3 -c tcp_keepalives_count=3",
}


class Leadership:
    """A candidate. It leads as long as its connection lives, and no longer.

    Args:
        url: of the database.
    """

    def __init__(self, url: str) -> None:
        self._engine = create_engine(
            with_driver(url),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args=_CONNECTION,
        )
        self._connection: Connection | None = None

    def leads(self) -> bool:
        """Whether this candidate leads now; if nobody does, it begins to.

        Raises:
            ServiceUnavailableError: the database does not answer.
        """
        try:
            if self._connection is not None:
                self._connection.execute(text("SELECT 1"))
                return True
            connection = self._engine.connect()
            lock = text("SELECT pg_try_advisory_lock(:lock)")
            if connection.scalar(lock, {"lock": _LOCK}):
                self._connection = connection
                return True
            connection.close()
        except DBAPIError as error:
            self.resign()
            raise ServiceUnavailableError(f"the database does not answer: {error.orig}") from error
        return False

    def resign(self) -> None:
        """Let another lead."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
        self._connection = None
