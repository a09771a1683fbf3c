"""Saved views: lists of jobs that people of a project gave names."""

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from infra.db.models import SavedView


def list_views(session: Session, project_id: uuid.UUID) -> list[SavedView]:
    """A project's views, by name."""
    query = select(SavedView).where(SavedView.project_id == project_id)
    return list(session.scalars(query.order_by(SavedView.name)))


def get_view(session: Session, project_id: uuid.UUID, view_id: uuid.UUID) -> SavedView | None:
    """One of them; None if the project has none of that id."""
    view = session.get(SavedView, view_id)
    return None if view is None or view.project_id != project_id else view


def create_view(
    session: Session, project_id: uuid.UUID, name: str, wanted: Mapping[str, Any]
) -> SavedView | None:
    """Give a list a name; None if the project has one of that name."""
    view = SavedView(project_id=project_id, name=name, filter=dict(wanted))
    return view if _is_kept(session, view) else None


def change_view(
    session: Session, view: SavedView, name: str | None, wanted: Mapping[str, Any] | None
) -> bool:
    """Give a view another name, another filter or both; False if the name is another view's."""
    if name is not None:
        view.name = name
    if wanted is not None:
        view.filter = dict(wanted)
    return _is_kept(session, view)


def delete_view(session: Session, project_id: uuid.UUID, view_id: uuid.UUID) -> str | None:
    """Forget a view and return its name; None if the project has none of that id."""
    return session.scalar(
        delete(SavedView)
        .where(SavedView.id == view_id, SavedView.project_id == project_id)
        .returning(SavedView.name)
    )


def _is_kept(session: Session, view: SavedView) -> bool:
    session.add(view)
    try:
        session.flush()
    except IntegrityError:  # of the name: the transaction is over, and nothing of it is kept
        session.rollback()
        return False
    return True
