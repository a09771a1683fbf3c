"""What happened long ago is forgotten; what a restored dump says of the future is brought back."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from infra.db.events import forget_events, heal_after_restore
from infra.db.session import Database
from infra.db.webhooks import forget_deliveries


def forget_history(database: Database, seconds: float) -> int:
    """Delete events, and webhooks that ended, that are older; a transaction for some thousand.

    Returns:
        How many rows went.
    """
    return _until_none(database, lambda session: forget_events(session, seconds)) + _until_none(
        database, lambda session: forget_deliveries(session, seconds)
    )


def heal_history(database: Database) -> int:
    """Have events of a restored dump seen again; how many there were."""
    with database.transaction() as session:
        return heal_after_restore(session)


def _until_none(database: Database, forget: Callable[[Session], int]) -> int:
    total = 0
    while True:
        with database.transaction() as session:
            forgotten = forget(session)
        if not forgotten:
            return total
        total += forgotten
