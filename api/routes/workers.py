"""The fleet as a project sees it: all workers, and of what they do its own jobs by name.

Which workers there are and how busy they are tells how long one waits, and belongs to everyone; ids
and names of other projects' jobs do not.
"""

from collections import defaultdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from api.farm import FarmHere, Reader, allows
from api.times import wire_time
from infra.db.fleet import Benched, StepInHand, benched_of, seen_workers, steps_in_hand
from infra.db.models import Worker

router = APIRouter(tags=["farm"])


@router.get("/v2/workers")
def list_workers(
    caller: Reader,
    farm: FarmHere,
    *,
    offline: Annotated[bool, Query(description="With those that left within an hour.")] = False,
) -> list[dict[str, Any]]:
    """Every worker: state, last sign of life, what it has in hand, what it leaves to others.

    ``generationId`` and ``stepId`` are null where the step is another project's; machines are named
    to keys with the scope ``admin`` alone.
    """
    with farm.database.transaction() as session:
        workers = seen_workers(session, offline=offline)
        in_hand, benched = steps_in_hand(session), benched_of(session, caller.project_id)
    steps: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for step in in_hand:
        steps[step.worker_id].append(_step(step, caller.project_id))
    left: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for each in benched:
        left[each.worker_id].append(_bench(each))
    with_machine = allows(caller, "admin")
    return [_worker(w, steps[w.id], left[w.id], with_machine=with_machine) for w in workers]


def _worker(
    worker: Worker,
    steps: list[dict[str, Any]],
    benched: list[dict[str, Any]],
    *,
    with_machine: bool,
) -> dict[str, Any]:
    return {
        "id": str(worker.id),
        "name": worker.name,
        "hostname": worker.hostname if with_machine else None,
        "pid": worker.pid if with_machine else None,
        "state": worker.state,
        "device": worker.device,
        "queues": list(worker.queues),
        "slots": worker.slots,
        "startedAt": wire_time(worker.started_at),
        "heartbeatAt": wire_time(worker.heartbeat_at),
        "freeBytes": worker.free_bytes,
        "failedJobs": len(worker.failed_jobs),
        "steps": steps,
        "benched": benched,
    }


def _step(step: StepInHand, project_id: UUID) -> dict[str, Any]:
    is_ours = step.project_id == project_id
    return {
        "generationId": str(step.job_id) if is_ours else None,
        "generationName": step.job_name if is_ours else None,
        "stepId": str(step.step_id) if is_ours else None,
        "stage": step.stage,
        "segmentIndex": step.segment_index if is_ours else None,
        "attempt": step.attempt,
        "frames": step.frames,
        "framesDone": step.frames_done,
        "framesPerSecond": step.frames_per_second,
        "startedAt": wire_time(step.started_at),
    }


def _bench(benched: Benched) -> dict[str, Any]:
    return {
        "generationId": str(benched.job_id),
        "generationName": benched.job_name,
        "stage": benched.stage,
        "at": wire_time(benched.at),
    }
