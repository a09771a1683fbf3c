"""A project's inputs, in any order, page by page."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from sqlalchemy import ColumnElement, func, literal, select, tuple_
from sqlalchemy.orm import Session

from infra.db.assets import AssetKind
from infra.db.models import Asset

#: As media libraries have it; how long a file plays nobody knows before it was probed.
Sort = Literal[
    "dateDesc",
    "dateAsc",
    "nameAsc",
    "nameDesc",
    "sizeAsc",
    "sizeDesc",
    "kindAsc",
    "kindDesc",
    "durationAsc",
    "durationDesc",
]
SORTS: Final[tuple[Sort, ...]] = get_args(Sort)

Value = datetime | str | int

_COLUMNS: Final[dict[str, ColumnElement[Any]]] = {
    "date": Asset.created_at.expression,
    "name": Asset.name.expression,
    "size": func.coalesce(Asset.size_bytes, 0),
    "kind": Asset.kind.expression,
    "duration": literal(0),
}


@dataclass(frozen=True, slots=True)
class Page:
    """Which inputs, in which order, from where on.

    Attributes:
        kinds: any of these; all, if there are none.
        text: in the name, in any case.
        after: value and id of the last one of the page before.
        limit: rows at most.
    """

    kinds: Sequence[AssetKind] = ()
    text: str | None = None
    sort: Sort = "dateDesc"
    after: tuple[Value, uuid.UUID] | None = None
    limit: int = 50


def list_assets(session: Session, project_id: uuid.UUID, page: Page) -> list[Asset]:
    """A page of a project's inputs."""
    column, is_falling = _COLUMNS[_key(page.sort)], page.sort.endswith("Desc")
    query = select(Asset).where(*_conditions(project_id, page))
    if page.after is not None:
        place, value = tuple_(column, Asset.id), page.after
        query = query.where(place < value if is_falling else place > value)
    keys = [key.desc() if is_falling else key.asc() for key in (column, Asset.id)]
    return list(session.scalars(query.order_by(*keys).limit(page.limit)))


def count_assets(session: Session, project_id: uuid.UUID, page: Page) -> int:
    """How many there are on all pages."""
    query = select(func.count()).select_from(Asset).where(*_conditions(project_id, page))
    return int(session.scalar(query) or 0)


def value_of(asset: Asset, sort: Sort) -> Value:
    """By what the input stands where it stands."""
    value: Value
    match _key(sort):
        case "date":
            value = asset.created_at
        case "name":
            value = asset.name
        case "size":
            value = asset.size_bytes or 0
        case "kind":
            value = asset.kind
        case _:
            value = 0
    return value


def _key(sort: Sort) -> str:
    return sort.removesuffix("Desc").removesuffix("Asc")


def _conditions(project_id: uuid.UUID, page: Page) -> list[ColumnElement[bool]]:
    conditions = [Asset.project_id == project_id]
    if page.kinds:
        conditions.append(Asset.kind.in_(page.kinds))
    if page.text:
        conditions.append(Asset.name.icontains(page.text, autoescape=True))
    return conditions
