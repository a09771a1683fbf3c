"""Does a claim cost the same however many steps wait? And how many steps a second go round?

``python -m bench.claims`` starts a PostgreSQL of its own, fills one database with 1,000 queued
steps and another with 1,000,000, both over 100 projects, and claims from each in turn, so that
whatever else the machine does hits both. Then one process claims and completes as fast as it can.
"""

import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy import text

from infra.db.claims import claim_step
from infra.db.leases import complete_step
from infra.db.migrating import upgrade
from infra.db.orders import Claim, StepResult
from infra.db.session import Database
from infra.db.workers import register_worker
from infra.services.postgres import Postgres, running_postgres

PROJECTS = 100
FEW, MANY = 1_000, 1_000_000
JOB_STEPS = 1_000

#: As many jobs as it takes, each with its share of the steps, all of them renderings.
_FILL = """
WITH made AS (
    INSERT INTO projects (name) SELECT 'project ' || n FROM generate_series(1, :projects) n
    RETURNING id),
inputs AS (
    INSERT INTO assets (project_id, kind, name, object_key)
    SELECT id, 'video', 'film.mp4', id::text FROM made RETURNING id, project_id),
ordered AS (
    INSERT INTO jobs (project_id, source_id, dialogue_id, state)
    SELECT project_id, id, id, 'rendering' FROM inputs, generate_series(1, :jobs)
    RETURNING id, project_id)
INSERT INTO steps (job_id, project_id, stage, segment_index, queue, ready, frames)
SELECT o.id, o.project_id, 'render', n, 'gpu', true, 250
FROM ordered o, generate_series(1, :steps) n
"""


@contextmanager
def _farm(server: Postgres, name: str, steps: int) -> Iterator[tuple[Database, uuid.UUID]]:
    server.create_database(name)
    upgrade(server.url(name))
    database = Database(server.url(name))
    per_project = steps // PROJECTS
    jobs = max(1, per_project // JOB_STEPS)
    with database.transaction() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        session.execute(
            text(_FILL), {"projects": PROJECTS, "jobs": jobs, "steps": per_project // jobs}
        )
        worker = register_worker(
            session, name="bench", hostname="here", pid=1, queues=["gpu"], device="cpu", slots=1
        )
    with database.transaction() as session:
        session.execute(text("ANALYZE"))
    try:
        yield database, worker
    finally:
        database.close()


def _claim(database: Database, worker: uuid.UUID) -> Claim:
    with database.transaction() as session:
        claim = claim_step(session, worker, "gpu")
    if claim is None:
        raise AssertionError("nothing to claim")
    return claim


def _timed_claim(database: Database, worker: uuid.UUID) -> float:
    started = time.perf_counter()
    _claim(database, worker)
    return (time.perf_counter() - started) * 1000


def _cycles(database: Database, worker: uuid.UUID, number: int) -> float:
    """Steps a second from queued to completed, one process, one thread."""
    started = time.perf_counter()
    for _ in range(number):
        claim = _claim(database, worker)
        with database.transaction() as session:
            complete_step(session, claim.step_id, claim.attempt, StepResult())
    return number / (time.perf_counter() - started)


@click.command()
@click.option("--claims", default=300, show_default=True, help="From each database.")
@click.option("--cycles", default=1000, show_default=True, help="Claims and completions.")
@click.option("--many", default=MANY, show_default=True, help="Steps in the large database.")
def main(claims: int, cycles: int, many: int) -> None:
    """Measure and print medians."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_postgres(_open(folder)) as server,
        _farm(server, "few", FEW) as few,
        _farm(server, "many", many) as lots,
    ):
        for farm in (few, lots):  # connections, plans, pages
            for _ in range(20):
                _timed_claim(*farm)
        pairs = [(_timed_claim(*few), _timed_claim(*lots)) for _ in range(claims)]
        ratios = statistics.quantiles([b / a for a, b in pairs], n=4)
        for number, times in zip((FEW, many), zip(*pairs, strict=True), strict=True):
            print(f"{number:>9,} queued: {statistics.median(times):.2f} ms a claim")
        print(f"ratio of pairs: {ratios[1]:.2f}, middle half {ratios[0]:.2f}–{ratios[2]:.2f}")
        rate = _cycles(*lots, cycles)
        print(f"{rate:.0f} steps a second claimed and completed, {many:,} queued")


def _open(folder: str) -> Path:
    """PostgreSQL does not run as root; whoever it runs as must get there."""
    path = Path(folder)
    path.chmod(0o755)
    return path


if __name__ == "__main__":
    main()
