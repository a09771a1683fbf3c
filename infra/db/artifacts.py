"""Artifacts that count: found by the hash of all that determines them."""

import uuid
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from infra.db.models import Artifact
from infra.db.orders import ArtifactFile, ArtifactRef
from infra.errors import NotFoundError

_OF_STEP: Final = text("""
SELECT (SELECT a.prefix || CAST(:name AS text) FROM artifacts a
        WHERE a.id = s.artifact_id
          AND a.files @> jsonb_build_array(jsonb_build_object('name', CAST(:name AS text))))
FROM steps s WHERE s.id = :step AND s.job_id = :job
""")

_TOUCH: Final = text("""
UPDATE artifacts SET last_used_at = now() WHERE id IN (
    SELECT id FROM artifacts
    WHERE id = ANY (:ids) AND last_used_at < now() - interval '1 hour'
    FOR NO KEY UPDATE SKIP LOCKED)
""")


def find_artifact(session: Session, project_id: uuid.UUID, key: str) -> ArtifactRef | None:
    """The artifact of that key, if somebody made it."""
    return find_artifacts(session, project_id, [key]).get(key)


def find_artifacts(
    session: Session, project_id: uuid.UUID, keys: Iterable[str]
) -> dict[str, ArtifactRef]:
    """Those of the keys that exist, by key."""
    rows = session.execute(
        select(Artifact.id, Artifact.key, Artifact.prefix, Artifact.files).where(
            Artifact.project_id == project_id, Artifact.key.in_(list(keys))
        )
    )
    return {row.key: ArtifactRef(row.id, row.key, row.prefix, _files(row.files)) for row in rows}


def touch(session: Session, artifact_ids: Iterable[uuid.UUID]) -> None:
    """These are in use: retention counts from now. To the hour, and waiting for nobody."""
    session.execute(_TOUCH, {"ids": list(artifact_ids)})


def _files(rows: list[dict[str, Any]]) -> tuple[ArtifactFile, ...]:
    return tuple(ArtifactFile(row["name"], row["size"], row["sha256"]) for row in rows)


def file_of_step(session: Session, job_id: uuid.UUID, step_id: int, name: str) -> str | None:
    """Key of a file of what a step of a job made; None where there is none of that name.

    Raises:
        NotFoundError: the job has no such step.
    """
    row = session.execute(_OF_STEP, {"job": job_id, "step": step_id, "name": name}).one_or_none()
    if row is None:
        raise NotFoundError(f"the job has no step {step_id}")
    key: str | None = row[0]
    return key
