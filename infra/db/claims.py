"""How a worker gets a step: one statement, whose cost does not grow with the steps that wait.

What comes first: the lowest rank; then the project with the fewest running steps for its weight in
this queue; then the one served longest ago; then the oldest step. A project is found by one probe
of the index of ready steps, so a million steps cost what a thousand do.
"""

import uuid
from typing import Any, Final

from sqlalchemy.orm import Session

from infra.db.orders import AssetRef, Claim
from infra.db.statements import statement
from infra.db.states import Queue

#: As in the settings of a farm nobody configured.
LEASE_SECONDS: Final = 15.0

# Steps the worker must leave to others: those of benched stages, as long as somebody else is there
# to take them, and those that would make what a running step is making already.
_BENCHED = """
benched AS MATERIALIZED (
    SELECT b.job_id, b.stage FROM benches b
    WHERE b.worker_id = CAST(:worker AS uuid) AND EXISTS (
        SELECT FROM workers w
        WHERE w.state = 'online' AND w.id <> b.worker_id AND CAST(:queue AS text) = ANY (w.queues)
          AND NOT EXISTS (
            SELECT FROM benches o
            WHERE o.job_id = b.job_id AND o.stage = b.stage AND o.worker_id = w.id)))
"""

# Both recursions hop over the index: each asks for the first entry past the last one found. They
# are read lazily; usually the first rank is all that is looked at.
_RANKS = """
ranks AS (
    (SELECT rank FROM steps WHERE ready AND queue = CAST(:queue AS text)
     ORDER BY queue, rank LIMIT 1)
    UNION ALL
    SELECT (SELECT s.rank FROM steps s
            WHERE s.ready AND s.queue = CAST(:queue AS text) AND s.rank > r.rank
            ORDER BY s.queue, s.rank LIMIT 1)
    FROM ranks r WHERE r.rank IS NOT NULL)
"""
_PROJECTS_OF_RANK = """
WITH RECURSIVE hops AS (
    (SELECT s.project_id FROM steps s
     WHERE s.ready AND s.queue = CAST(:queue AS text) AND s.rank = r.rank
     ORDER BY s.queue, s.rank, s.project_id LIMIT 1)
    UNION ALL
    SELECT (SELECT s.project_id FROM steps s
            WHERE s.ready AND s.queue = CAST(:queue AS text) AND s.rank = r.rank
              AND s.project_id > h.project_id
            ORDER BY s.queue, s.rank, s.project_id LIMIT 1)
    FROM hops h WHERE h.project_id IS NOT NULL)
SELECT h.project_id
FROM hops h
JOIN projects p ON p.id = h.project_id
JOIN turns t ON t.project_id = h.project_id AND t.queue = CAST(:queue AS text)
LEFT JOIN busy b ON b.project_id = h.project_id
ORDER BY coalesce(b.steps, 0)::float / p.weight,
         extract(epoch FROM clock_timestamp() - t.served_at) * p.weight DESC,
         h.project_id
"""
_OLDEST_OF_PROJECT = """
SELECT s.id FROM steps s
WHERE s.ready AND s.queue = CAST(:queue AS text) AND s.rank = r.rank
  AND s.project_id = p.project_id
  AND NOT EXISTS (
    SELECT FROM benched n WHERE n.job_id = s.job_id AND n.stage = s.stage)
  AND NOT EXISTS (
    SELECT FROM steps m
    WHERE m.state = 'running' AND m.artifact_key = s.artifact_key AND m.project_id = s.project_id)
ORDER BY s.queue, s.rank, s.project_id, s.id
LIMIT 1 FOR NO KEY UPDATE OF s SKIP LOCKED
"""

