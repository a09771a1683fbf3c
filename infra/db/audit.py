"""The farm's invariants, each as a question whose every answer is something broken."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

#: Findings shown of one kind; the rest is counted.
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is broken.

    Attributes:
        check: the invariant's name.
        subject: the row, as ``job …`` or ``step …``.
        message: what is wrong with it, in a line.
    """

    check: str
    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.check}: {self.subject}: {self.message}"


#: Name of the invariant → a query of (subject, message) for every violation.
_CHECKS = {
    "one open attempt for a running step, none for others": """
        SELECT 'step ' || s.id, s.state || ' with ' || count(a.step_id) || ' open attempts'
        FROM steps s LEFT JOIN attempts a ON a.step_id = s.id AND a.ended_at IS NULL
        WHERE s.state = 'running' OR a.step_id IS NOT NULL
        GROUP BY s.id
        HAVING count(a.step_id) <> CASE WHEN s.state = 'running' THEN 1 ELSE 0 END
    """,
    "the open attempt is the current one": """
        SELECT 'step ' || s.id, 'attempt ' || a.number || ' is open, the current is ' || s.attempt
        FROM attempts a JOIN steps s ON s.id = a.step_id
        WHERE a.ended_at IS NULL AND a.number <> s.attempt
    """,
    "a step is completed once": """
        SELECT 'step ' || step_id, count(*) || ' attempts completed it'
        FROM attempts WHERE outcome = 'completed' GROUP BY step_id HAVING count(*) > 1
    """,
    "a completed step says so once": """
        SELECT 'step ' || s.id, 'its completion was told ' || count(e.id) || ' times'
        FROM steps s LEFT JOIN events e
          ON e.job_id = s.job_id AND e.step_id = s.id AND e.kind = 'step.completed'
        WHERE s.state = 'completed' GROUP BY s.id HAVING count(e.id) <> 1
    """,
    "a completed segment left an artifact": """
        SELECT 'step ' || s.id, s.stage || ' ' || s.segment_index || ' left no artifact'
        FROM steps s JOIN jobs j ON j.id = s.job_id
        WHERE s.state = 'completed' AND s.stage IN ('detect', 'render') AND NOT s.kept_original
          AND s.artifact_id IS NULL AND j.finished_at IS NULL
    """,
    "a completed job has an output and nothing left to do": """
        SELECT 'job ' || j.id, 'completed without output, or with unfinished steps'
        FROM jobs j WHERE j.state = 'completed' AND (
          j.output_key IS NULL OR j.output_sha256 IS NULL OR j.report IS NULL
          OR EXISTS (SELECT FROM steps s WHERE s.job_id = j.id AND s.state <> 'completed'))
    """,
    "nothing is worked on for a job that ended": """
        SELECT 'step ' || s.id, s.state || ' under a job that is ' || j.state
        FROM steps s JOIN jobs j ON j.id = s.job_id
        WHERE s.state IN ('queued', 'running')
          AND j.state IN ('completed', 'failed', 'rejected', 'canceled')
    """,
    "a live job has something to do, or needs attention": """
        SELECT 'job ' || j.id, j.state || ' with no step to work on'
        FROM jobs j WHERE j.finished_at IS NULL AND NOT j.attention
          AND NOT EXISTS (
            SELECT FROM steps s WHERE s.job_id = j.id AND s.state IN ('queued', 'running'))
    """,
    "attention means a failed step": """
        SELECT 'job ' || j.id, 'attention is ' || j.attention
        FROM jobs j WHERE j.finished_at IS NULL AND j.attention <> EXISTS (
          SELECT FROM steps s WHERE s.job_id = j.id AND s.state = 'failed')
    """,
    "a queued step is ready, or something says why not": """
        SELECT 'step ' || s.id, 'queued, not ready, and nothing it waits for'
        FROM steps s JOIN jobs j ON j.id = s.job_id
        WHERE s.state = 'queued' AND NOT s.ready AND NOT s.held AND j.desired = 'run'
          AND s.not_before IS NULL
    """,
    "a paused or canceled job's steps are not ready": """
        SELECT 'step ' || s.id, 'ready, but its job is to ' || j.desired
        FROM steps s JOIN jobs j ON j.id = s.job_id WHERE s.ready AND j.desired <> 'run'
    """,
    "leases that ran out are seen": """
        SELECT 'step ' || id, 'its lease ran out at ' || lease_until || ': is a reconciler running?'
        FROM steps
        WHERE state = 'running' AND lease_until < now() - interval '2 minutes'
    """,
    "render ranges follow each other without gap or overlap": """
        SELECT 'job ' || job_id, 'segment ' || segment_index || ' starts at ' || start
               || ', the one before it ends at ' || before
        FROM (
          SELECT s.job_id, s.segment_index, (s.params->>'start')::int AS start,
                 coalesce(lag((s.params->>'end')::int) OVER (
                   PARTITION BY s.job_id ORDER BY s.segment_index), 0) AS before
          FROM steps s WHERE s.stage = 'render') ranges
        WHERE start <> before
    """,
    "frames of the segments are the frames of the source": """
        SELECT 'job ' || j.id, 'segments have ' || sum(s.frames) || ' frames, the source '
               || (j.facts->'prepare'->>'frames')
        FROM jobs j JOIN steps s ON s.job_id = j.id AND s.stage = 'detect'
        WHERE j.facts->'prepare' ? 'frames'
        GROUP BY j.id HAVING sum(s.frames) <> (j.facts->'prepare'->>'frames')::int
    """,
}


def audit(session: Session) -> Iterator[Finding]:
    """All that is broken, as the rows tell it; nothing, when the farm is well."""
    for check, query in _CHECKS.items():
        rows = session.execute(text(query)).all()
        for subject, message in rows[:_SHOWN]:
            yield Finding(check, subject, message)
        if len(rows) > _SHOWN:
            yield Finding(check, "…", f"{len(rows) - _SHOWN} more")
