"""Calling a batch off: no more rows, and an end to the jobs it has."""

from uuid import UUID

from api.auditing import note
from api.farm import Farm
from infra.db.batches import call_off, live_jobs
from infra.db.control import cancel_job
from infra.db.projects import Caller

#: Jobs of one transaction; each holds its row until the commit.
_AT_ONCE = 50


def cancel_batch(farm: Farm, caller: Caller, batch_id: UUID) -> None:
    """Cancel all that is live of a batch; safe to ask for again after it broke off.

    Raises:
        NotFoundError: there is no such batch in the project.
    """
    with farm.database.transaction() as session:
        call_off(session, caller.project_id, batch_id)
        note(session, caller, "batch.cancel", batch_id)
    while True:
        with farm.database.transaction() as session:
            jobs = live_jobs(session, batch_id, _AT_ONCE)
            for job in jobs:
                cancel_job(session, caller.project_id, job)
        if not jobs:
            return
