"""Events as clients read them: in JSON, and as server-sent events.

A job's event is a *generation*'s, as everything of jobs is on the wire.
"""

import json
import re
import uuid
from dataclasses import dataclass
from typing import Any, Final

from api.errors import RefusedError
from api.times import wire_time
from infra.db.events import Place
from infra.db.models import Event
from infra.db.progress import JobProgress
from infra.wire import wire_code

#: The one kind that no table holds; it has no id, for a client that comes back wants the newest.
PROGRESS: Final = "generation.progress"

_PLACE: Final = re.compile(r"(\d{1,18})-(\d{1,18})", re.ASCII)

_NAMES: Final = {
    "segment_index": "segmentIndex",
    "worker_id": "workerId",
    "kept_original": "keptOriginal",
    "error_class": "errorClass",
    "error_code": "failure",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One event on its way to whoever listens.

    Attributes:
        place: None for what nobody can ask for again.
        frame: as it goes over the wire, the same bytes for all.
    """

    place: Place | None
    project_id: uuid.UUID
    job_id: uuid.UUID
    kind: str
    frame: bytes


def wire_kind(kind: str) -> str:
    """What the wire calls a kind of event, or the noun of one."""
    return f"generation{kind[3:]}" if kind.partition(".")[0] == "job" else kind


def table_kind(kind: str) -> str:
    """The way back."""
    return f"job{kind[10:]}" if kind.partition(".")[0] == "generation" else kind


def parse_place(text: str | None) -> Place | None:
    """The place a client hands back as an event's id.

    Raises:
        RefusedError: nobody here gave out that id.
    """
    if text is None:
        return None
    found = _PLACE.fullmatch(text)
    if found is None:
        raise RefusedError("request_invalid", "after: it is not the id of an event")
    return Place(int(found[1]), int(found[2]))


def format_place(place: Place) -> str:
    """A place as a client sees it."""
    return f"{place.xact}-{place.id}"


def place_of(event: Event) -> Place:
    """Where it stands."""
    return Place(event.xact, event.id)


def event_answer(event: Event) -> dict[str, Any]:
    """An event in JSON."""
    data = {_NAMES.get(name, name): value for name, value in event.data.items()}
    if "failure" in data:
        data["error_code"] = wire_code(data["failure"])
    return {
        "id": format_place(place_of(event)),
        "kind": wire_kind(event.kind),
        "at": wire_time(event.at),
        "generationId": str(event.job_id),
        "stepId": None if event.step_id is None else str(event.step_id),
        "data": data,
    }


def told(event: Event) -> Told:
    """An event of the table, ready to send."""
    answer = event_answer(event)
    frame = _frame(answer["kind"], answer, answer["id"])
    return Told(place_of(event), event.project_id, event.job_id, answer["kind"], frame)


def told_progress(project_id: uuid.UUID, job_id: uuid.UUID, progress: JobProgress) -> Told:
    """How far a job is, ready to send."""
    answer = {
        "kind": PROGRESS,
        "generationId": str(job_id),
        "data": {
            "progress": progress.fraction,
            "stages": {
                stage: {"frames": each.frames, "framesDone": each.frames_done, "steps": each.steps}
                for stage, each in progress.stages.items()
            },
        },
    }
    return Told(None, project_id, job_id, PROGRESS, _frame(PROGRESS, answer))


def _frame(kind: str, answer: dict[str, Any], event_id: str | None = None) -> bytes:
    lines = [f"event: {kind}", f"data: {json.dumps(answer, separators=(',', ':'))}", "", ""]
    if event_id is not None:
        lines.insert(0, f"id: {event_id}")
    return "\n".join(lines).encode()
