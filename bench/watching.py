"""Fifty people who leave their dashboard open: what that costs the API."""

import asyncio
import threading
import time
from typing import Final

import httpx
import psutil
from sqlalchemy import text

from infra.db.session import Database

#: Of one core, for all watchers together.
MOST_CORES: Final = 0.5
#: How often a page that is open asks again for what no event tells it.
POLL_SECONDS: Final = 5.0


async def _watch(client: httpx.AsyncClient, seconds: float, counts: dict[str, int]) -> None:
    """One open dashboard: a stream of events, and what its pages ask beside it."""
    stop = time.monotonic() + seconds

    async def listen() -> None:
        async with client.stream("GET", "/v2/events") as answer:
            counts["streams"] += answer.status_code == 200
            async for line in answer.aiter_lines():
                counts["events"] += line.startswith("id:")

    async def poll(path: str) -> None:
        tag = ""
        while time.monotonic() < stop:
            answer = await client.get(path, headers={"if-none-match": tag} if tag else {})
            tag = answer.headers.get("etag", "")
            counts["answers"] += 1
            counts["unchanged"] += answer.status_code == 304
            counts["refused"] += answer.status_code >= 400
            await asyncio.sleep(POLL_SECONDS)

    stream = asyncio.create_task(listen())
    await asyncio.gather(poll("/v2/generations?limit=50&order=attention"), poll("/v2/farm"))
    stream.cancel()
    await asyncio.gather(stream, return_exceptions=True)


async def _watch_many(url: str, key: str, watchers: int, seconds: float) -> dict[str, int]:
    counts = dict.fromkeys(("streams", "events", "answers", "unchanged", "refused"), 0)
    limits = httpx.Limits(max_connections=4 * watchers)
    async with httpx.AsyncClient(
        base_url=url, headers={"x-api-key": key}, timeout=600, limits=limits
    ) as client:

        async def later(number: int) -> None:
            # People do not open their pages in the same moment.
            await asyncio.sleep(POLL_SECONDS * number / watchers)
            await _watch(client, seconds, counts)

        await asyncio.gather(*map(later, range(watchers)))
    return counts


def _move(database: Database, stop: threading.Event) -> None:
    """Steps get on and jobs end, as with some dozens of workers."""
    rows = text("SELECT id FROM steps WHERE state = 'running' ORDER BY id")
    with database.transaction() as session:
        running = list(session.scalars(rows))
    advance = text("UPDATE steps SET frames_done = (frames_done + 5) % 250 WHERE id = ANY (:ids)")
    finish = text(
        "UPDATE steps SET state = 'completed', ready = false, finished_at = now() WHERE id = :id"
    )
    while not stop.wait(0.5):
        with database.transaction() as session:
            session.execute(advance, {"ids": running})
            if len(running) > 10:
                session.execute(finish, {"id": running.pop()})


def measure_watching(
    url: str, key: str, api: psutil.Process, database: Database, watchers: int, seconds: float
) -> bool:
    """Print what it costs; whether that is little enough and everyone was served."""
    stop = threading.Event()
    mover = threading.Thread(target=_move, args=(database, stop))
    mover.start()
    before, began = _cpu_seconds(api), time.monotonic()
    counts = asyncio.run(_watch_many(url, key, watchers, seconds))
    took = time.monotonic() - began
    cores = (_cpu_seconds(api) - before) / took
    stop.set()
    mover.join()
    print(f"{watchers} dashboards for {took:.0f} s: {cores:.3f} cores of the API; {counts}")
    return cores < MOST_CORES and counts["streams"] == watchers and not counts["refused"]


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
