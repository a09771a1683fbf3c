"""From rows to ends: which batches are at work, which have nothing left to do, and closing them."""

import uuid
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db.batches import CANCELED
from infra.db.states import JOB_ENDS, JobState

_LIVE: Final[tuple[JobState, ...]] = (
    "queued",
    "preparing",
    "detecting",
    "tracking",
    "rendering",
    "stitching",
)
_BEGUN: Final = (*_LIVE[1:], *sorted(JOB_ENDS))


def _any_job(states: tuple[str, ...]) -> str:
    """Probes of an index, one a state."""
    words = ", ".join(f"'{state}'" for state in states)
    return f"EXISTS (SELECT FROM jobs j WHERE j.batch_id = b.id AND j.state IN ({words}))"


_OPEN: Final = "b.finished_at IS NULL AND b.read_at IS NOT NULL"

_BEGIN: Final = text(
    f"UPDATE batches b SET state = 'processing' "  # noqa: S608 -- constants
    f"WHERE {_OPEN} AND b.state = 'jobs_created' AND {_any_job(_BEGUN)}"
)

_ENDED: Final = text(
    f"SELECT b.id, b.project_id FROM batches b "  # noqa: S608 -- constants
    f"WHERE {_OPEN} AND NOT {_any_job(_LIVE)} ORDER BY b.read_at LIMIT :most"
)

_CALLED_OFF: Final = text(
    f"SELECT b.id, b.project_id FROM batches b "  # noqa: S608 -- constants
    f"WHERE {_OPEN} AND b.error_code = :code AND {_any_job(_LIVE)} ORDER BY b.read_at LIMIT :most"
)

# Once: whoever comes second finds it closed.
_CLOSE: Final = text(
    f"UPDATE batches b SET finished_at = clock_timestamp(), result_key = :key, "  # noqa: S608
    f"state = CASE WHEN b.error_code IS NULL THEN 'completed' ELSE 'failed' END "
    f"WHERE b.id = :batch AND {_OPEN} AND NOT {_any_job(_LIVE)} RETURNING b.id"
)

_TELL: Final = text("""
INSERT INTO webhook_deliveries (project_id, batch_id, kind, url, endpoint_id)
SELECT b.project_id, b.id, 'batch.' || b.state, told.url, told.id
FROM batches b CROSS JOIN LATERAL (
    SELECT b.webhook_url AS url, NULL::uuid AS id WHERE b.webhook_url IS NOT NULL
    UNION ALL
    SELECT e.url, e.id FROM webhook_endpoints e
    WHERE e.project_id = b.project_id AND e.disabled_at IS NULL
      AND (e.events = '{}' OR 'batch.' || b.state = ANY (e.events))
) AS told
WHERE b.id = :batch
""")


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A batch that was read, and is not closed yet."""

    id: uuid.UUID
    project_id: uuid.UUID


def note_begun_batches(session: Session) -> None:
    """Batches whose first job is at work are processing."""
    session.execute(_BEGIN)


def ended_batches(session: Session, limit: int = 100) -> list[OpenBatch]:
    """Batches all of whose jobs have ended, those first that were read first."""
    return [OpenBatch(row.id, row.project_id) for row in session.execute(_ENDED, {"most": limit})]


def called_off_batches(session: Session, limit: int = 20) -> list[OpenBatch]:
    """Batches that were canceled and have live jobs still."""
    values = {"most": limit, "code": CANCELED}
    return [OpenBatch(row.id, row.project_id) for row in session.execute(_CALLED_OFF, values)]


def close_batch(session: Session, batch: OpenBatch, result_key: str) -> bool:
    """Close a batch and have its webhooks sent; False if it is closed, or has live jobs again."""
    values = {"batch": batch.id, "key": result_key}
    if session.scalar(_CLOSE, values) is None:
        return False
    session.execute(_TELL, {"batch": batch.id})
    return True
