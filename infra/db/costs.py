"""What frames cost the farm of late: workers' seconds a frame, by stage."""

import uuid
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db.states import Stage

#: Jobs that are looked at.
_RECENT: Final = 50

# A stage of a job in which anything was taken from an earlier job says nothing of its cost.
_COSTS: Final = text("""
WITH recent AS (
    SELECT id FROM jobs
    WHERE project_id = :project AND state = 'completed' AND params ->> 'network' = :network
    ORDER BY created_at DESC LIMIT :recent),
stages AS (
    SELECT s.job_id, s.stage, sum(s.frames) AS frames,
           sum(extract(epoch FROM s.finished_at - s.started_at)) AS seconds,
           bool_or(s.reused OR s.kept_original OR s.started_at IS NULL) AS is_partial
    FROM steps s JOIN recent r ON r.id = s.job_id
    WHERE s.state = 'completed' GROUP BY s.job_id, s.stage),
films AS (SELECT job_id, max(frames) AS frames FROM stages GROUP BY job_id HAVING max(frames) > 0)
SELECT stage, sum(seconds) / sum(films.frames) AS seconds
FROM stages JOIN films USING (job_id) WHERE NOT is_partial GROUP BY stage
""")


def seconds_a_frame(session: Session, project_id: uuid.UUID, network: str) -> dict[Stage, float]:
    """Workers' seconds for one frame of a film in each stage, from a project's latest jobs.

    Args:
        session: of the transaction.
        project_id: whose jobs.
        network: that was asked for.

    Returns:
        Only the stages something is known of.
    """
    values = {"project": project_id, "network": network, "recent": _RECENT}
    return {row.stage: float(row.seconds) for row in session.execute(_COSTS, values)}
