"""How much a project has under way, counted so that two at once cannot both be the last."""

import uuid
from typing import Final, get_args

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db.states import JOB_ENDS, JobState

#: By state, for which there is an index by project.
_LIVE_STATES: Final = sorted(set(get_args(JobState)) - JOB_ENDS)

_LOCK: Final = text("SELECT FROM projects WHERE id = :project FOR NO KEY UPDATE")

_LIVE: Final = text("""
SELECT count(*) FROM (
    SELECT FROM jobs WHERE project_id = :project AND state = ANY (:states) LIMIT :most) live
""")


def has_more_live_jobs(session: Session, project_id: uuid.UUID, limit: int) -> bool:
    """Whether more than so many of a project's jobs have not ended.

    Holds the project until the transaction ends: whoever orders next sees what this one ordered.
    """
    session.flush()
    session.execute(_LOCK, {"project": project_id})
    values = {"project": project_id, "states": _LIVE_STATES, "most": limit + 1}
    live: int = session.execute(_LIVE, values).scalar_one()
    return live > limit
