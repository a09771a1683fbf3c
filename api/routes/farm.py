"""The farm at a glance, and how its queues went.

Queues and workers are the whole farm's: how long one waits depends on everyone's work. Jobs are
those of the caller's project alone.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from api.farm import FarmHere, Reader
from api.times import wire_time
from infra.db.figures import Figures, read_figures, seconds_a_unit
from infra.db.models import QueueSample
from infra.db.samples import KEPT_DAYS, QueueBucket, latest_samples, sample_series
from infra.db.session import Database
from infra.db.stuck import count_attention, count_jobs, stuck_jobs
from infra.db.workers import list_workers

router = APIRouter(tags=["farm"])

_KEPT_MINUTES: Final = KEPT_DAYS * 24 * 60
#: Stages whose speed is counted in frames; the others', in steps.
_WITH_FRAMES: Final = frozenset({"detect", "render"})


@router.get("/v2/farm")
def get_farm(
    caller: Reader,
    farm: FarmHere,
    stuck_minutes: Annotated[
        float, Query(alias="stuckMinutes", gt=0, le=_KEPT_MINUTES, description="Without progress.")
    ] = 10,
) -> dict[str, Any]:
    """How the farm stands: queues, workers, speeds; of your jobs, how many and which are stuck."""
    return farm.recently.get(
        ("farm", caller.project_id, stuck_minutes),
        lambda: _at_a_glance(farm.database, caller.project_id, stuck_minutes),
    )


def _at_a_glance(database: Database, project_id: UUID, stuck_minutes: float) -> dict[str, Any]:
    with database.transaction() as session:
        figures, samples = read_figures(session), latest_samples(session)
        stuck = stuck_jobs(session, project_id, stuck_minutes * 60)
        return {
            "sampledAt": wire_time(samples[0].at) if samples else None,
            "queues": [_queue(sample, figures) for sample in samples],
            "workers": _workers(session),
            "speeds": _speeds(figures),
            "jobs": count_jobs(session, project_id),
            "attention": count_attention(session, project_id),
            "stuckMinutes": stuck_minutes,
            "stuck": [
                {
                    "id": str(job.id),
                    "name": job.name,
                    "state": job.state,
                    "language": job.language,
                    "since": wire_time(job.since),
                }
                for job in stuck
            ],
        }


@router.get("/v2/farm/samples")
def get_samples(
    _caller: Reader,
    farm: FarmHere,
    minutes: Annotated[float, Query(gt=0, le=_KEPT_MINUTES, description="How far back.")] = 60,
    buckets: Annotated[
        int, Query(ge=1, le=1000, description="How many to cut the time into.")
    ] = 120,
) -> dict[str, Any]:
    """How the queues went, in buckets of equal length, oldest first."""
    width = max(minutes * 60 / buckets, farm.settings.sample_seconds)
    return farm.recently.get(
        ("samples", minutes, width), lambda: _samples(farm.database, minutes * 60, width)
    )


def _samples(database: Database, seconds: float, width: float) -> dict[str, Any]:
    with database.transaction() as session:
        series = sample_series(session, seconds, width)
    queues: dict[str, list[dict[str, Any]]] = {"cpu": [], "gpu": [], "stitch": []}
    for bucket in series:
        queues[bucket.queue].append(_bucket(bucket, width))
    return {"bucketSeconds": width, "queues": queues}


def _queue(sample: QueueSample, figures: Figures) -> dict[str, Any]:
    oldest = figures.get("oldest_ready_at", {}).get(sample.queue)
    return {
        "queue": sample.queue,
        "ready": sample.ready,
        "waiting": sample.waiting,
        "running": sample.running,
        "workers": sample.workers,
        "queuedSeconds": sample.queued_seconds,
        "oldestReadyAt": None if oldest is None else wire_time(datetime.fromtimestamp(oldest, UTC)),
    }


def _bucket(bucket: QueueBucket, width: float) -> dict[str, Any]:
    return {
        "at": wire_time(bucket.begins_at),
        "ready": round(bucket.ready, 1),
        "waiting": round(bucket.waiting, 1),
        "running": round(bucket.running, 1),
        "workers": round(bucket.workers, 1),
        "queuedSeconds": round(bucket.queued_seconds, 1),
        "frames": bucket.frames,
        "steps": bucket.steps,
        "framesPerSecond": round(bucket.frames / width, 2),
    }


def _workers(session: Session) -> dict[str, int]:
    states: dict[str, int] = {"online": 0, "draining": 0, "sick": 0}
    for worker in list_workers(session):
        states[worker.state] += 1
    return states


def _speeds(figures: Figures) -> dict[str, dict[str, Any]]:
    """What one worker does in a second, of stages the farm has measured."""
    measured = figures.get("speed_units", {})
    return {
        stage: {
            "unit": "frame" if stage in _WITH_FRAMES else "step",
            "perSecond": round(1 / cost, 3),
        }
        for stage, cost in seconds_a_unit(figures).items()
        if measured.get(stage) and cost > 0
    }
