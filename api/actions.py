"""What can be done to many generations at once, and to a range of one."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Any, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.orm import Session

from api.auditing import note
from api.errors import RefusedError
from api.farm import Farm
from api.filters import StrictFilter
from api.requests import MAX_PRIORITY, Name
from infra.db.control import cancel_job, pause_job, resume_job, retry_job, set_priority
from infra.db.jobs import delete_job
from infra.db.models import Job
from infra.db.projects import Caller
from infra.db.ranges import RangeAction
from infra.errors import IllegalMoveError, InfraError, NotFoundError, ServiceUnavailableError

Action = Literal["cancel", "pause", "resume", "retry", "priority", "delete"]

#: In one request; the answer says where the next one goes on.
MOST_AT_ONCE: Final = 1000

_ACTS: Final[dict[str, Callable[[Session, UUID, UUID], object]]] = {
    "cancel": cancel_job,
    "pause": pause_job,
    "resume": resume_job,
    "retry": retry_job,
    "delete": delete_job,
}

_CODES: Final[dict[type[InfraError], str]] = {
    NotFoundError: "generation_not_found",
    IllegalMoveError: "state_conflict",
    ServiceUnavailableError: "generation_database_error",
}

#: Beyond any film.
_MOST_FRAMES: Final = 10**9


class _Action(BaseModel):
    """Whatever takes a priority takes it for ``priority`` alone."""

    model_config = ConfigDict(extra="forbid")

    priority: int | None = Field(
        None, ge=-MAX_PRIORITY, le=MAX_PRIORITY, description="Higher goes first."
    )

    def _check_priority(self, action: str) -> None:
        if (self.priority is None) == (action == "priority"):
            raise ValueError("priority is given for the action priority, and for no other")


class BulkAction(_Action):
    """One action for many generations: those named, or those a filter finds."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"action": "retry", "filter": {"label": ["season 1"]}}]},
    )

    action: Action
    ids: list[UUID] | None = Field(None, max_length=MOST_AT_ONCE)
    filter: StrictFilter | None = Field(None, description="Newest first; {} finds all.")
    limit: int = Field(500, ge=1, le=MOST_AT_ONCE, description="Of a filter, at once.")
    cursor: str | None = Field(None, max_length=200, description="The answer's nextCursor.")

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        self._check_priority(self.action)
        if (self.ids is None) == (self.filter is None):
            raise ValueError("send either ids or filter")
        return self


class ChosenRange(_Action):
    """One action for a range of one generation, half-open."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"action": "keep-original", "start": 4250, "end": 4500}]},
    )

    action: RangeAction
    start: float = Field(ge=0, le=_MOST_FRAMES, allow_inf_nan=False)
    end: float = Field(gt=0, le=_MOST_FRAMES, allow_inf_nan=False)
    unit: Literal["frames", "seconds"] = "frames"

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        self._check_priority(self.action)
        if self.start >= self.end:
            raise ValueError("start comes before end")
        if self.unit == "frames" and not (self.start.is_integer() and self.end.is_integer()):
            raise ValueError("frames are whole numbers")
        return self

    def frames(self, rate: Fraction | None) -> tuple[int, int]:
        """The range in frames; of seconds, all frames it touches.

        Raises:
            RefusedError: it is in seconds, and nobody knows the rate yet.
        """
        if self.unit == "frames":
            return int(self.start), int(self.end)
        if rate is None:
            raise RefusedError(
                "state_conflict", "the film's frame rate is not known before it was prepared"
            )
        return floor(Fraction(self.start) * rate), ceil(Fraction(self.end) * rate)


class Changes(BaseModel):
    """What can be changed of a generation after it was ordered."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"labels": ["season 1", "urgent"], "priority": 50}]},
    )

    name: Name | None = None
    labels: list[Name] | None = Field(None, max_length=32, description="Instead of all there are.")
    priority: int | None = Field(None, ge=-MAX_PRIORITY, le=MAX_PRIORITY)


class Priority(BaseModel):
    """How a generation stands among others."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"priority": 50}]})

    priority: int = Field(ge=-MAX_PRIORITY, le=MAX_PRIORITY, description="Higher goes first.")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action did to one job; ``state`` is the job's after it, None if it is gone."""

    job_id: UUID
    state: str | None = None
    code: str | None = None
    message: str | None = None

    def answer(self) -> dict[str, Any]:
        """As clients see it."""
        return {
            "id": str(self.job_id),
            "ok": self.code is None,
            "state": self.state,
            "error_code": self.code,
            "message": self.message,
        }


def act_on(farm: Farm, caller: Caller, job_id: UUID, wanted: BulkAction) -> Outcome:
    """Do it to one job, in a transaction of its own.

    So every job's row is locked for a moment only, two of these requests cannot wait for each other
    in a circle, and what was done stays done when the next one fails.
    """
    project_id = caller.project_id
    try:
        with farm.database.transaction() as session:
            note(session, caller, f"generation.{wanted.action}", job_id, bulk=True)
            if wanted.action == "priority":
                set_priority(session, project_id, job_id, wanted.priority or 0)
            else:
                _ACTS[wanted.action](session, project_id, job_id)
            job = session.get(Job, job_id, populate_existing=True)
            return Outcome(job_id, None if job is None else job.state)
    except tuple(_CODES) as error:
        code = next(code for kind, code in _CODES.items() if isinstance(error, kind))
        return Outcome(job_id, code=code, message=str(error))
