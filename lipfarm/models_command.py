"""``lipfarm models``: see, fetch and check the weights."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
from rich.progress import Progress as Bars

from infra import checkpoints
from infra.checkpoints import Checkpoint, State
from infra.downloads import Progress
from infra.errors import CheckpointMismatchError

#: Where stderr is a log rather than a terminal, a download says how far it is this often.
PLAIN_PROGRESS_PERCENT = 10

_names = click.argument("names", nargs=-1, metavar="NAME…")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON lines for programs.")


@click.group()
def models() -> None:
    """List, fetch and check network weights."""


@models.command("list")
@_as_json
def list_models(as_json: bool) -> None:
    """Show which weights there are and which are installed."""
    if as_json:
        for entry in checkpoints.REGISTRY.values():
            click.echo(json.dumps(_describe(entry, checkpoints.state(entry))))
        return
    for line in _table():
        click.echo(line)


@models.command()
@_names
@click.option(
    "--from",
    "source",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Import this file instead of downloading; its digest is checked.",
)
@_as_json
def pull(names: tuple[str, ...], source: Path | None, as_json: bool) -> None:
    """Install weights by name: download, check, and keep them."""
    entries = _entries(names)
    if not entries:
        raise click.UsageError(f"say which: {', '.join(checkpoints.REGISTRY)}")
    if source and len(entries) > 1:
        raise click.UsageError("--from takes one NAME")
    for entry in entries:
        _install(entry, source, as_json=as_json)
        if as_json:
            click.echo(json.dumps(_describe(entry, State.SOUND)))
        else:
            click.echo(f"{entry.name}: installed at {entry.path}")
            _warn_of_licence(entry)


@models.command()
@_names
@_as_json
def verify(names: tuple[str, ...], as_json: bool) -> None:
    """Read installed weights again and compare their digests; all of them if none is named."""
    entries = _entries(names)
    # Unnamed weights that are not installed are no fault; named ones are.
    wanted = entries or tuple(checkpoints.REGISTRY.values())
    bad = []
    for entry in wanted:
        state = checkpoints.verify(entry.name)
        if as_json:
            click.echo(json.dumps(_describe(entry, state)))
        else:
            click.echo(f"{entry.name}: {state.value} ({entry.path})")
        if state is State.DAMAGED or (entries and state is State.MISSING):
            bad.append(entry.name)
    if bad:
        again = f"lipfarm models pull {' '.join(bad)}"
        raise CheckpointMismatchError(f"not as registered: {', '.join(bad)}; run: {again}")


def _entries(names: tuple[str, ...]) -> tuple[Checkpoint, ...]:
    return tuple(checkpoints.checkpoint(name) for name in names)


def _install(entry: Checkpoint, source: Path | None, *, as_json: bool) -> None:
    if source:
        checkpoints.import_file(entry.name, source)
        return
    with _progress(entry, as_json=as_json) as progress:
        checkpoints.pull(entry.name, progress=progress)


def _warn_of_licence(entry: Checkpoint) -> None:
    if not entry.licence.commercial_use:
        click.echo(f"{entry.name}: {entry.licence.name}; do not use it commercially", err=True)


def _describe(entry: Checkpoint, state: State) -> dict[str, Any]:
    return {
        "name": entry.name,
        "file_name": entry.file_name,
        "purpose": entry.purpose,
        "size": entry.size,
        "sha256": entry.sha256,
        "licence": entry.licence.name,
        "commercial_use": entry.licence.commercial_use,
        "state": state.value,
        "path": str(entry.path),
        "mirrors": list(entry.mirrors),
    }


def _table() -> list[str]:
    """Lines with aligned columns. Not rich's table: that cuts paths to fit the terminal."""
    rows = [("name", "size", "state", "licence", "path")]
    for entry in checkpoints.REGISTRY.values():
        size = f"{entry.size / 1e6:.1f} MB"
        state = checkpoints.state(entry).value
        rows.append((entry.name, size, state, entry.licence.name, str(entry.path)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


@contextlib.contextmanager
def _progress(entry: Checkpoint, *, as_json: bool) -> Iterator[Progress | None]:
    if as_json:
        yield None
    elif sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        with Bars(*columns, TransferSpeedColumn(), console=Console(stderr=True)) as bars:
            task = bars.add_task(entry.name, total=entry.size)
            yield lambda done, _size: bars.update(task, completed=done)
    else:
        yield _plain_progress(entry)


def _plain_progress(entry: Checkpoint) -> Progress:
    said = -PLAIN_PROGRESS_PERCENT

    def say(done: int, size: int) -> None:
        nonlocal said
        percent = 100 * done // size
        if percent >= said + PLAIN_PROGRESS_PERCENT:
            said = percent - percent % PLAIN_PROGRESS_PERCENT
            click.echo(f"{entry.name}: {percent} %", err=True)

    return say
