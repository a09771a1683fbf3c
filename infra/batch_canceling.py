"""An end to the jobs of a batch that was called off, few at a time."""

import contextlib
import uuid
from typing import Final

from infra.db.batch_ends import called_off_batches
from infra.db.batches import live_jobs
from infra.db.control import cancel_job
from infra.db.session import Database
from infra.errors import NotFoundError

#: Jobs of one transaction; each holds its row until the commit.
_AT_ONCE: Final = 50

#: Of one batch, before another has its turn.
_IN_A_TURN: Final = 1000


def cancel_jobs_of(
    database: Database, project_id: uuid.UUID, batch_id: uuid.UUID, at_most: int | None = None
) -> None:
    """Cancel live jobs of a batch; safe to do again, and by two at once."""
    canceled = 0
    while at_most is None or canceled < at_most:
        with database.transaction() as session:
            jobs = live_jobs(session, batch_id, _AT_ONCE)
            for job in jobs:
                with contextlib.suppress(NotFoundError):  # deleted meanwhile
                    cancel_job(session, project_id, job)
        if not jobs:
            return
        canceled += len(jobs)


def finish_canceling(database: Database) -> None:
    """Go on where whoever canceled batches died in the middle."""
    with database.transaction() as session:
        called_off = called_off_batches(session)
    for batch in called_off:
        cancel_jobs_of(database, batch.project_id, batch.id, _IN_A_TURN)
