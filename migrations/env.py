"""Alembic's way in, from :func:`infra.db.migrating.upgrade` or from its command line.

On the command line the database is the one of ``LIPFARM_DATABASE_URL``.
"""

import os

from alembic import context
from sqlalchemy import Connection, create_engine, pool, text

from infra.db.models import Base
from infra.db.session import with_driver
from infra.errors import SettingsError

#: Waiting longer for a table would stop the farm behind us.
_LOCK_TIMEOUT = "5s"


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
        context.run_migrations()


def _url() -> str:
    url = os.environ.get("LIPFARM_DATABASE_URL")
    if not url:
        raise SettingsError("LIPFARM_DATABASE_URL is not set")
    return with_driver(url)


given = context.config.attributes.get("connection")
if context.is_offline_mode():
    context.configure(dialect_name="postgresql", literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif given is not None:
    _migrate(given)
else:
    engine = create_engine(_url(), poolclass=pool.NullPool)
    with engine.begin() as own:
        _migrate(own)
