"""Artifacts a step makes besides its own: prepare makes two."""

import json
import uuid
from dataclasses import asdict
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db.orders import NewArtifact

_ADD: Final = text("""
INSERT INTO artifacts (project_id, key, prefix, files, size_bytes)
VALUES (:project, :key, :prefix, CAST(:files AS jsonb), :size)
ON CONFLICT (project_id, key) DO NOTHING
""")


def add_artifact(session: Session, project_id: uuid.UUID, artifact: NewArtifact) -> None:
    """Enter an artifact; the first of its key counts.

    In the transaction that completes the step, so that it stands under the step's fence.
    """
    session.execute(
        _ADD,
        {
            "project": project_id,
            "key": artifact.key,
            "prefix": artifact.prefix,
            "files": json.dumps([asdict(file) for file in artifact.files]),
            "size": artifact.size_bytes,
        },
    )
