"""Large files on their way to a farm: in parts, straight into its bucket, resumed where they broke.

Nothing is noted beside the file. The farm is asked for uploads with the file's fingerprint, and the
bucket says which parts it has.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Final

import httpx

from lipfarm.farm_client import FarmClient, FarmUnreachableError
from pipeline.errors import UnreadableMediaError

#: Files beyond this go in parts; smaller ones are sent again sooner than resumed.
PARTS_FROM_BYTES: Final = 64 << 20

#: Parts under way at once; one connection seldom fills a line.
_AT_ONCE: Final = 4

#: Addresses asked for at once.
_PAGE: Final = 32

_BLOCK: Final = 1 << 20
_SAMPLES: Final = 64
_SAMPLE_BYTES: Final = 64 << 10

_TRIES: Final = 5
_LONGEST_PAUSE_SECONDS: Final = 20.0
_TIMEOUT: Final = httpx.Timeout(30.0, read=120.0, write=120.0)

#: Told how many bytes more have arrived.
Advance = Callable[[int], object]


def upload_file(client: FarmClient, kind: str, path: Path, start: Callable[[int], Advance]) -> str:
    """Upload a file, or the rest of it; the asset's id.

    Args:
        client: the farm.
        kind: ``video`` or ``audio``.
        path: of the file.
        start: told the file's size; what it returns is told of every part.

    Raises:
        UnreadableMediaError: the file cannot be read, or changes meanwhile.
        RequestRefusedError: the farm does not take it.
        FarmUnreachableError: the farm or its bucket does not answer; the same again goes on.
    """
    size = path.stat().st_size
    fingerprint = fingerprint_of(path)
    state = _begin(client, kind, path, fingerprint)
    advance = start(size)
    advance(state["receivedBytes"])
    address = f"/v2/assets/uploads/{state['id']}"
    with httpx.Client(timeout=_TIMEOUT) as http, ThreadPoolExecutor(_AT_ONCE) as pool:
        while missing := state["missing"]:
            sent = [pool.submit(_send, http, path, part, advance) for part in missing]
            done, late = wait(sent, return_when=FIRST_EXCEPTION)
            for each in late:
                each.cancel()
            for each in done:
                each.result()
            state = client.get(address, limit=str(_PAGE))
    if fingerprint_of(path) != fingerprint:
        raise UnreadableMediaError(f"{path}: changed while it was sent; send it again")
    asset: dict[str, Any] = client.post(f"{address}/complete")
    return str(asset["id"])


def fingerprint_of(path: Path) -> str:
    """By which the file is known again: its size, its time, and samples from all over it."""
    status = path.stat()
    digest = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode())
    with path.open("rb") as file:
        for index in range(_SAMPLES):
            file.seek(index * status.st_size // _SAMPLES)
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _begin(client: FarmClient, kind: str, path: Path, fingerprint: str) -> dict[str, Any]:
    """The upload of this file that is under way, or a new one."""
    size = path.stat().st_size
    listed = client.get("/v2/assets/uploads", fingerprint=fingerprint)
    state: dict[str, Any]
    for upload in listed["items"]:
        if (upload["size"], upload["type"]) == (size, kind.upper()):
            state = client.get(f"/v2/assets/uploads/{upload['id']}", limit=str(_PAGE))
            return state
    wanted = {"name": path.name, "type": kind, "size": size, "fingerprint": fingerprint}
    state = client.post("/v2/assets/uploads", wanted)
    return state


def _send(http: httpx.Client, path: Path, part: dict[str, Any], advance: Advance) -> None:
    reason = ""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(min(2.0 ** (attempt - 1), _LONGEST_PAUSE_SECONDS))
        try:
            length = str(part["end"] - part["start"])
            body = _blocks(path, part["start"], part["end"])
            answer = http.put(part["url"], content=body, headers={"content-length": length})
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            continue
        if answer.is_success:
            advance(part["end"] - part["start"])
            return
        reason = f"{answer.status_code} {answer.reason_phrase}"
    raise FarmUnreachableError(
        f"the farm's bucket does not take {path.name}: {reason}; the same command goes on with it"
    )


def _blocks(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while start < end:
            block = file.read(min(_BLOCK, end - start))
            if not block:
                raise UnreadableMediaError(f"{path}: changed while it was sent; send it again")
            start += len(block)
            yield block
