"""``lipfarm status``, ``watch``, ``cancel``, ``pause``, ``resume``, ``retry``: a job of a farm."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from lipfarm.farm_client import ENDS, FarmClient, JobNotCompletedError, farm_options

#: Between two looks at a job that is watched.
WATCH_SECONDS = 1.0

_id = click.argument("generation_id", metavar="ID")
_as_json = click.option("--json", "as_json", is_flag=True, help="JSON for programs, on stdout.")


@click.command()
@_id
@_as_json
@farm_options
def status(generation_id: str, *, client: FarmClient, as_json: bool) -> None:
    """Say how a job of a farm stands."""
    show(client.generation(generation_id), as_json=as_json)


@click.command()
@_id
@_as_json
@farm_options
def watch(generation_id: str, *, client: FarmClient, as_json: bool) -> None:
    """Follow a job of a farm until it ends."""
    follow(client, generation_id, as_json=as_json)


def _control(action: str, text: str) -> click.Command:
    @click.command(action, help=text)
    @_id
    @_as_json
    @farm_options
    def control(generation_id: str, *, client: FarmClient, as_json: bool) -> None:
        show(client.post(f"/v2/generate/{generation_id}/{action}"), as_json=as_json)

    return control


cancel = _control("cancel", "Cancel a job of a farm.")
pause = _control("pause", "Stop working on a job of a farm for now; nothing done is lost.")
resume = _control("resume", "Go on with a paused job of a farm.")
retry = _control("retry", "Try again what failed of a job of a farm.")


def show(generation: dict[str, Any], *, as_json: bool) -> None:
    """A generation, for programs or for people."""
    if as_json:
        click.echo(json.dumps(generation))
        return
    for line in describe(generation):
        click.echo(line)
    for note in notes(generation):
        click.echo(note, err=True)


def describe(generation: dict[str, Any]) -> Iterator[str]:
    """A generation in lines for people."""
    yield f"{generation['id']}  {generation.get('name') or ''}".rstrip()
    yield f"{_state(generation)}, {_percent(generation)}{_eta(generation)}"
    if generation.get("attention"):
        yield "needs attention: steps failed; retry them, or keep the original picture there"
    for warning in generation.get("warnings") or ():
        yield f"warning: {warning}"
    if generation.get("error"):
        yield f"{generation['error_code']}: {generation['error']}"
    if generation.get("outputName") and generation["status"] == "COMPLETED":
        yield (
            f"output: {generation['outputName']}; "
            f"lipfarm fetch {generation['id']} --output {generation['outputName']}"
        )


def notes(generation: dict[str, Any]) -> list[str]:
    """What was left out of the output, and what else a person should know of it."""
    report = generation.get("report") or {}
    return [*report.get("leftOut", ()), *report.get("notes", ())]


def follow(client: FarmClient, generation_id: str, *, as_json: bool) -> dict[str, Any]:
    """Show a job's progress until it ends.

    Raises:
        JobNotCompletedError: it failed, or was rejected or canceled.
    """
    with_bar = sys.stderr.isatty() and not as_json
    say = _bar() if with_bar else _lines(as_json=as_json)
    generation: dict[str, Any] = {}
    for generation in _changes(client, generation_id):
        say(generation)
    if generation["status"] != "COMPLETED":
        raise JobNotCompletedError(
            f"the job {generation_id} {generation['state']}: "
            f"{generation.get('error') or 'no reason given'}"
        )
    if not as_json:
        show(generation, as_json=False)
    return generation


def _changes(client: FarmClient, generation_id: str) -> Iterator[dict[str, Any]]:
    """The job, and again whenever something about it changed; the last is its end."""
    seen: dict[str, Any] | None = None
    while True:
        generation = client.generation(generation_id)
        if seen is None or _essence(generation) != _essence(seen):
            yield generation
        if generation["status"] in ENDS:
            return
        seen = generation
        time.sleep(WATCH_SECONDS)


def _essence(generation: dict[str, Any]) -> tuple[Any, ...]:
    return (generation["state"], generation["attention"], generation["progress"])


def _bar() -> Callable[[dict[str, Any]], None]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    bars = Progress(*columns, TextColumn("{task.fields[eta]}"), console=Console(stderr=True))
    task = bars.add_task("queued", total=1.0, eta="")
    bars.start()

    def say(generation: dict[str, Any]) -> None:
        bars.update(
            task,
            description=_state(generation),
            completed=generation["progress"],
            eta=_eta(generation).removeprefix(", "),
        )
        if generation["status"] in ENDS:
            bars.stop()

    return say


def _lines(*, as_json: bool) -> Callable[[dict[str, Any]], None]:
    def say(generation: dict[str, Any]) -> None:
        if as_json:
            click.echo(json.dumps(generation))
        else:
            line = f"{_state(generation)}, {_percent(generation)}{_eta(generation)}"
            click.echo(line, err=True)

    return say


def _state(generation: dict[str, Any]) -> str:
    paused = generation.get("desired") == "pause" and generation["status"] not in ENDS
    tail = " (needs attention)" if generation.get("attention") else ""
    return ("paused" if paused else str(generation["state"])) + tail


def _percent(generation: dict[str, Any]) -> str:
    return f"{100 * float(generation['progress']):.0f} %"


def _eta(generation: dict[str, Any]) -> str:
    seconds = generation.get("eta")
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f", {hours}:{minutes:02}:{rest:02} left" if hours else f", {minutes}:{rest:02} left"
