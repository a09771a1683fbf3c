"""Bring a database to a revision. Any number of processes may try at once; one does it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, pool, text
from sqlalchemy.exc import OperationalError

import migrations
from infra.db.session import with_driver
from infra.errors import ServiceUnavailableError

#: Of the advisory lock; any number will do that nothing else takes.
_LOCK = 0x11BFA12
_POLL_SECONDS = 0.2


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate forward; nothing happens where the database is there already.

    Raises:
        ServiceUnavailableError: the database does not answer.
    """
    with _locked(url) as connection:
        command.upgrade(_config(connection), revision)


def downgrade(url: str, revision: str) -> None:
    """Migrate back, to ``"base"`` for an empty database. What later tables held is gone."""
    with _locked(url) as connection:
        command.downgrade(_config(connection), revision)


def is_current(url: str) -> bool:
    """Whether the database is at the newest revision this code knows.

    Raises:
        ServiceUnavailableError: the database does not answer.
    """
    with _connected(url) as connection:
        found = set(MigrationContext.configure(connection).get_current_heads())
    return found == set(ScriptDirectory.from_config(_config()).get_heads())


def wait_until_current(url: str, seconds: float) -> None:
    """Wait for somebody to migrate the database.

    Raises:
        ServiceUnavailableError: nobody did in time, or the database does not answer.
    """
    ends = time.monotonic() + seconds
    while True:
        try:
            if is_current(url):
                return
            complaint = "the database is not at the revision of this version: lipfarm migrate"
        except ServiceUnavailableError as error:
            complaint = str(error)
        if time.monotonic() > ends:
            raise ServiceUnavailableError(complaint)
        time.sleep(_POLL_SECONDS)


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    folder = str(Path(migrations.__file__).parent)
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _locked(url: str) -> Iterator[Connection]:
    with _connected(url) as connection, connection.begin():
        # Held to the end of the transaction, so the next one finds the work done.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        yield connection


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(
        with_driver(url), poolclass=pool.NullPool, connect_args={"connect_timeout": 5}
    )
    try:
        connection = engine.connect()
    except OperationalError as error:
        message = str(error.orig).splitlines()[0]
        raise ServiceUnavailableError(f"the database does not answer: {message}") from error
    with connection:
        yield connection
