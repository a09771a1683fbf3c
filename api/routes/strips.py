"""A generation's steps in short, and one step in full: what a page of it needs."""

from typing import Any

from fastapi import APIRouter

from api.answers import step_answer
from api.farm import FarmHere, Reader
from api.jobs import the_job
from api.routes.steps import the_step
from api.times import wire_time
from infra.db.attempts import SeenAttempt, attempts_of
from infra.db.ranges import frame_rate_of
from infra.db.strips import LETTERS, StageStrip, StepAtWork, steps_at_work, strips_of

router = APIRouter(tags=["steps"])


@router.get("/v2/generate/{generation_id}/strip")
def get_strip(generation_id: str, caller: Reader, farm: FarmHere) -> dict[str, Any]:
    """All steps by stage, a letter for each, in the order of their segments.

    ``letters`` says what the letters mean, ``sizes`` how many frames each step has. ``frameRate``
    is the source's, null before it was looked at. Thousands of steps are some kilobytes.
    """
    with farm.database.transaction() as session:
        job = the_job(session, caller, generation_id)
        rate = frame_rate_of(session, caller.project_id, job.id)
        return {
            "id": str(job.id),
            "letters": LETTERS,
            "frameRate": None if rate is None else float(rate),
            "stages": [_stage(strip) for strip in strips_of(session, job.id)],
            "running": [_running(step) for step in steps_at_work(session, job.id)],
        }


@router.get("/v2/generate/{generation_id}/steps/{step_id}/attempts")
def get_attempts(
    generation_id: str, step_id: str, caller: Reader, farm: FarmHere
) -> dict[str, Any]:
    """A step and its attempts, newest first: who tried, how it ended, the end of its log."""
    with farm.database.transaction() as session:
        step = the_step(session, caller, generation_id, step_id)
        return {
            "step": step_answer(step),
            "attempts": [_attempt(seen) for seen in attempts_of(session, step.id)],
        }


def _stage(strip: StageStrip) -> dict[str, Any]:
    return {
        "stage": strip.stage,
        "ids": strip.ids,
        "sizes": strip.sizes,
        "states": strip.states,
        "frames": strip.frames,
        "framesDone": strip.frames_done,
        "startedAt": wire_time(strip.started_at),
        "finishedAt": wire_time(strip.finished_at),
    }


def _running(step: StepAtWork) -> dict[str, Any]:
    return {
        "id": step.id,
        "frames": step.frames,
        "framesDone": step.frames_done,
        "attempt": step.attempt,
        "startedAt": wire_time(step.started_at),
        "worker": step.worker,
    }


def _attempt(seen: SeenAttempt) -> dict[str, Any]:
    attempt = seen.attempt
    return {
        "number": attempt.number,
        "worker": seen.worker,
        "startedAt": wire_time(attempt.started_at),
        "endedAt": wire_time(attempt.ended_at),
        "outcome": attempt.outcome,
        "framesDone": attempt.frames_done,
        "errorClass": attempt.error_class,
        "error_code": attempt.error_code,
        "error": attempt.error_message,
        "logTail": attempt.log_tail,
    }
