"""Actions on many generations, and on ranges of one, with partial success."""

from typing import Any

from fastapi import APIRouter

from api.actions import BulkAction, ChosenRange, act_on
from api.answers import step_answer
from api.auditing import note
from api.farm import Farm, FarmHere, Submitter
from api.jobs import found, the_job
from api.paging import cursor_after, parse_cursor
from infra.db.finding import find_jobs, place_of
from infra.db.jobs import list_steps
from infra.db.projects import Caller
from infra.db.ranges import act_on_range, frame_rate_of

router = APIRouter(tags=["generations"])


@router.post("/v2/generations/actions")
def act_in_bulk(wanted: BulkAction, caller: Submitter, farm: FarmHere) -> dict[str, Any]:
    """Cancel, pause, resume, retry, rank or delete many generations.

    Each one has a result of its own; one that cannot be changed keeps no other from it. Where a
    filter finds more than ``limit``, send the same again with ``nextCursor`` as ``cursor``.
    """
    ids, following = _chosen(farm, caller, wanted)
    outcomes = [act_on(farm, caller, job_id, wanted) for job_id in ids]
    failed = sum(outcome.code is not None for outcome in outcomes)
    return {
        "action": wanted.action,
        "succeeded": len(outcomes) - failed,
        "failed": failed,
        "results": [outcome.answer() for outcome in outcomes],
        "nextCursor": following,
    }


def _chosen(farm: Farm, caller: Caller, wanted: BulkAction) -> tuple[list[Any], str | None]:
    """Ids of the jobs that are meant, and where the next page of them begins."""
    if wanted.filter is None:
        return list(dict.fromkeys(wanted.ids or ())), None
    after = parse_cursor(wanted.cursor)
    with farm.database.transaction() as session:
        jobs = find_jobs(
            session,
            caller.project_id,
            wanted.filter.wanted(),
            after=after,
            limit=wanted.limit + 1,
        )
    page = jobs[: wanted.limit]
    is_last = len(jobs) == len(page)
    following = None if is_last else cursor_after(place_of(page[-1], "newest"))
    return [job.id for job in page], following


@router.post("/v2/generate/{generation_id}/ranges/actions")
def act_on_frames(
    generation_id: str, wanted: ChosenRange, caller: Submitter, farm: FarmHere
) -> dict[str, Any]:
    """Pause, resume, cancel, retry, rank or keep the original picture of a range of the film.

    It is done to all steps that overlap the range, of the stage the generation is in. ``cancel``
    stops working there at once and leaves the original picture; ``keep-original`` does so where
    nobody is working, and lets the rest be finished.
    """
    with farm.database.transaction() as session, found(generation_id):
        job = the_job(session, caller, generation_id)
        frames = wanted.frames(frame_rate_of(session, caller.project_id, job.id))
        touched = act_on_range(
            session,
            caller.project_id,
            job.id,
            frames,
            wanted.action,
            priority=wanted.priority or 0,
        )
        note(
            session,
            caller,
            "generation.range",
            job.id,
            act=wanted.action,
            frames=list(frames),
        )
        session.expire_all()
        steps = {step.id: step for step in list_steps(session, job.id)}
        return {
            "action": wanted.action,
            "frames": list(frames),
            "steps": [
                {**step_answer(steps[each.step_id]), "changed": each.is_done} for each in touched
            ],
        }
