"""A project with one of everything, and clients of every kind."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from infra.db.control import cancel_job
from infra.db.keys import revoke_api_key
from infra.db.models import ApiKey, Batch
from infra.db.orders import NewStep, StepResult
from infra.db.projects import create_api_key, create_project
from infra.db.session import Database
from infra.db.views import create_view
from infra.db.webhooks import create_endpoint, create_test_delivery
from tests.infra.db.hands import Hands

ADDRESS = "https://studio.example/hook"


@dataclass
class World:
    """Ids of a project's things, under the names that paths have for them."""

    database: Database
    project: uuid.UUID
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def hands(self) -> Hands:
        return Hands(self.database)

    def path(self, path: str) -> str:
        return path.format(**self.ids)

    def key(self, *scopes: str, **given: datetime) -> str:
        with self.database.transaction() as session:
            return create_api_key(session, self.project, "of a test", scopes=scopes, **given).secret

    def revoked_key(self) -> str:
        with self.database.transaction() as session:
            made = create_api_key(session, self.project, "of a test", scopes=["admin"])
            revoke_api_key(session, self.project, made.id)
        return made.secret

    def expired_key(self) -> str:
        key = self.key("admin")
        with self.database.transaction() as session:
            session.execute(
                update(ApiKey)
                .where(ApiKey.prefix == key[:11])
                .values(expires_at=datetime.now(UTC) - timedelta(seconds=1))
            )
        return key

    def job(self) -> str:
        """A new one."""
        return str(self.hands.job(self.project))

    def failed_step(self) -> tuple[str, str]:
        """A job with a render that failed for good."""
        hands = self.hands
        for row in hands.rows("SELECT id, project_id FROM jobs WHERE finished_at IS NULL"):
            with self.database.transaction() as session:
                cancel_job(session, row.project_id, row.id)
        job, worker = hands.job(self.project), hands.worker()
        while not hands.steps(uuid.UUID(str(job)), "render"):
            claim = next(c for q in ("cpu", "gpu", "stitch") if (c := hands.claim(worker, q)))
            stage, params = claim.stage, {"start": 0, "end": 10}
            steps = (NewStep(0, 10, params),) if stage in ("prepare", "track") else ()
            facts = {"frames": 10, "rate": "25"} if stage == "prepare" else {}
            hands.complete(claim, StepResult(next_steps=steps, facts=facts))
        claim = hands.must_claim(worker, "gpu")
        hands.fail(claim, "content")
        return str(job), str(claim.step_id)


def make_world(database: Database, name: str) -> World:
    """A project with a generation, a step, a batch, an address, a message, a key."""
    with database.transaction() as session:
        world = World(database, create_project(session, name))
    world.ids["generation_id"], world.ids["step_id"] = world.failed_step()
    with database.transaction() as session:
        batch = Batch(project_id=world.project, name="many", kind="requests")
        session.add(batch)
        endpoint = create_endpoint(session, world.project, ADDRESS)
        delivery = create_test_delivery(session, world.project, ADDRESS, {})
        key = create_api_key(session, world.project, "another")
        view = create_view(session, world.project, str(uuid.uuid4()), {"label": "season 1"})
        assert view is not None
        session.flush()
        world.ids |= {
            "batch_id": str(batch.id),
            "endpoint_id": str(endpoint.id),
            "delivery_id": str(delivery.id),
            "key_id": str(key.id),
            "view_id": str(view.id),
        }
    (row,) = world.hands.rows(
        "SELECT source_id FROM jobs WHERE id = :job", job=world.ids["generation_id"]
    )
    world.ids["asset_id"] = str(row.source_id)
    world.ids["upload_id"] = str(uuid.uuid4())
    return world
