"""``lipfarm projects`` and ``lipfarm keys``: tenants and their keys, straight in the database.

For whoever runs the farm: a first key has to come from somewhere, and a lost one from somewhere
else than itself. Every change is in the audit log.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipfarm.farm_commands import settings_for

if TYPE_CHECKING:  # SQLAlchemy takes a moment that --help does not need
    import uuid

    from sqlalchemy.orm import Session

_SCOPES = ("read", "submit", "admin")

_data = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of a farm run by `lipfarm up`; else the LIPFARM_… settings count.",
)
_project = click.option("--project", required=True, help="Its name.")
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
_weight = click.option(
    "--weight", type=click.IntRange(1), help="Share of the farm against other projects."
)
_rate = click.option(
    "--requests-per-minute", type=click.IntRange(0), help="Of each key; 0 for any number."
)
_live = click.option("--live-jobs", type=click.IntRange(1), help="Unfinished ones at most.")


@click.group()
def projects() -> None:
    """Tenants of the farm."""


@projects.command("create")
@click.argument("name")
@_weight
@_rate
@_live
@_data
def create(name: str, data: Path | None, **limits: int | None) -> None:
    """Make a project; with a known name, change what is given."""
    _set(name, data, "project.create", limits)


@projects.command("set")
@click.argument("name")
@_weight
@_rate
@_live
@_data
def change(name: str, data: Path | None, **limits: int | None) -> None:
    """Change a project's share and limits; what is not given stays."""
    _set(name, data, "project.change", limits)


@projects.command("list")
@_data
@_json
def show(data: Path | None, *, as_json: bool) -> None:
    """All projects, by name."""
    from infra.db.projects import list_projects  # noqa: PLC0415

    with _transaction(data) as session:
        for project in list_projects(session):
            facts = {
                "name": project.name,
                "id": str(project.id),
                "weight": project.weight,
                "requestsPerMinute": project.requests_per_minute,
                "liveJobs": project.live_jobs,
            }
            _say(facts, as_json=as_json)


@click.group()
def keys() -> None:
    """Keys of a project."""


@keys.command("create")
@_project
@click.option("--name", required=True, help="For people: who or what has it.")
@click.option("--scope", type=click.Choice(_SCOPES), default="submit", show_default=True)
@click.option("--days", type=click.FloatRange(0, min_open=True), help="Until it expires.")
@_data
def create_key(project: str, name: str, scope: str, days: float | None, data: Path | None) -> None:
    """Make a key. It is printed once, to stdout, and is nowhere else."""
    from infra.db.projects import create_api_key, get_project  # noqa: PLC0415

    ends = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with _transaction(data) as session:
        owner = get_project(session, project)
        made = create_api_key(session, owner.id, name, scopes=[scope], expires_at=ends)
        _note(session, owner.id, "key.create", made.id, name=name, scope=scope)
    click.echo(made.secret)


@keys.command("list")
@_project
@_data
@_json
def list_keys(project: str, data: Path | None, *, as_json: bool) -> None:
    """A project's keys, newest first, revoked ones too."""
    from infra.db.keys import list_api_keys  # noqa: PLC0415
    from infra.db.projects import get_project  # noqa: PLC0415

    with _transaction(data) as session:
        for key in list_api_keys(session, get_project(session, project).id):
            facts = {
                "id": str(key.id),
                "prefix": key.prefix,
                "name": key.name,
                "scopes": ",".join(key.scopes) or "submit",
                "created": key.created_at.isoformat(),
                "expires": key.expires_at and key.expires_at.isoformat(),
                "revoked": key.revoked_at and key.revoked_at.isoformat(),
                "lastUsed": key.last_used_at and key.last_used_at.isoformat(),
            }
            _say(facts, as_json=as_json)


@keys.command("revoke")
@click.argument("key_id", type=click.UUID)
@_project
@_data
def revoke(key_id: uuid.UUID, project: str, data: Path | None) -> None:
    """Make a key worthless at once."""
    from infra.db.keys import revoke_api_key  # noqa: PLC0415
    from infra.db.projects import get_project  # noqa: PLC0415
    from infra.errors import NotFoundError  # noqa: PLC0415

    with _transaction(data) as session:
        owner = get_project(session, project).id
        if not revoke_api_key(session, owner, key_id):
            raise NotFoundError(f"the project {project} has no key {key_id} that works")
        _note(session, owner, "key.revoke", key_id)


@contextlib.contextmanager
def _transaction(data: Path | None) -> Iterator[Session]:
    from infra.db.session import Database  # noqa: PLC0415

    database = Database(settings_for(data).database_url, pool_size=1)
    with contextlib.closing(database), database.transaction() as session:
        yield session


def _set(name: str, data: Path | None, action: str, limits: dict[str, int | None]) -> None:
    from infra.db.projects import create_project, get_project  # noqa: PLC0415

    given = {field: value for field, value in limits.items() if value is not None}
    with _transaction(data) as session:
        if action == "project.create":
            create_project(session, name)
        project = get_project(session, name)
        for field, value in given.items():
            setattr(project, field, value)
        _note(session, project.id, action, project.id, name=name, **given)
        click.echo(str(project.id))


def _note(
    session: Session, project_id: uuid.UUID, action: str, object_id: object, **detail: Any
) -> None:
    from infra.db.audit_log import Actor, note_action  # noqa: PLC0415

    note_action(session, Actor("the command line", project_id), action, object_id, detail)


def _say(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(facts))
    else:
        known = (f"{name}={value}" for name, value in facts.items() if value is not None)
        click.echo("  ".join(known))
