"""A database, bells and a bucket; workers that play; a reconciler's looks when a test asks."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
from sqlalchemy import text

from infra.bells import Ringer
from infra.db.assets import create_asset
from infra.db.jobs import NewJob, create_job
from infra.db.projects import create_project
from infra.db.reconcile import reconcile
from infra.db.session import Database
from infra.settings import PREFIX, Settings
from tests.infra.db.hands import Hands
from tests.patience import until


def is_alive(pid: int) -> bool:
    """Whether a process runs; a dead one may still be in the table."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Farm:
    """Orders, looks, and workers as processes."""

    def __init__(self, settings: Settings, notes: Path) -> None:
        self.settings, self.notes = settings, notes
        self.ringer = Ringer(settings.redis_url)
        self.database = Database(
            settings.database_url,
            ring=self.ringer.ring,
            ring_for_changes=self.ringer.ring_for_changes,
        )
        self.processes: list[subprocess.Popen[bytes]] = []
        Hands(self.database).clear()
        with self.database.transaction() as session:
            self.project = create_project(session, "studio")
            self.inputs = [
                create_asset(session, self.project, kind, name, object_key=name).id
                for kind, name in (("video", "film.mp4"), ("audio", "sound.wav"))
            ]

    def start_worker(self, name: str = "player", **settings: object) -> subprocess.Popen[bytes]:
        environment = dict(os.environ) | {"PLAY_WELL": str(self.notes / "well")}
        for key, value in settings.items():
            environment[f"{PREFIX}{key.upper()}"] = str(value)
        process = subprocess.Popen(
            # Not with -m: every runner would import the module of such a program anew.
            [sys.executable, "-c", "from tests.workers.play import main; main()", name],
            cwd=Path(__file__).parents[2],
            env=environment,
        )
        self.processes.append(process)
        until(lambda: process.pid in self.column("SELECT pid FROM workers"), "the worker's start")
        return process

    def order(self, **play: object) -> UUID:
        """A job; ``play`` says what each stage does."""
        order = NewJob(*self.inputs, params={"play": {"notes": str(self.notes), **play}})
        with self.database.transaction() as session:
            return create_job(session, self.project, order)[0].id

    def reconcile(self) -> None:
        reconcile(self.database, self.ringer.ring, lease_seconds=0.0, silence_seconds=1000)

    def column(self, query: str, **values: object) -> Sequence[Any]:
        with self.database.transaction() as session:
            return session.scalars(text(query), values).all()

    def value(self, query: str, **values: object) -> Any:
        return self.column(query, **values)[0]

    def job_state(self, job: UUID) -> str:
        return str(self.value("SELECT state FROM jobs WHERE id = :job", job=job))

    def wait_for(self, job: UUID, state: str = "completed") -> None:
        until(lambda: self.job_state(job) == state, f"{state} of a job")

    def wait_for_note(self, name: str, times: int = 1) -> int:
        """Until a step began so often; the pid of its last runner."""
        note = self.notes / name
        until(lambda: note.exists() and len(note.read_text().splitlines()) >= times, name)
        return int(note.read_text().splitlines()[-1])

    def outcomes(self, stage: str) -> Sequence[Any]:
        return self.column(
            "SELECT a.outcome FROM attempts a JOIN steps s ON s.id = a.step_id "
            "WHERE s.stage = :stage ORDER BY a.step_id, a.number",
            stage=stage,
        )

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self.database.close()
        self.ringer.close()


@pytest.fixture
def farm(
    farm_environment: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Farm]:
    for name, value in {
        "LEASE_SECONDS": "15",
        "HEARTBEAT_SECONDS": "0.3",
        "POLL_SECONDS": "1",
        "DRAIN_SECONDS": "0.5",
    }.items():
        monkeypatch.setenv(f"{PREFIX}{name}", value)
    notes = tmp_path / "notes"
    notes.mkdir()
    farm = Farm(farm_environment, notes)
    yield farm
    farm.close()