# Nothing here waits for a lock: a turn or a job that somebody else holds is passed over. Turns are
# then being set to the same moment, and the job's state is caught up with when prepare completes.
_CLAIM = """
WITH RECURSIVE {benched}, {ranks},
busy AS MATERIALIZED (
    SELECT project_id, count(*) AS steps FROM steps
    WHERE state = 'running' AND queue = CAST(:queue AS text) GROUP BY project_id),
picked AS MATERIALIZED (
    SELECT s.id
    FROM ranks r
    CROSS JOIN LATERAL ({projects_of_rank}) p
    CROSS JOIN LATERAL ({oldest_of_project}) s
    WHERE EXISTS (SELECT FROM workers WHERE id = CAST(:worker AS uuid) AND state = 'online')
    LIMIT 1),
claimed AS (
    UPDATE steps s
    SET state = 'running', ready = false, attempt = s.attempt + 1,
        worker_id = CAST(:worker AS uuid), frames_done = 0, not_before = NULL,
        lease_until = clock_timestamp() + make_interval(secs => :lease),
        progress_at = clock_timestamp(), started_at = clock_timestamp(), finished_at = NULL,
        error_class = NULL, error_code = NULL, error_message = NULL
    FROM picked WHERE s.id = picked.id
    RETURNING s.*),
tried AS (
    INSERT INTO attempts (step_id, number, worker_id)
    SELECT id, attempt, worker_id FROM claimed),
served AS (
    UPDATE turns t SET served_at = clock_timestamp()
    FROM (SELECT o.queue, o.project_id FROM turns o
          JOIN claimed c ON c.queue = o.queue AND c.project_id = o.project_id
          FOR NO KEY UPDATE OF o SKIP LOCKED) free
    WHERE t.queue = free.queue AND t.project_id = free.project_id),
begun AS (
    UPDATE jobs j SET state = 'preparing', started_at = clock_timestamp()
    FROM (SELECT o.id FROM jobs o JOIN claimed c ON c.job_id = o.id AND c.stage = 'prepare'
          WHERE o.state = 'queued' FOR NO KEY UPDATE OF o SKIP LOCKED) free
    WHERE j.id = free.id)
SELECT c.id, c.attempt, c.job_id, c.project_id, c.stage, c.queue, c.segment_index, c.frames,
       c.params, c.artifact_key, j.params AS job_params, j.facts AS job_facts,
       j.language, j.output_name,
       (SELECT to_jsonb(a) FROM assets a WHERE a.id = j.source_id) AS source,
       (SELECT to_jsonb(a) FROM assets a WHERE a.id = j.dialogue_id) AS dialogue,
       (SELECT jsonb_agg(to_jsonb(a) ORDER BY d.position)
        FROM job_dialogues d JOIN assets a ON a.id = d.asset_id
        WHERE d.job_id = c.job_id) AS more_dialogues
FROM claimed c JOIN jobs j ON j.id = c.job_id
"""
CLAIM: Final = _CLAIM.format(
    benched=_BENCHED,
    ranks=_RANKS,
    projects_of_rank=_PROJECTS_OF_RANK,
    oldest_of_project=_OLDEST_OF_PROJECT,
)


def claim_step(
    session: Session, worker_id: uuid.UUID, queue: Queue, *, lease_seconds: float = LEASE_SECONDS
) -> Claim | None:
    """Take the step that is next in a queue.

    Args:
        session: of a transaction that should end at once; the step is locked until then.
        worker_id: who claims; it gets nothing unless it is online.
        queue: where to look.
        lease_seconds: how long the step stays a silent worker's.

    Returns:
        The step, or None when there is nothing for this worker.
    """
    row = session.execute(
        statement(CLAIM), {"worker": worker_id, "queue": queue, "lease": lease_seconds}
    ).one_or_none()
    if row is None:
        return None
    return Claim(
        step_id=row.id,
        attempt=row.attempt,
        job_id=row.job_id,
        project_id=row.project_id,
        stage=row.stage,
        queue=row.queue,
        segment_index=row.segment_index,
        frames=row.frames,
        params=row.params,
        artifact_key=row.artifact_key,
        job_params=row.job_params,
        job_facts=row.job_facts,
        source=_asset(row.source),
        dialogue=_asset(row.dialogue),
        language=row.language,
        output_name=row.output_name,
        more_dialogues=tuple(map(_asset, row.more_dialogues or ())),
    )


def _asset(row: dict[str, Any]) -> AssetRef:
    return AssetRef(
        id=uuid.UUID(row["id"]),
        kind=row["kind"],
        name=row["name"],
        object_key=row["object_key"],
        source_url=row["source_url"],
        size_bytes=row["size_bytes"],
        sha256=row["sha256"],
    )
