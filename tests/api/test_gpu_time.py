"""What a job and a batch took of the GPUs, and what that costs where the farm knows a price."""

import uuid
from typing import Any

import httpx
import pytest

from infra.db.models import Batch
from infra.db.ranges import keep_original
from infra.db.session import Database
from infra.settings import Settings
from tests.infra.db.hands import Hands, result_of

#: Of a farm whose GPUs cost something; an hour of one.
PRICE = 7.2

_AGE = "clock_timestamp() - make_interval(secs => {seconds})"


@pytest.fixture
def hands(database: Database) -> Hands:
    hands = Hands(database)
    hands.clear()
    return hands


@pytest.fixture
def client(url: str, hands: Hands, make_key: Any) -> Any:
    with httpx.Client(base_url=url, headers={"x-api-key": make_key("studio")}) as client:
        yield client


def last_for(hands: Hands, step: int, seconds: float) -> None:
    """Have what is done on a step now begun so long ago."""
    begun = _AGE.format(seconds=seconds)
    hands.run(f"UPDATE steps SET started_at = {begun} WHERE id = {step}")  # noqa: S608
    hands.run(
        f"UPDATE attempts SET started_at = {begun} WHERE step_id = {step} AND ended_at IS NULL"  # noqa: S608
    )


def rendering(hands: Hands, **order: Any) -> tuple[uuid.UUID, uuid.UUID]:
    """A worker, and a job at render: a try of it failed, the next took a minute and a half."""
    worker, job = hands.worker(), hands.job(hands.project(), **order)
    hands.reach(worker, job, "render", segments=2)
    claim = hands.must_claim(worker, "gpu")
    last_for(hands, claim.step_id, 30)
    hands.fail(claim, "infrastructure")
    hands.run("UPDATE steps SET not_before = NULL, ready = true WHERE id = :id", id=claim.step_id)
    again = hands.must_claim(worker, "gpu")
    assert again.step_id == claim.step_id
    last_for(hands, again.step_id, 90)
    hands.complete(again, result_of(again))
    return worker, job


def test_gpu_time_is_that_of_all_attempts_to_render(
    client: httpx.Client, hands: Hands, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, job = rendering(hands)
    answer = client.get(f"/v2/generate/{job}").json()
    assert answer["gpuSeconds"] == pytest.approx(120, abs=2)
    assert answer["stages"]["render"]["workerSeconds"] == pytest.approx(90, abs=2)
    assert answer["stages"]["render"]["lostSeconds"] == pytest.approx(30, abs=2)
    assert answer["gpuCost"] is None
    monkeypatch.setitem(settings.__dict__, "price_per_hour", PRICE)
    (listed,) = client.get("/v2/generations").json()
    assert listed["gpuCost"] == pytest.approx(0.24, abs=0.01)


def test_what_runs_counts_and_what_waits_for_a_person_does_not(
    client: httpx.Client, hands: Hands
) -> None:
    worker, job = rendering(hands)
    claim = hands.must_claim(worker, "gpu")
    last_for(hands, claim.step_id, 60)
    assert client.get(f"/v2/generate/{job}").json()["gpuSeconds"] == pytest.approx(180, abs=2)
    hands.fail(claim, "content")
    longer = "started_at - interval '8 hours'"
    hands.run(f"UPDATE steps SET started_at = {longer} WHERE id = {claim.step_id}")  # noqa: S608
    with hands.database.transaction() as session:
        keep_original(session, hands.get(job).project_id, claim.step_id)
    answer = client.get(f"/v2/generate/{job}").json()
    assert answer["gpuSeconds"] == pytest.approx(180, abs=2)
    assert answer["stages"]["render"]["workerSeconds"] == pytest.approx(90, abs=2)


def test_a_batch_has_that_of_its_jobs(client: httpx.Client, hands: Hands) -> None:
    with hands.database.transaction() as session:
        batch = Batch(project_id=hands.project(), name="season", kind="requests")
        session.add(batch)
        session.flush()
        batch_id = batch.id
    rendering(hands, batch_id=batch_id)
    hands.job(hands.project(), batch_id=batch_id)
    answer = client.get(f"/v2/batch/{batch_id}").json()
    assert answer["gpuSeconds"] == pytest.approx(120, abs=2)
    assert answer["gpuCost"] is None
