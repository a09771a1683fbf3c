"""``lipfarm migrate``, ``audit``, ``collect``: looking after a farm's database and bucket."""

import contextlib
import json
import os
from pathlib import Path

import click

from infra.settings import Settings, load_settings

#: Exit status of an audit that found something.
EXIT_BROKEN = 1

_DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of a farm run by `lipfarm up`; else the LIPFARM_… settings count.",
)


def settings_for(data: Path | None) -> Settings:
    """The settings of the farm in a folder, or of the environment.

    Raises:
        SettingsError: they are missing or make no sense.
    """
    if data is not None:
        from infra.services.folder import FarmFolder  # noqa: PLC0415 -- only `up` needs it

        os.environ.update(FarmFolder(data).environment())
    return load_settings()


@click.command()
@_DATA
def migrate(data: Path | None) -> None:
    """Bring the database to the tables this version works with."""
    from infra.db.migrating import upgrade  # noqa: PLC0415 -- Alembic takes half a second

    upgrade(settings_for(data).database_url)


@click.command()
@_DATA
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def audit(data: Path | None, *, as_json: bool) -> None:
    """Check the invariants of the whole farm; exit 1 if any is broken."""
    from infra.db.audit import audit as find_broken  # noqa: PLC0415
    from infra.db.session import Database  # noqa: PLC0415

    database = Database(settings_for(data).database_url)
    with contextlib.closing(database), database.transaction() as session:
        findings = list(find_broken(session))
    for finding in findings:
        shown = {"check": finding.check, "subject": finding.subject, "message": finding.message}
        click.echo(json.dumps(shown) if as_json else str(finding))
    if findings:
        raise SystemExit(EXIT_BROKEN)
    if not as_json:
        click.echo("nothing is broken", err=True)


@click.command()
@_DATA
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
def collect(data: Path | None, *, dry_run: bool) -> None:
    """Delete what nothing in the bucket needs any more."""
    from infra.db.session import Database  # noqa: PLC0415
    from infra.storage.collector import collect_garbage, find_garbage  # noqa: PLC0415
    from infra.storage.objects import ObjectStore  # noqa: PLC0415
    from workers.reconciler import ages_of  # noqa: PLC0415

    settings = settings_for(data)
    work = find_garbage if dry_run else collect_garbage
    with contextlib.closing(Database(settings.database_url)) as database:
        garbage = list(work(database, ObjectStore(settings), ages_of(settings)))
    for each in garbage:
        click.echo(f"{each.size:>14} {each.key}")
    total = sum(each.size for each in garbage)
    done = "would be deleted" if dry_run else "deleted"
    click.echo(f"{len(garbage)} objects, {total} bytes {done}", err=True)
