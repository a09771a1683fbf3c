"""``lipfarm fetch``: a job's output onto this machine, whole or not at all."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import click
import httpx

from infra.errors import ObjectDamagedError
from lipfarm.farm_client import (
    FarmClient,
    FarmUnreachableError,
    JobNotCompletedError,
    farm_options,
)
from pipeline.output.publish import LONGEST_NAME, check_output

_BLOCK_BYTES = 1 << 20

#: Broken downloads go on where they stopped; after so many without a byte we give up.
_TRIES_WITHOUT_PROGRESS = 5
_PAUSE_SECONDS = 1.0

_TIMEOUT = httpx.Timeout(10.0, read=60.0)


@click.command()
@click.argument("generation_id", metavar="ID")
@click.option(
    "--output", required=True, type=click.Path(path_type=Path), help="Where to put the dubbed film."
)
@click.option("--json", "as_json", is_flag=True, help="JSON for programs, on stdout.")
@farm_options
def fetch(generation_id: str, *, output: Path, client: FarmClient, as_json: bool) -> None:
    """Download a job's output; a broken download goes on where it stopped."""
    check_output(output)
    generation = client.generation(generation_id)
    if generation["status"] != "COMPLETED":
        raise JobNotCompletedError(
            f"the job {generation_id} has no output: it is {generation['state']}; "
            f"follow it with: lipfarm watch {generation_id}"
        )
    size = download_output(client, generation, output)
    if as_json:
        digest = generation["outputSha256"]
        click.echo(json.dumps({"output": str(output), "size": size, "sha256": digest}))
    else:
        click.echo(f"{output}: {size / 1e6:.1f} MB, sha256 as the farm says", err=True)


def download_output(client: FarmClient, generation: dict[str, Any], output: Path) -> int:
    """Fetch a completed generation's output and check it; returns its bytes.

    Raises:
        FarmUnreachableError: the download broke off again and again.
        ObjectDamagedError: what came is not what the farm made.
        OSError: the file cannot be written.
    """
    digest, size = generation["outputSha256"], int(generation["outputSizeBytes"])
    # Another output of the same job has another digest, and so another unfinished file.
    part = output.with_name(f".{output.name}.{digest[:12]}.part")
    if len(os.fsencode(part.name)) > LONGEST_NAME:
        part = output.with_name(f".{digest}.part")
    _complete(client, generation, part, size)
    if _sha256_of(part) != digest:
        part.unlink()
        raise ObjectDamagedError(f"{output}: what came differs from what the farm made")
    part.replace(output)
    return size


def _complete(client: FarmClient, generation: dict[str, Any], part: Path, size: int) -> None:
    part.touch()
    fruitless = 0
    while (had := part.stat().st_size) < size:
        try:
            # Each try asks for a fresh address; they expire.
            _continue(client.generation(generation["id"])["outputUrl"], part, had)
            reason = "it broke off"
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
        fruitless = 0 if part.stat().st_size > had else fruitless + 1
        if fruitless == _TRIES_WITHOUT_PROGRESS:
            raise FarmUnreachableError(
                f"the output cannot be downloaded: {_without_query(reason)}; try again later"
            )
        if part.stat().st_size < size:
            time.sleep(_PAUSE_SECONDS)


def _continue(url: str, part: Path, had: int) -> None:
    headers = {"Range": f"bytes={had}-"} if had else {}
    with (
        httpx.stream(
            "GET", url, headers=headers, timeout=_TIMEOUT, follow_redirects=True
        ) as answer,
        part.open("r+b") as file,
    ):
        answer.raise_for_status()
        file.seek(had if answer.status_code == httpx.codes.PARTIAL_CONTENT else 0)
        file.truncate()
        for block in answer.iter_bytes(_BLOCK_BYTES):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _without_query(text: str) -> str:
    """No signature of an address goes into a message."""
    return text.partition("?")[0]
