"""The other limit: how many generations of a project may be unfinished."""

from sqlalchemy.orm import Session

from api.errors import RefusedError
from api.farm import Farm
from infra.db.projects import Caller
from infra.db.quotas import has_more_live_jobs


def check_live_jobs(session: Session, farm: Farm, caller: Caller) -> None:
    """Nothing, while the project has no more than it may; call it where jobs were just entered.

    A batch of a file is asked before its first row and with every chunk of them: what was entered
    before the limit stays, and the same file sent again goes on there.

    Raises:
        RefusedError: it has; raised within the transaction, it undoes what was entered.
    """
    limit = caller.live_jobs if caller.live_jobs is not None else farm.settings.live_jobs
    if limit is not None and has_more_live_jobs(session, caller.project_id, limit):
        raise RefusedError(
            "concurrency_limit_reached", f"your project may have {limit} unfinished generations"
        )
