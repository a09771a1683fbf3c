"""How fast is a batch read, and does its size show in memory?

``python -m bench.batch`` starts servers of its own and the API as a process, sends a catalogue of
1,000 rows to warm up, then one of ``--rows`` over HTTP, the same again with the same
``Idempotency-Key``, reads its result, and cancels nothing. It prints seconds, rows a second, and
how much larger the API's process was at most after each.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import httpx
import psutil
from sqlalchemy import create_engine, text

from infra.db.migrating import upgrade
from infra.db.projects import create_api_key, create_project
from infra.db.session import Database, with_driver
from infra.services.postgres import running_postgres
from infra.services.seaweed import running_seaweed
from infra.services.valkey import running_valkey

WARM_UP = 1_000
LANGUAGES = ("fra", "deu", "spa", "ita", "por", "pol", "nld", "jpn", "kor", "hin")

_MADE = """
SELECT (SELECT count(*) FROM batch_rows), (SELECT count(*) FROM jobs),
       (SELECT count(*) FROM steps WHERE ready), (SELECT count(DISTINCT job_id) FROM batch_rows)
"""


@contextmanager
def _servers(folder: Path) -> Iterator[tuple[dict[str, str], str]]:
    """Settings for a process, and a key."""
    with (
        running_postgres(folder / "postgres") as postgres,
        running_valkey(folder / "valkey") as valkey,
        running_seaweed(folder / "seaweed") as bucket,
    ):
        postgres.create_database("batch")
        url = postgres.url("batch")
        upgrade(url)
        database = Database(url)
        with database.transaction() as session:
            project = create_project(session, "bench")
            key = create_api_key(session, project, "bench", scopes=["submit"]).secret
        database.close()
        yield (
            {
                **os.environ,
                "LIPFARM_DATABASE_URL": url,
                "LIPFARM_REDIS_URL": valkey.url,
                "LIPFARM_S3_ENDPOINT_URL": bucket.url,
                "LIPFARM_S3_ACCESS_KEY": bucket.access_key,
                "LIPFARM_S3_SECRET_KEY": bucket.secret_key,
                "LIPFARM_LOG_FORMAT": "json",
            },
            key,
        )


@contextmanager
def _api(environment: dict[str, str]) -> Iterator[tuple[str, psutil.Process]]:
    argv = [sys.executable, "-m", "lipfarm", "api", "--port", "0"]
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = ""
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                address = found[0]
                break
        try:
            yield address, psutil.Process(process.pid)
        finally:
            process.kill()


def _write_catalogue(path: Path, rows: int) -> Path:
    with path.open("w") as file:
        file.write("title,language,video,audio,labels,priority\n")
        for number in range(rows):
            name, language = f"film-{number // len(LANGUAGES)}", LANGUAGES[number % len(LANGUAGES)]
            base = f"https://media.example/{path.stem}/{name}"
            file.write(f"{name},{language},{base}.mp4,{base}.{language}.wav,bench|{language},0\n")
    return path


def _peak_mebibytes(process: psutil.Process) -> float:
    """The most it ever had."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


@click.command()
@click.option("--rows", default=10_000, show_default=True)
def main(rows: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL does not run as root; whoever it runs as must get there
        with _servers(folder) as (environment, key), _api(environment) as (url, process):
            headers = {"x-api-key": key}
            with httpx.Client(base_url=url, headers=headers, timeout=3600) as client:
                _send(client, _write_catalogue(folder / "warm-up.csv", WARM_UP), "warm-up")
                before = _peak_mebibytes(process)
                manifest, once = _write_catalogue(folder / "films.csv", rows), uuid.uuid4().hex
                seconds, batch = _send(client, manifest, once)
                print(f"{rows:,} rows: {seconds:.1f} s, {rows / seconds:.0f} rows a second")
                print(
                    f"memory at most: {before:.0f} MiB before, {_peak_mebibytes(process):.0f} after"
                )
                again, same = _send(client, manifest, once)
                assert same == batch
                print(f"the same again: {again:.1f} s, the same batch")
                _report(client, batch, process)
            _count(environment["LIPFARM_DATABASE_URL"], rows + WARM_UP)


def _send(client: httpx.Client, manifest: Path, key: str) -> tuple[float, str]:
    started = time.perf_counter()
    with manifest.open("rb") as file:
        answer = client.post(
            "/v2/batch", files={"input": (manifest.name, file)}, headers={"Idempotency-Key": key}
        )
    assert answer.status_code in {200, 201}, answer.text
    assert answer.json()["refusedRows"] == 0
    return time.perf_counter() - started, str(answer.json()["id"])


def _report(client: httpx.Client, batch: str, process: psutil.Process) -> None:
    for path in ("", "/matrix", "/result"):
        started = time.perf_counter()
        client.get(f"/v2/batch/{batch}{path}").raise_for_status()
        print(f"GET …{path or '/'}: {1000 * (time.perf_counter() - started):.0f} ms")
    print(f"memory at most after all: {_peak_mebibytes(process):.0f} MiB")


def _count(url: str, rows: int) -> None:
    engine = create_engine(with_driver(url))
    with engine.connect() as connection:
        made = tuple(connection.execute(text(_MADE)).one())
    engine.dispose()
    assert made == (rows,) * 4, made
    print(f"rows, jobs, ready steps, rows with a job of their own: {made}")


if __name__ == "__main__":
    main()
