"""Carrying out the verdict on a failed or lost attempt."""

import uuid
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db import fence
from infra.db.moves import StepOfJob, begin_job, lock_job_of_step, move_job
from infra.db.orders import Failure
from infra.db.session import note_work
from infra.db.statements import statement
from infra.db.verdicts import (
    MOST_FAILED_JOBS,
    QUARANTINED,
    History,
    Verdict,
    job_state_after,
    judge,
)

_LOG_TAIL_CHARACTERS: Final = 20_000

_HISTORY = """
SELECT s.worker_id, s.failures, s.losses,
       (SELECT count(*) FROM attempts a WHERE a.step_id = s.id
        AND a.number > s.attempt - 12 AND a.error_class = 'infrastructure') AS infrastructure
FROM steps s WHERE {fence} FOR NO KEY UPDATE OF s
"""

_SETTLE: Final = text("""
WITH closed AS (
    UPDATE attempts
    SET ended_at = clock_timestamp(), outcome = :outcome, error_class = :kind, error_code = :code,
        error_message = :message, log_tail = nullif(:log_tail, ''),
        frames_done = (SELECT frames_done FROM steps WHERE id = :step)
    WHERE step_id = :step AND number = :attempt)
UPDATE steps
SET state = CASE WHEN :again THEN 'queued' ELSE 'failed' END,
    ready = :ready,
    not_before = CASE WHEN :delay > 0 THEN clock_timestamp() + make_interval(secs => :delay) END,
    finished_at = CASE WHEN :again THEN NULL ELSE clock_timestamp() END,
    worker_id = CASE WHEN :again THEN NULL ELSE worker_id END, lease_until = NULL,
    losses = losses + :lost, failures = failures + :charged,
    error_class = :kind, error_code = :code, error_message = :message
WHERE id = :step
""")

_BENCH: Final = text("""
INSERT INTO benches (job_id, stage, worker_id)
SELECT :job, :stage, id FROM workers WHERE id = :worker ON CONFLICT DO NOTHING
""")

_SUSPECT: Final = text("""
UPDATE workers SET failed_jobs = failed_jobs || CAST(:job AS uuid),
    state = CASE WHEN state = 'online' AND cardinality(failed_jobs) + 1 >= :most
                 THEN 'sick' ELSE state END
WHERE id = :worker AND NOT CAST(:job AS uuid) = ANY (failed_jobs)
""")

_LOST = Failure("death", "worker_lost", "the worker fell silent")


@dataclass(frozen=True, slots=True)
class _Case:
    step: StepOfJob
    attempt: int
    worker_id: uuid.UUID
    failure: Failure
    verdict: Verdict


def settle_failure(session: Session, step_id: int, attempt: int, failure: Failure) -> None:
    """Close a failed attempt and do what the verdict says.

    Raises:
        FencedError: the step is not this attempt's any more.
    """
    step = lock_job_of_step(session, step_id)
    row = _history(session, step_id, attempt, fence.HELD)
    if row is None:
        raise fence.refusal(step_id, attempt)
    _settle(session, _judged(step, attempt, row, failure), "failed")


def lose_step(session: Session, step_id: int, attempt: int) -> bool:
    """Take a step from a worker whose lease ran out; False if it was renewed meanwhile or ended.

    It costs the step a loss. It does not speak against the worker: a network or a database that was
    gone for a while silences them all.
    """
    step = lock_job_of_step(session, step_id)
    held = f"{fence.HELD} AND s.lease_until < clock_timestamp()"
    row = _history(session, step_id, attempt, held)
    if row is None:
        return False
    case = _judged(step, attempt, row, _LOST)
    verdict = Verdict(again=case.verdict.again, quarantine=case.verdict.quarantine)
    _settle(session, _Case(step, attempt, case.worker_id, _LOST, verdict), "lost")
    return True


def _history(session: Session, step_id: int, attempt: int, held: str) -> Any:
    history = statement(_HISTORY.format(fence=held))
    return session.execute(history, {"step": step_id, "attempt": attempt}).one_or_none()


def _judged(step: StepOfJob, attempt: int, row: Any, failure: Failure) -> _Case:
    before = History(row.infrastructure, row.failures, row.losses)
    return _Case(step, attempt, row.worker_id, failure, judge(failure.kind, before))


def _settle(session: Session, case: _Case, outcome: str) -> None:
    step, verdict, failure = case.step, case.verdict, case.failure
    ready = verdict.again and verdict.delay_seconds == 0 and step.job.desired == "run"
    code = QUARANTINED if verdict.quarantine else failure.code
    session.execute(
        _SETTLE,
        {
            "step": step.id,
            "attempt": case.attempt,
            "outcome": outcome,
            "again": verdict.again,
            "ready": ready,
            "delay": verdict.delay_seconds,
            "lost": int(failure.kind == "death"),
            "charged": int(failure.kind in {"resource", "content"}),
            "kind": failure.kind,
            "code": code,
            "message": failure.message,
            "log_tail": failure.log_tail[-_LOG_TAIL_CHARACTERS:],
        },
    )
    if verdict.bench:
        benched = {"job": step.job.id, "stage": step.stage, "worker": case.worker_id}
        session.execute(_BENCH, benched)
    if verdict.suspect:
        suspected = {"job": step.job.id, "most": MOST_FAILED_JOBS, "worker": case.worker_id}
        session.execute(_SUSPECT, suspected)
    if ready:
        note_work(session, step.queue)
    if not verdict.again:
        _tell_job(session, case, code)


def _tell_job(session: Session, case: _Case, code: str) -> None:
    job = case.step.job
    state = job_state_after(case.step.stage, case.failure.kind)
    if state is None:
        session.execute(text("UPDATE jobs SET attention = true WHERE id = :job"), {"job": job.id})
        return
    move_job(session, begin_job(session, job), state, code=code, message=case.failure.message)
