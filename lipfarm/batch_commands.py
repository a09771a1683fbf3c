"""``lipfarm batch``: a catalogue of titles and languages, sent with one file."""

import contextlib
import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import click
import httpx

from lipfarm.farm_client import FarmClient, JobNotCompletedError, farm_options
from pipeline.errors import UnreadableMediaError
from pipeline.output.publish import check_output, publishing

#: A million rows are read within one request; the farm answers after the last.
_READING = httpx.Timeout(10.0, read=7200.0, write=300.0)

_WATCH_SECONDS: Final = 2.0

#: What a batch is, where the status is no word.
_WORDS: Final = {"PENDING": "being read", "JOBS_CREATED": "queued"}

_id = click.argument("batch_id", metavar="ID")
_as_json = click.option("--json", "as_json", is_flag=True, help="JSON for programs, on stdout.")


@click.group()
def batch() -> None:
    """Many dubs with one file: titles and languages, a row each."""


@batch.command()
@click.argument("manifest", type=click.Path(path_type=Path), metavar="MANIFEST")
@click.option("--name", help="What people call the batch; the file's name unless given.")
@click.option("--webhook-url", help="Told when the batch ends.")
@click.option("--dry-run", is_flag=True, help="Only check; order nothing.")
@click.option("--partial", is_flag=True, help="Run the rows that can be used; a catalogue does.")
@click.option("--whole", is_flag=True, help="Run none if any row cannot be used.")
@click.option("--again", is_flag=True, help="Order a file anew that was sent before.")
@click.option("--wait", is_flag=True, help="Follow the batch until it ends.")
@_as_json
@farm_options
def submit(
    manifest: Path,
    *,
    client: FarmClient,
    name: str | None,
    webhook_url: str | None,
    dry_run: bool,
    partial: bool,
    whole: bool,
    again: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Send a manifest, CSV or JSONL; prints the batch's id.

    The same file sent again is the same batch, read on from where it broke off.
    """
    if partial and whole:
        raise click.UsageError("--partial and --whole exclude one another")
    if not manifest.is_file():
        raise UnreadableMediaError(f"{manifest}: no such file")
    fields = {"dry_run": "true"} if dry_run else {}
    fields |= {} if name is None else {"name": name}
    fields |= {} if webhook_url is None else {"webhook_url": webhook_url}
    if partial or whole:
        fields["partial"] = "false" if whole else "true"
    key = _key_of(manifest, fields, salt=str(time.time_ns()) if again else "")
    sent = client.send(lambda http: _send(http, manifest, fields, key))
    for error in sent["errors"]:
        click.echo(f"row {error['row']}: {error['error_code']}: {error['error']}", err=True)
    if as_json and not wait:
        click.echo(json.dumps(sent))
    elif dry_run:
        usable = sent["rows"] - sent["refusedRows"]
        click.echo(f"{usable} of {sent['rows']} rows can be used")
    elif wait:
        _follow(client, sent["id"], as_json=as_json)
    else:
        click.echo(sent["id"])


@batch.command()
@_id
@click.option("--wait", is_flag=True, help="Follow the batch until it ends.")
@_as_json
@farm_options
def status(batch_id: str, *, client: FarmClient, wait: bool, as_json: bool) -> None:
    """Say how a batch stands."""
    if wait:
        _follow(client, batch_id, as_json=as_json)
    else:
        _show(client.get(f"/v2/batch/{batch_id}"), as_json=as_json)


@batch.command()
@_id
@click.option("--output", type=click.Path(path_type=Path), help="A file; stdout unless given.")
@click.option("--format", "kind", type=click.Choice(["jsonl", "csv"]), default="jsonl")
@farm_options
def result(batch_id: str, *, client: FarmClient, output: Path | None, kind: str) -> None:
    """Say what became of every row so far, a line each."""
    if output is not None:
        check_output(output, what="result")
    with tempfile.TemporaryFile() as file:
        client.download(f"/v2/batch/{batch_id}/result", file, format=kind)
        file.seek(0)
        with _opened(output) as out:
            shutil.copyfileobj(file, out)


@batch.command()
@_id
@_as_json
@farm_options
def cancel(batch_id: str, *, client: FarmClient, as_json: bool) -> None:
    """Cancel all of a batch that has not ended."""
    _show(client.post(f"/v2/batch/{batch_id}/cancel"), as_json=as_json)


@click.command()
@click.option("--video", required=True, metavar="URL|ASSET", help="The film.")
@click.option("--audio", required=True, metavar="URL|ASSET", help="The dialogue.")
@click.option("--network", type=click.Choice(["auto", "wav2lip", "draft"]), default="auto")
@click.option("--sync-mode", help="What gives way when film and dialogue differ in length.")
@_as_json
@farm_options
def estimate(
    *,
    client: FarmClient,
    video: str,
    audio: str,
    network: str,
    sync_mode: str | None,
    as_json: bool,
) -> None:
    """Say what a dub would take: frames, length, the farm's time, cost."""
    order = {
        "model": network,
        "input": [_input("video", video), _input("audio", audio)],
        "options": {} if sync_mode is None else {"sync_mode": sync_mode},
    }
    (found,) = client.post("/v2/analyze/cost", order)
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(f"{found['estimatedFrameCount']} frames, {_clock(found['seconds'])}")
    click.echo(
        f"{_clock(found['estimatedSeconds'])} of the farm's time, "
        f"{_clock(found['estimatedGpuSeconds'])} of it rendering ({found['basis']})"
    )
    click.echo(f"cost: {found['estimatedGenerationCost']:.2f}")


def _send(http: httpx.Client, manifest: Path, fields: dict[str, str], key: str) -> httpx.Response:
    with manifest.open("rb") as file:
        return http.post(
            "/v2/batch",
            data=fields,
            files={"input": (manifest.name, file)},
            headers={"Idempotency-Key": key},
            timeout=_READING,
        )


def _key_of(manifest: Path, fields: dict[str, str], salt: str) -> str:
    """The same for the same file and options, so that sending it again goes on."""
    with manifest.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    essence = json.dumps([content, manifest.name, sorted(fields.items()), salt])
    return hashlib.sha256(essence.encode()).hexdigest()


def _follow(client: FarmClient, batch_id: str, *, as_json: bool) -> None:
    """Show a batch's progress until it ends.

    Raises:
        JobNotCompletedError: not every row became an output.
    """
    seen: dict[str, Any] = {}
    while True:
        found = client.get(f"/v2/batch/{batch_id}")
        if (found["status"], found["states"]) != (seen.get("status"), seen.get("states")):
            click.echo(json.dumps(found) if as_json else _line(found), err=not as_json)
        if found["finishedAt"] is not None:
            break
        seen = found
        time.sleep(_WATCH_SECONDS)
    if found["metrics"]["failed_count"] or found["status"] != "COMPLETED":
        raise JobNotCompletedError(
            f"{found['metrics']['failed_count']} of {found['rows']} rows have no output; "
            f"lipfarm batch result {batch_id} says why"
        )
    if not as_json:
        _show(found, as_json=False)


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(f"{found['id']}  {found['name']}")
    click.echo(_line(found))
    for error in found["errors"]:
        click.echo(f"row {error['row']}: {error['error_code']}: {error['error']}")


def _line(found: dict[str, Any]) -> str:
    numbers = found["metrics"]
    return (
        f"{_status(found)}, {numbers['success_count']} of "
        f"{numbers['total_generations']} done, {numbers['failed_count']} failed, "
        f"{numbers['pending_count']} to go"
    )


def _status(found: dict[str, Any]) -> str:
    """A batch's status in words; of one that completed, why it has fewer outputs than rows."""
    status = found["status"]
    if status != "COMPLETED":
        return _WORDS.get(status, str(status).lower())
    states = found["states"]
    errors = states.get("failed", 0) + states.get("rejected", 0) + found["refusedRows"]
    canceled = states.get("canceled", 0)
    with_errors = f" with {errors} error{'' if errors == 1 else 's'}" if errors else ""
    return f"completed{with_errors}" + (f", {canceled} canceled" if canceled else "")


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[IO[bytes]]:
    if output is None:
        yield sys.stdout.buffer
    else:
        with publishing(output) as temporary, temporary.open("wb") as file:
            yield file


def _input(kind: str, place: str) -> dict[str, str]:
    return {"type": kind, "url" if "://" in place else "assetId": place}


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
