"""What clients get to see: a job as a *generation*, as lip-sync clients know it, and more."""

from collections.abc import Iterable
from typing import Any, Final, Protocol

from sqlalchemy.orm import Session

from api.eta import seconds_left
from api.farm import ADDRESS_SECONDS, Farm
from api.prices import gpu_cost
from api.times import wire_time
from infra.checkpoints import name_of_weights
from infra.db.models import Job, Step
from infra.db.progress import JobProgress, progress_of
from infra.db.speeds import StageSpeed, devices_of, gpu_seconds, speeds_of
from infra.db.states import JOB_ENDS, JobState, Stage
from infra.wire import STATUS_OF, wire_code

#: How long an output's address works.
OUTPUT_URL_SECONDS: Final = 3600

_CANCELED = "The generation was canceled."


class Owner(Protocol):
    """Whose jobs they are: a caller, or nobody who asked."""

    @property
    def project_name(self) -> str:
        """Of the project."""
        ...


def generations(
    session: Session, farm: Farm, caller: Owner, jobs: Iterable[Job]
) -> list[dict[str, Any]]:
    """Jobs as generations, with what their steps say of them; three queries for all."""
    listed = list(jobs)
    ids = [job.id for job in listed]
    progress, speeds = progress_of(session, ids), speeds_of(session, ids)
    devices = devices_of(session, ids)
    return [
        _generation(farm, caller, job, progress[job.id], speeds[job.id])
        | {"renderedWith": _rendered_with(job, devices.get(job.id, []))}
        for job in listed
    ]


def _generation(
    farm: Farm,
    caller: Owner,
    job: Job,
    progress: JobProgress,
    speeds: dict[Stage, StageSpeed],
) -> dict[str, Any]:
    completed, gpu = job.state == "completed", gpu_seconds(speeds)
    return {
        "id": str(job.id),
        "createdAt": wire_time(job.created_at),
        "status": STATUS_OF[_state(job)],
        **_wire_request(job),
        "outputUrl": output_url(farm, job),
        "outputDuration": job.output_seconds,
        "segmentOutputUrl": None,
        "previewUrl": job.preview_key and f"/v2/generate/{job.id}/preview",
        **_wire_error(job),
        "webhookUrl": job.webhook_url,
        # Beyond what other clients know:
        "state": job.state,
        "desired": job.desired,
        "stage": _stage(job),
        "progress": 1.0 if completed else progress.fraction,
        "eta": None if _state(job) in JOB_ENDS else seconds_left(progress, speeds),
        "attention": job.attention,
        "priority": -job.rank,
        "name": job.name,
        "labels": list(job.labels),
        "language": job.language,
        "project": caller.project_name,
        "outputName": job.output_name,
        "outputSha256": job.output_sha256,
        "outputSizeBytes": job.output_size_bytes,
        "startedAt": wire_time(job.started_at),
        "finishedAt": wire_time(job.finished_at),
        "stages": {stage: _stage_summary(speed) for stage, speed in speeds.items()},
        "gpuSeconds": round(gpu, 3),
        "gpuCost": gpu_cost(farm, gpu),
        "report": summary_of(job.report),
    }


def output_url(farm: Farm, job: Job, seconds: int = OUTPUT_URL_SECONDS) -> str | None:
    """An address of the output that works for so many seconds at least; None until there is one."""
    key, name = job.output_key, job.output_name or "output.mp4"
    if key is None:
        return None
    return farm.addresses.get(
        (key, name, seconds),
        lambda: farm.store.presigned_get(key, name, seconds + int(ADDRESS_SECONDS)),
    )


def step_answer(step: Step) -> dict[str, Any]:
    """A step, for people who look at what failed."""
    return {
        "id": str(step.id),
        "stage": step.stage,
        "segmentIndex": step.segment_index,
        "state": step.state,
        "attempt": step.attempt,
        "frames": step.frames,
        "framesDone": step.frames if step.state == "completed" else step.frames_done,
        "range": [step.params.get("start"), step.params.get("end")]
        if step.stage == "render" and "start" in step.params
        else None,
        "reused": step.reused,
        "keptOriginal": step.kept_original,
        "held": step.held,
        "losses": step.losses,
        "failures": step.failures,
        "notBefore": wire_time(step.not_before),
        "errorClass": step.error_class,
        "error_code": step.error_code,
        "error": step.error_message,
        "createdAt": wire_time(step.created_at),
        "startedAt": wire_time(step.started_at),
        "finishedAt": wire_time(step.finished_at),
    }


def summary_of(report: dict[str, Any] | None) -> dict[str, Any] | None:
    """The part of a report that fits into a list."""
    if report is None:
        return None
    picture = report.get("picture", {})
    left_out = (*report.get("left_out", ()), *picture.get("left_out", ()))
    odd = (picture[name] for name in ("interlaced", "other_colors") if name in picture)
    return {name: report[name] for name in ("frames", "network") if name in report} | {
        "leftOut": _notes(left_out),
        "notes": _notes(odd),
    }


def _notes(facts: Iterable[dict[str, Any]]) -> list[str]:
    """What people are told of; a track nobody wanted has no note."""
    return [fact["note"] for fact in facts if fact.get("note")]


def _wire_request(job: Job) -> dict[str, Any]:
    request = job.request
    return {
        "model": request.get("model", "auto"),
        "input": request.get("input", []),
        "options": request.get("options", {}),
        "segments": request.get("segments"),
        "outputFileName": request.get("outputFileName"),
        "warnings": request.get("warnings", []),
        "network": job.params.get("network"),
    }


def _rendered_with(job: Job, devices: list[str]) -> dict[str, Any] | None:
    """The network as it was loaded; until then as it was chosen; None until that."""
    chosen = job.facts.get("prepare", {}).get("prepared", {}).get("network")
    used = job.facts.get("render", {}).get("network") or chosen
    if used is None:
        return None
    digest = used.get("checkpoint_sha256")
    return {
        "network": used["name"],
        "checkpoint": name_of_weights(digest) or used.get("checkpoint"),
        "checkpointSha256": digest,
        "precision": used.get("precision"),
        # A worker says "auto" until it has loaded a network.
        "devices": sorted({*devices, used.get("device")} - {"auto", None}),
    }


def _wire_error(job: Job) -> dict[str, Any]:
    if job.state == "canceled":
        return {"error": _CANCELED, "error_code": "generation_canceled", "failure": "canceled"}
    if job.error_code is None:
        return {"error": None, "error_code": None, "failure": None}
    return {
        "error": job.error_message or job.error_code,
        "error_code": wire_code(job.error_code),
        "failure": job.error_code,
    }


def _stage(job: Job) -> str | None:
    """The stage at work, None before the first and after the last."""
    names = {
        "preparing": "prepare",
        "detecting": "detect",
        "tracking": "track",
        "rendering": "render",
        "stitching": "stitch",
    }
    return names.get(job.state)


def _stage_summary(speed: StageSpeed) -> dict[str, Any]:
    return {
        "steps": speed.steps,
        "running": speed.running,
        "reused": speed.reused,
        "keptOriginal": speed.kept,
        "workerSeconds": round(speed.seconds, 3),
        "lostSeconds": round(speed.lost_seconds, 3),
    }


def _state(job: Job) -> JobState:
    state: JobState = job.state  # type: ignore[assignment]  # the table's own check
    return state
