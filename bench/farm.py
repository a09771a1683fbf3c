"""How fast the farm is beside its work, and beside ``lipfarm dub``.

::

    python -m bench.farm empty               steps a second from queued to completed
    python -m bench.farm film VIDEO AUDIO    wall time of a warm farm against `lipfarm dub`

Real PostgreSQL, Valkey and SeaweedFS, real worker processes. With ``empty`` the runner's work is a
function that returns at once and nothing is stored: what is left is claim, lease, order, answer,
completion and barrier.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr
from sqlalchemy import text

from infra.bells import Ringer
from infra.db.assets import create_asset
from infra.db.jobs import NewJob, create_job
from infra.db.migrating import upgrade
from infra.db.orders import JobOutput, NewStep, StepResult
from infra.db.projects import create_project
from infra.db.session import Database
from infra.logs import configure_logs
from infra.services.postgres import running_postgres
from infra.services.seaweed import running_seaweed
from infra.services.valkey import running_valkey
from infra.settings import PREFIX, Settings, load_settings
from infra.storage.names import asset_key
from infra.storage.objects import ObjectStore
from workers.runner import Advance
from workers.runner_process import begin, serve
from workers.step import StepAtWork
from workers.worker import WorkerChoice, run_worker

_SEGMENTS = 100
_START_SECONDS = 60.0


def empty_entry(connection: Connection, _threads: int, log: str) -> None:
    """The entry of a runner that computes nothing."""
    begin(log)
    serve(connection, {"nothing": _compute_nothing}, log)


def _compute_nothing(_given: dict[str, Any], advance: Advance) -> None:
    advance(1)


def _empty_stage(step: StepAtWork) -> StepResult:
    stage = step.lease.claim.stage
    step.compute("nothing", {})
    many = stage in {"prepare", "track"}
    return StepResult(
        next_steps=tuple(NewStep(n, 1) for n in range(_SEGMENTS)) if many else (),
        output=JobOutput("nowhere", "0" * 64, 1, 1.0, {}) if stage == "stitch" else None,
    )


class _Farm:
    """Servers, worker processes, and a project with two inputs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = ObjectStore(settings)
        self.ringer = Ringer(settings.redis_url)
        self.database = Database(
            settings.database_url,
            ring=self.ringer.ring,
            ring_for_changes=self.ringer.ring_for_changes,
        )
        with self.database.transaction() as session:
            self.project = create_project(session, "bench")

    def upload(self, path: Path, kind: Any) -> uuid.UUID:
        asset_id = uuid.uuid4()
        key = asset_key(self.project, asset_id, path.name)
        stored = self.store.put_file(path, key)
        return self.enter(
            kind,
            path.name,
            asset_id=asset_id,
            object_key=key,
            size_bytes=stored.size,
            sha256=stored.sha256,
        )

    def enter(self, kind: Any, name: str, **values: Any) -> uuid.UUID:
        with self.database.transaction() as session:
            return create_asset(session, self.project, kind, name, **values).id

    def order(self, source: uuid.UUID, dialogue: uuid.UUID, **params: Any) -> None:
        with self.database.transaction() as session:
            create_job(session, self.project, NewJob(source, dialogue, params=params))

    def count(self, query: str) -> int:
        with self.database.transaction() as session:
            return int(session.scalar(text(query)) or 0)

    def wait(self, is_so: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, "the farm does not get there"
            time.sleep(0.05)

    def wait_for_jobs(self, seconds: float = 600) -> None:
        self.wait(
            lambda: not self.count("SELECT count(*) FROM jobs WHERE finished_at IS NULL"), seconds
        )
        assert not self.count("SELECT count(*) FROM jobs WHERE state <> 'completed'")


@contextlib.contextmanager
def _farm(folder: Path) -> Iterator[_Farm]:
    with contextlib.ExitStack() as servers:
        folders = [folder / name for name in ("postgres", "valkey", "seaweed")]
        for each in folders:
            each.mkdir()
        folder.chmod(0o755)  # PostgreSQL may run as somebody else
        postgres = servers.enter_context(running_postgres(folders[0], durable=True))
        valkey = servers.enter_context(running_valkey(folders[1]))
        seaweed = servers.enter_context(running_seaweed(folders[2]))
        postgres.create_database("farm")
        upgrade(postgres.url("farm"))
        settings = Settings(
            database_url=postgres.url("farm"),
            redis_url=valkey.url,
            s3_endpoint_url=seaweed.url,
            s3_access_key=seaweed.access_key,
            s3_secret_key=SecretStr(seaweed.secret_key),
            scratch_dir=folder / "scratch",
            free_space_floor_bytes=0,
        )
        ObjectStore(settings).ensure_bucket()
        yield _Farm(settings)


@contextlib.contextmanager
def _workers(farm: _Farm, commands: list[list[str]]) -> Iterator[None]:
    environment = dict(os.environ) | _environment(farm.settings)
    processes = [
        subprocess.Popen([sys.executable, "-m", *command], env=environment) for command in commands
    ]
    try:
        online = "SELECT count(*) FROM workers WHERE state = 'online'"
        farm.wait(lambda: farm.count(online) == len(processes), _START_SECONDS)
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def _environment(settings: Settings) -> Mapping[str, str]:
    values = settings.model_dump(exclude_unset=True)
    return {
        f"{PREFIX}{name.upper()}": value.get_secret_value()
        if isinstance(value, SecretStr)
        else str(value)
        for name, value in values.items()
    } | {"LIPFARM_LOG_LEVEL": "warning"}


@click.group()
def bench() -> None:
    """Measure the farm."""


@bench.command()
@click.option("--workers", default=4)
@click.option("--jobs", default=20)
def empty(workers: int, jobs: int) -> None:
    """Steps a second from queued to completed with an empty renderer."""
    with tempfile.TemporaryDirectory(prefix="lipfarm-bench-") as name, _farm(Path(name)) as farm:
        inputs = (
            farm.enter("video", "a.mp4", object_key="a"),
            farm.enter("audio", "b", object_key="b"),
        )
        commands = [["bench.farm", "empty-worker"]] * workers
        with _workers(farm, commands):
            farm.order(*inputs)
            farm.wait_for_jobs()  # warm
            before = farm.count("SELECT count(*) FROM steps WHERE state = 'completed'")
            start = time.monotonic()
            for _ in range(jobs):
                farm.order(*inputs)
            farm.wait_for_jobs()
            seconds = time.monotonic() - start
            steps = farm.count("SELECT count(*) FROM steps WHERE state = 'completed'") - before
    print(f"{steps} steps in {seconds:.2f} s with {workers} workers: {steps / seconds:.0f} steps/s")


@bench.command("empty-worker", hidden=True)
def empty_worker() -> None:
    """One of the processes of ``empty``."""
    stages = dict.fromkeys(("prepare", "detect", "track", "render", "stitch"), _empty_stage)
    choice = WorkerChoice(("cpu", "gpu", "stitch"), stages=stages, entry=empty_entry)  # type: ignore[arg-type]
    configure_logs()
    run_worker(load_settings(), choice)


@bench.command()
@click.argument("video", type=click.Path(path_type=Path, exists=True))
@click.argument("audio", type=click.Path(path_type=Path, exists=True))
@click.option("--network", default="draft")
@click.option("--rounds", default=3)
def film(video: Path, audio: Path, network: str, rounds: int) -> None:
    """Wall time of a warm farm of three workers against `lipfarm dub`."""
    with tempfile.TemporaryDirectory(prefix="lipfarm-bench-") as name:
        alone = [_dub_alone(video, audio, network, Path(name)) for _ in range(rounds)]
        with _farm(Path(name)) as farm:
            commands = [["lipfarm", "worker", "--queues", q] for q in ("cpu", "gpu", "stitch")]
            with _workers(farm, commands):
                together = [_dub_together(farm, video, audio, network) for _ in range(rounds + 1)]
    together = together[1:]  # the first warms the workers up
    print("lipfarm dub:", *(f"{seconds:.2f}" for seconds in alone))
    print("farm:       ", *(f"{seconds:.2f}" for seconds in together))
    ratio = statistics.median(together) / statistics.median(alone)
    print(f"median of the farm's: {ratio - 1:+.1%}")


def _dub_alone(video: Path, audio: Path, network: str, folder: Path) -> float:
    start = time.monotonic()
    output = folder / "alone.mp4"
    words = ["--video", video, "--audio", audio, "--output", output, "--network", network]
    subprocess.check_call([sys.executable, "-m", "lipfarm", "dub", *map(str, words)])
    output.unlink()
    return time.monotonic() - start


def _dub_together(farm: _Farm, video: Path, audio: Path, network: str) -> float:
    """From the order to the output; every time in a project of its own, so nothing is reused."""
    with farm.database.transaction() as session:
        farm.project = create_project(session, uuid.uuid4().hex)
    inputs = farm.upload(video, "video"), farm.upload(audio, "audio")
    start = time.monotonic()
    farm.order(*inputs, options={}, network=network)
    farm.wait_for_jobs()
    return time.monotonic() - start


if __name__ == "__main__":
    bench()
