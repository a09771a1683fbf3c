"""Calling a batch off: no more rows, and an end to the jobs it has."""

from uuid import UUID

from api.auditing import note
from api.farm import Farm
from infra.batch_canceling import cancel_jobs_of
from infra.db.batches import call_off
from infra.db.projects import Caller


def cancel_batch(farm: Farm, caller: Caller, batch_id: UUID) -> None:
    """Cancel all that is live of a batch; what is left if this breaks off, the reconciler does.

    Raises:
        NotFoundError: there is no such batch in the project.
    """
    with farm.database.transaction() as session:
        call_off(session, caller.project_id, batch_id)
        note(session, caller, "batch.cancel", batch_id)
    cancel_jobs_of(farm.database, caller.project_id, batch_id)
