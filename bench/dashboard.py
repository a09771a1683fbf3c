"""How fast the dashboard's pages answer over a farm that has done much, and what watching costs.

::

    python -m bench.dashboard                   100,000 jobs, about 1,000,000 steps, 50 watchers
    python -m bench.dashboard --jobs 2000       smaller, to see that it runs

Real PostgreSQL and Valkey, and the API as a process of its own, asked over HTTP. The load on the
machine is printed with the result: on a busy one the times say little.
"""

import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import click
import httpx
from sqlalchemy import text

from bench.large_farm import FILM, fill
from bench.serving import running_api
from bench.watching import measure_watching
from infra.db.migrating import upgrade
from infra.db.projects import create_api_key, create_project
from infra.db.samples import take_sample
from infra.db.session import Database
from infra.services.postgres import running_postgres
from infra.services.valkey import running_valkey

PROJECTS: Final = 5
#: At the 95th percentile, of every page.
MOST_MILLISECONDS: Final = 150


def _pages(film: str, episode: str, cursor: str, batch: str) -> dict[str, str]:
    """What is asked, by what it is."""
    return {
        "jobs": "/v2/generations?limit=50",
        "jobs, 2nd page": f"/v2/generations?limit=50&cursor={cursor}",
        "jobs, attention first": "/v2/generations?limit=50&order=attention",
        "jobs, attention alone": "/v2/generations?limit=50&attention=true",
        "jobs, oldest": "/v2/generations?limit=50&order=oldest",
        "jobs by status": "/v2/generations?limit=50&status=PROCESSING",
        "jobs by rare status": "/v2/generations?limit=50&status=REJECTED",
        "jobs by label": "/v2/generations?limit=50&label=season%207",
        "jobs by labels": "/v2/generations?limit=50&label=season%207&label=rush",
        "jobs by unknown label": "/v2/generations?limit=50&label=nobody",
        "jobs by language": "/v2/generations?limit=50&language=jpn",
        "jobs by text": "/v2/generations?limit=50&q=title%204100",
        "jobs by unknown text": "/v2/generations?limit=50&q=nowhere%20to%20be%20found",
        "jobs of a batch": f"/v2/generations?limit=50&batch={batch}",
        "job": f"/v2/generate/{episode}",
        "its steps": f"/v2/generate/{episode}/steps",
        "its events": f"/v2/generate/{episode}/events?format=json",
        "its report": f"/v2/generate/{episode}/report",
        "film": f"/v2/generate/{film}",
        "its strip, 1400 steps": f"/v2/generate/{film}/strip",
        "its steps, 1400": f"/v2/generate/{film}/steps",
        "its events, 200 of 1400": f"/v2/generate/{film}/events?format=json",
        "batches": "/v2/batch",
        "batch": f"/v2/batch/{batch}",
        "farm": "/v2/farm",
        "samples of an hour": "/v2/farm/samples",
        "samples of a week": "/v2/farm/samples?minutes=10080",
        "workers": "/v2/workers",
        "metrics": "/metrics",
    }


def _measure(client: httpx.Client, path: str, rounds: int) -> list[float] | int:
    """Milliseconds of each round; the status where it is no success."""
    times = []
    for number in range(rounds + 3):
        began = time.perf_counter()
        answer = client.get(path)
        took = (time.perf_counter() - began) * 1000
        if answer.status_code != 200:
            return answer.status_code
        if number >= 3:
            times.append(took)
    return times


def _measure_pages(url: str, key: str, database: Database, rounds: int) -> bool:
    """Print each page's times; whether all are as fast as they should be."""
    fine = True
    with httpx.Client(base_url=url, headers={"x-api-key": key}, timeout=60) as client:
        first = client.get("/v2/generations?limit=50&status=COMPLETED")
        cursor = client.get("/v2/generations?limit=50").headers["x-next-cursor"]
        batch = client.get("/v2/batch").json()
        batches = batch if isinstance(batch, list) else batch["batches"]
        with database.transaction() as session:
            film = str(session.execute(FILM).scalar_one())
        pages = _pages(film, first.json()[0]["id"], cursor, batches[0]["id"])
        for name, path in pages.items():
            times = _measure(client, path, rounds)
            if isinstance(times, int):
                print(f"{name:26} answered {times}")
                continue
            p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
            is_fine = p95 < MOST_MILLISECONDS
            fine = fine and is_fine
            print(f"{name:26} p50 {p50:6.1f} ms  p95 {p95:6.1f} ms{'' if is_fine else '  SLOW'}")
    return fine


@click.command()
@click.option("--jobs", default=100_000, show_default=True)
@click.option("--rounds", default=60, show_default=True, help="Requests for each page.")
@click.option("--watchers", default=50, show_default=True)
@click.option("--seconds", default=40.0, show_default=True, help="Of watching.")
@click.option("--url-file", type=click.Path(path_type=Path), help="Keep serving; tell where.")
def main(jobs: int, rounds: int, watchers: int, seconds: float, url_file: Path | None) -> None:
    """Measure; exit 1 where a page or the watching costs too much."""
    with contextlib.ExitStack() as servers:
        folder = Path(servers.enter_context(tempfile.TemporaryDirectory(prefix="lipfarm-bench-")))
        folder.chmod(0o755)  # PostgreSQL may run as somebody else
        postgres = servers.enter_context(running_postgres(_folder(folder, "postgres")))
        valkey = servers.enter_context(running_valkey(_folder(folder, "valkey")))
        postgres.create_database("farm")
        upgrade(postgres.url("farm"))
        database = Database(postgres.url("farm"))
        servers.callback(database.close)
        began = time.monotonic()
        fill(database, jobs, PROJECTS)
        steps = _look_at(database)
        print(f"{jobs} jobs, {steps} steps, filled in {time.monotonic() - began:.0f} s")
        with database.transaction() as session:
            project = create_project(session, "studio 1")
            key = create_api_key(session, project, "bench", scopes=["read"]).secret
        environment = {
            "LIPFARM_DATABASE_URL": postgres.url("farm"),
            "LIPFARM_REDIS_URL": valkey.url,
            "LIPFARM_S3_ENDPOINT_URL": "http://127.0.0.1:9",
            "LIPFARM_S3_ACCESS_KEY": "none",
            "LIPFARM_S3_SECRET_KEY": "none",
            "LIPFARM_LOG_LEVEL": "warning",
        }
        url, api = servers.enter_context(running_api(environment))
        if url_file is not None:
            url_file.write_text(json.dumps({"url": url, "key": key, "db": postgres.url("farm")}))
            input("serving; Enter ends it\n")
            return
        fine = _measure_pages(url, key, database, rounds)
        fine = measure_watching(url, key, api, database, watchers, seconds) and fine
        print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    sys.exit(0 if fine else 1)


def _folder(root: Path, name: str) -> Path:
    (root / name).mkdir()
    return root / name


def _look_at(database: Database) -> int:
    """Have the reconciler's sample taken; how many steps there are."""
    for _ in range(2):
        began = time.perf_counter()
        with database.transaction() as session:
            take_sample(session)
        print(f"a sample of the queues: {(time.perf_counter() - began) * 1000:.0f} ms")
    with database.transaction() as session:
        return int(session.scalar(text("SELECT count(*) FROM steps")) or 0)


if __name__ == "__main__":
    main()
