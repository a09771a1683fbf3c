"""Hands for tests: order, claim, complete, fail, look; each in a transaction of its own."""

import contextlib
import uuid
from typing import Any

from sqlalchemy import text

from infra.db.assets import create_asset
from infra.db.claims import claim_step
from infra.db.jobs import NewJob, create_job
from infra.db.leases import complete_step, fail_step
from infra.db.models import Job
from infra.db.orders import (
    ArtifactFile,
    Claim,
    Failure,
    FailureKind,
    JobOutput,
    NewArtifact,
    NewStep,
    StepResult,
)
from infra.db.projects import create_project
from infra.db.session import Database
from infra.db.states import Queue
from infra.db.workers import register_worker
from infra.errors import ServiceUnavailableError

QUEUES: tuple[Queue, ...] = ("cpu", "gpu", "stitch")
CLEARINGS = 5


class Hands:
    """One pair of hands on one database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def clear(self) -> None:
        """Empty the farm.

        What a closed browser had still asked for may hold a table meanwhile: Postgres then ends
        one of the two, and if it was this one, it is this one's turn again.
        """
        for _ in range(CLEARINGS):
            with contextlib.suppress(ServiceUnavailableError):
                return self.run("TRUNCATE projects, workers, events RESTART IDENTITY CASCADE")
        raise TimeoutError(f"the farm could not be emptied {CLEARINGS} times")

    def run(self, statement: str, **values: Any) -> None:
        with self.database.transaction() as session:
            session.execute(text(statement), values)

    def rows(self, statement: str, **values: Any) -> list[Any]:
        with self.database.transaction() as session:
            return list(session.execute(text(statement), values))

    def value(self, statement: str, **values: Any) -> Any:
        (row,) = self.rows(statement, **values)
        return row[0]

    def project(self, name: str = "studio", weight: int = 1) -> uuid.UUID:
        with self.database.transaction() as session:
            return create_project(session, name, weight)

    def worker(self, queues: tuple[Queue, ...] = QUEUES, name: str = "worker") -> uuid.UUID:
        with self.database.transaction() as session:
            return register_worker(
                session, name=name, hostname="here", pid=1, queues=queues, device="cpu", slots=1
            )

    def job(self, project: uuid.UUID, **order: Any) -> uuid.UUID:
        with self.database.transaction() as session:
            source = create_asset(
                session, project, "video", "film.mp4", object_key=uuid.uuid4().hex
            )
            dialogue = create_asset(
                session, project, "audio", "dub.wav", object_key=uuid.uuid4().hex
            )
            job, _ = create_job(session, project, NewJob(source.id, dialogue.id, **order))
            return job.id

    def claim(self, worker: uuid.UUID, queue: Queue = "cpu") -> Claim | None:
        with self.database.transaction() as session:
            return claim_step(session, worker, queue)

    def must_claim(self, worker: uuid.UUID, queue: Queue = "cpu") -> Claim:
        claim = self.claim(worker, queue)
        assert claim is not None
        return claim

    def complete(self, claim: Claim, result: StepResult | None = None) -> None:
        with self.database.transaction() as session:
            complete_step(session, claim.step_id, claim.attempt, result or StepResult())

    def fail(self, claim: Claim, kind: FailureKind, code: str = "trouble") -> None:
        with self.database.transaction() as session:
            fail_step(session, claim.step_id, claim.attempt, Failure(kind, code, "it broke"))

    def state(self, job: uuid.UUID) -> str:
        return str(self.value("SELECT state FROM jobs WHERE id = :job", job=job))

    def step(self, step_id: int) -> Any:
        (row,) = self.rows("SELECT * FROM steps WHERE id = :step", step=step_id)
        return row

    def steps(self, job: uuid.UUID, stage: str) -> list[Any]:
        return self.rows(
            "SELECT * FROM steps WHERE job_id = :job AND stage = :stage ORDER BY segment_index",
            job=job,
            stage=stage,
        )

    def get(self, job: uuid.UUID) -> Job:
        with self.database.transaction() as session:
            found = session.get(Job, job)
            assert found is not None
            return found

    def reach(
        self, worker: uuid.UUID, job: uuid.UUID, stage: str, segments: int = 2, title: str = "film"
    ) -> None:
        """Work on the one job there is until its ``stage`` is the next to be claimed."""
        while not self.steps(job, stage):
            claim = next(c for q in QUEUES if (c := self.claim(worker, q)) is not None)
            self.complete(claim, result_of(claim, segments, title))


def artifact(key: str, prefix: str = "") -> NewArtifact:
    return NewArtifact(
        key, prefix or f"at/{uuid.uuid4().hex}", (ArtifactFile("a.mkv", 3, "0" * 64),)
    )


def detect_steps(segments: int, title: str = "film") -> tuple[NewStep, ...]:
    return tuple(
        NewStep(index, frames=100, artifact_key=f"detect-{title}-{index}")
        for index in range(segments)
    )


def render_steps(segments: int) -> tuple[NewStep, ...]:
    return tuple(NewStep(index, frames=100, params={"range": index}) for index in range(segments))


OUTPUT = JobOutput("outputs/film.mp4", "f" * 64, 1234, 8.0, {"frames": 200})


def result_of(claim: Claim, segments: int = 2, title: str = "film") -> StepResult:
    """What a worker would say of this step, in a film of so many segments."""
    match claim.stage:
        case "prepare":
            return StepResult(
                facts={"frames": 100 * segments}, next_steps=detect_steps(segments, title)
            )
        case "detect":
            return StepResult(artifact=artifact(claim.artifact_key or "?"))
        case "track":
            return StepResult(facts={"ranges": segments}, next_steps=render_steps(segments))
        case "render":
            return StepResult(artifact=artifact(f"render-{claim.job_id}-{claim.segment_index}"))
        case "stitch":
            return StepResult(output=OUTPUT)
