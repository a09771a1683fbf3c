"""Saved views: lists of generations with a name, the same for everybody of a project."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from api.auditing import note
from api.errors import RefusedError
from api.farm import FarmHere, Reader, Submitter
from api.options import Language
from api.orders import parse_id
from api.requests import Name
from api.times import wire_time
from infra.db.models import SavedView
from infra.db.views import change_view, create_view, delete_view, get_view, list_views

router = APIRouter(tags=["views"])

#: In one project; they stand side by side on the page.
MOST_VIEWS: Final = 50

#: Which jobs the dashboard shows; ``waiting`` and ``working`` are several states each.
Show = Literal["attention", "waiting", "working", "completed", "failed", "canceled"]

_Name = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ViewFilter(BaseModel):
    """The dashboard's filters; what is not set stands open."""

    model_config = ConfigDict(extra="forbid")

    show: Show | None = None
    q: _Text | None = Field(None, description="In the name; or the beginning of the id.")
    label: Name | None = None
    language: Language | None = None
    batchId: UUID | None = None  # noqa: N815 -- the wire's

    def kept(self) -> dict[str, Any]:
        """What is set, as the database keeps it."""
        return self.model_dump(mode="json", exclude_none=True)


class NewView(BaseModel):
    """A name for a filter."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "Night shift", "filter": {"show": "attention", "label": "season 1"}}
            ]
        },
    )

    name: _Name
    filter: ViewFilter


class ViewChanges(BaseModel):
    """What becomes of a view; what is left out stays."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Night shift"}]}
    )

    name: _Name | None = None
    filter: ViewFilter | None = None


@router.get("/v2/views")
def list_saved(caller: Reader, farm: FarmHere) -> list[dict[str, Any]]:
    """The project's saved views, by name."""
    with farm.database.transaction() as session:
        return [_answer(view) for view in list_views(session, caller.project_id)]


@router.post("/v2/views", status_code=201)
def save_view(asked: NewView, caller: Submitter, farm: FarmHere) -> dict[str, Any]:
    """Save a filter under a name; all of the project see it. A name is there once."""
    with farm.database.transaction() as session:
        if len(list_views(session, caller.project_id)) >= MOST_VIEWS:
            raise RefusedError("view_conflict", f"a project has {MOST_VIEWS} views at most")
        view = create_view(session, caller.project_id, asked.name, asked.filter.kept())
        if view is None:
            raise RefusedError("view_conflict", f"there is a view {asked.name!r}")
        note(session, caller, "view.create", view.id, name=asked.name)
        return _answer(view)


@router.patch("/v2/views/{view_id}")
def change_saved(
    view_id: str, asked: ViewChanges, caller: Submitter, farm: FarmHere
) -> dict[str, Any]:
    """Give a view another name, or another filter."""
    number = parse_id(view_id, "view_not_found")
    with farm.database.transaction() as session:
        view = get_view(session, caller.project_id, number)
        if view is None:
            raise RefusedError("view_not_found")
        wanted = None if asked.filter is None else asked.filter.kept()
        if not change_view(session, view, asked.name, wanted):
            raise RefusedError("view_conflict", f"there is a view {asked.name!r}")
        note(session, caller, "view.change", number, name=view.name)
        return _answer(view)


@router.delete("/v2/views/{view_id}", status_code=204)
def forget_view(view_id: str, caller: Submitter, farm: FarmHere) -> Response:
    """Forget a view; the jobs it shows stay as they are."""
    number = parse_id(view_id, "view_not_found")
    with farm.database.transaction() as session:
        name = delete_view(session, caller.project_id, number)
        if name is None:
            raise RefusedError("view_not_found")
        note(session, caller, "view.delete", number, name=name)
    return Response(status_code=204)


def _answer(view: SavedView) -> dict[str, Any]:
    return {
        "id": str(view.id),
        "name": view.name,
        "filter": view.filter,
        "createdAt": wire_time(view.created_at),
    }
