"""A generation says which network made its mouths, with which weights, how and where."""

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from infra.checkpoints import REGISTRY
from infra.db.session import Database
from tests.infra.db.hands import Hands, result_of

SMALL = REGISTRY["lipfarm-small"].sha256


@pytest.fixture
def hands(database: Database) -> Hands:
    return Hands(database)


@pytest.fixture
def job(order: Callable[..., str]) -> uuid.UUID:
    return uuid.UUID(order())


def render(hands: Hands, worker: uuid.UUID, network: dict[str, Any]) -> None:
    claim = hands.must_claim(worker, "gpu")
    hands.complete(claim, replace(result_of(claim), facts={"network": network}))


def rendered_with(client: Any, job: uuid.UUID) -> Any:
    return client.get(f"/v2/generate/{job}").json()["renderedWith"]


def test_it_is_unknown_before_a_network_is_chosen(client, job):
    assert rendered_with(client, job) is None


def test_it_is_what_was_chosen_until_it_is_loaded(client, hands, job):
    hands.reach(hands.worker(), job, "render")
    chosen = {"name": "wav2lip", "checkpoint_sha256": SMALL}
    hands.run(
        "UPDATE jobs SET facts = jsonb_set(facts, '{prepare}', CAST(:prepared AS jsonb)) "
        "WHERE id = :job",
        prepared=json.dumps({"prepared": {"network": chosen}}),
        job=job,
    )
    assert rendered_with(client, job) == {
        "network": "wav2lip",
        "checkpoint": "lipfarm-small",
        "checkpointSha256": SMALL,
        "precision": None,
        "devices": [],
    }


def test_it_is_what_rendered_on_every_device(client, hands, job):
    loaded = {"name": "wav2lip", "checkpoint_sha256": "0" * 64, "checkpoint": "mine.pth",
              "device": "cuda:0", "precision": "float16"}  # fmt: skip
    first, second = hands.worker(name="one"), hands.worker(name="two")
    hands.run("UPDATE workers SET device = 'cuda:0' WHERE id = :id", id=second)
    hands.reach(first, job, "render", segments=3)
    for worker in (first, second, second):
        render(hands, worker, loaded)
    found = rendered_with(client, job)
    assert (found["checkpoint"], found["checkpointSha256"]) == ("mine.pth", "0" * 64)
    assert (found["precision"], found["devices"]) == ("float16", ["cpu", "cuda:0"])
    (listed,) = client.get("/v2/generations", params={"text": str(job)}).json()
    assert listed["renderedWith"] == found


def test_draft_has_no_weights(client, hands, job):
    worker = hands.worker()
    hands.reach(worker, job, "render", segments=1)
    render(hands, worker, {"name": "draft", "checkpoint_sha256": None, "precision": "uint8"})
    found = rendered_with(client, job)
    assert found == {
        "network": "draft",
        "checkpoint": None,
        "checkpointSha256": None,
        "precision": "uint8",
        "devices": ["cpu"],
    }


def test_a_worker_that_chose_by_itself_tells_what_it_found(client, hands, job):
    worker = hands.worker()
    hands.run("UPDATE workers SET device = 'auto' WHERE id = :id", id=worker)
    hands.reach(worker, job, "render", segments=1)
    render(hands, worker, {"name": "wav2lip", "device": "cuda:1"})
    assert rendered_with(client, job)["devices"] == ["cuda:1"]
