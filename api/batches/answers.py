"""What clients get to see of batches."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from sqlalchemy.orm import Session

from api.batches.submitting import MOST_SHOWN, Checked
from api.farm import Farm
from api.prices import gpu_cost
from api.times import wire_time
from infra.db.batch_rows import refused_rows
from infra.db.batches import jobs_by_state
from infra.db.models import Batch
from infra.db.speeds import gpu_seconds_of_batch
from infra.db.states import JOB_ENDS, JobState

#: How long the address of a result works.
RESULT_URL_SECONDS: Final = 3600


class _Refused(Protocol):
    """A row that made no job."""

    @property
    def number(self) -> int: ...
    @property
    def request_id(self) -> str | None: ...
    @property
    def title(self) -> str | None: ...
    @property
    def language(self) -> str | None: ...
    @property
    def error_code(self) -> str | None: ...
    @property
    def error_message(self) -> str | None: ...


def batches(session: Session, farm: Farm, listed: Sequence[Batch]) -> list[dict[str, Any]]:
    """Batches as they stand; one query for all."""
    counts = jobs_by_state(session, [batch.id for batch in listed])
    return [_batch(farm, batch, counts[batch.id]) for batch in listed]


def batch_answer(session: Session, farm: Farm, batch: Batch) -> dict[str, Any]:
    """One batch as it stands, and the first of its refused rows."""
    (answer,) = batches(session, farm, [batch])
    refused = refused_rows(session, batch.id, MOST_SHOWN) if batch.refused_rows else []
    gpu = farm.slowly.get(("gpu", batch.id), lambda: gpu_seconds_of_batch(session, batch.id))
    return answer | {
        "gpuSeconds": round(gpu, 3),
        "gpuCost": gpu_cost(farm, gpu),
        "errors": _errors(refused),
    }


def validated(found: Checked) -> dict[str, Any]:
    """What a dry run found."""
    return {
        "status": "VALIDATED",
        "rows": found.rows,
        "refusedRows": found.refused,
        "errors": _errors(found.shown),
    }


def _batch(farm: Farm, batch: Batch, jobs: Mapping[JobState, int]) -> dict[str, Any]:
    metrics = _metrics(batch, jobs)
    total = metrics["total_generations"]
    return {
        "id": str(batch.id),
        "created_at": wire_time(batch.created_at),
        "status": batch.state.upper(),
        "metrics": metrics,
        "webhookUrl": batch.webhook_url,
        "outputUrl": _result_url(farm, batch),
        # Beyond what other clients know:
        "kind": batch.kind,
        "name": batch.name,
        "rows": batch.rows,
        "refusedRows": batch.refused_rows,
        "states": dict(jobs),
        "progress": (total - metrics["pending_count"]) / total if total else 0.0,
        "languages": batch.request.get("languages", []),
        "error_code": batch.error_code,
        "error": batch.error_message,
        "readAt": wire_time(batch.read_at),
        "finishedAt": wire_time(batch.finished_at),
    }


def _metrics(batch: Batch, jobs: Mapping[JobState, int]) -> dict[str, int]:
    """Rows by what became of them. Those refused, canceled or deleted have not succeeded."""
    pending = sum(count for state, count in jobs.items() if state not in JOB_ENDS)
    completed = jobs.get("completed", 0)
    return {
        "total_generations": batch.rows,
        "success_count": completed,
        "failed_count": batch.rows - completed - pending,
        "pending_count": pending,
    }


def _result_url(farm: Farm, batch: Batch) -> str | None:
    if batch.result_key is None:
        return None
    return farm.store.presigned_get(batch.result_key, f"{batch.id}.jsonl", RESULT_URL_SECONDS)


def _errors(rows: Iterable[_Refused]) -> list[dict[str, Any]]:
    return [
        {
            "row": row.number,
            "request_id": row.request_id,
            "title": row.title,
            "language": row.language,
            "error_code": row.error_code,
            "error": row.error_message,
        }
        for row in rows
    ]
