"""A generation's steps in short, a step's attempts, and the fleet: told to their own project."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from infra.db.leases import fail_step
from infra.db.orders import Failure
from infra.db.projects import create_api_key
from infra.db.session import Database
from infra.db.workers import drain_worker
from tests.infra.db.hands import Hands


@pytest.fixture
def hands(database: Database) -> Hands:
    hands = Hands(database)
    hands.clear()
    return hands


@pytest.fixture
def project(hands: Hands) -> uuid.UUID:
    return hands.project("studio")


@pytest.fixture
def ask(url: str, database: Database, project: uuid.UUID) -> Callable[..., httpx.Response]:
    """Asks with a new key of a project."""

    def get(path: str, *scopes: str, of: uuid.UUID = project) -> httpx.Response:
        with database.transaction() as session:
            key = create_api_key(session, of, "test", scopes=scopes).secret
        return httpx.get(f"{url}{path}", headers={"x-api-key": key})

    return get


def fail(hands: Hands, claim: Any, kind: Any, log: str = "the end of the log") -> None:
    with hands.database.transaction() as session:
        fail_step(session, claim.step_id, claim.attempt, Failure(kind, "broken", "it broke", log))


def test_a_strip_has_a_letter_for_every_step(hands: Hands, project: uuid.UUID, ask: Any) -> None:
    worker, job = hands.worker(name="one"), hands.job(project)
    hands.reach(worker, job, "render", segments=8)
    claims = [hands.must_claim(worker, "gpu") for _ in range(7)]
    for claim, state in zip(claims[1:], ("reused", "kept_original", "held"), strict=False):
        queued = ", state = 'queued'" if state == "held" else ", state = 'completed'"
        hands.run(f"UPDATE attempts SET ended_at = now() WHERE step_id = {claim.step_id}")  # noqa: S608
        hands.run(f"UPDATE steps SET {state} = true{queued} WHERE id = {claim.step_id}")  # noqa: S608
    fail(hands, claims[4], "content")
    fail(hands, claims[5], "infrastructure")
    # However long this test takes, the pause before the next try has not passed.
    hands.run("UPDATE steps SET not_before = now() + '1 hour' WHERE not_before IS NOT NULL")
    found = ask(f"/v2/generate/{job}/strip").json()
    stages = {stage["stage"]: stage for stage in found["stages"]}
    assert list(stages) == ["prepare", "detect", "track", "render"]
    assert stages["detect"]["states"] == "c" * 8
    assert stages["detect"]["finishedAt"] is not None
    render = stages["render"]
    assert render["states"] == "rukhfwrq"
    assert render["sizes"] == [100] * 8
    assert render["ids"] == [step.id for step in hands.steps(job, "render")]
    assert (render["frames"], render["finishedAt"]) == (800, None)
    assert {found["letters"][letter] for letter in "rukhfwq"} == {
        "running",
        "reused",
        "kept-original",
        "held",
        "failed",
        "waiting",
        "queued",
    }
    assert [step["worker"] for step in found["running"]] == ["one", "one"]
    assert found["frameRate"] is None
    rate = {"prepare": {"prepared": {"frame_rate": "30000/1001"}}}
    hands.run("UPDATE jobs SET facts = :facts WHERE id = :job", facts=json.dumps(rate), job=job)
    rate_told = ask(f"/v2/generate/{job}/strip").json()["frameRate"]
    assert rate_told == pytest.approx(29.97, abs=0.001)


def test_attempts_tell_who_failed_and_how(hands: Hands, project: uuid.UUID, ask: Any) -> None:
    worker, job = hands.worker(name="one"), hands.job(project)
    claim = hands.must_claim(worker)
    fail(hands, claim, "infrastructure")
    hands.run("UPDATE steps SET ready = true, not_before = NULL")
    second = hands.must_claim(worker)
    found = ask(f"/v2/generate/{job}/steps/{claim.step_id}/attempts").json()
    assert found["step"]["id"] == str(claim.step_id)
    newest, first = found["attempts"]
    assert (newest["number"], newest["outcome"]) == (second.attempt, None)
    assert (first["worker"], first["logTail"]) == ("one", "the end of the log")
    assert (first["error_code"], first["error"]) == ("broken", "it broke")


def test_workers_tell_what_they_have_in_hand(hands: Hands, project: uuid.UUID, ask: Any) -> None:
    worker, job = hands.worker(name="one"), hands.job(project, name="Film")
    hands.reach(worker, job, "render")
    claim = hands.must_claim(worker, "gpu")
    hands.run(
        "UPDATE steps SET frames_done = 50, started_at = now() - interval '10 s', "
        "progress_at = now() WHERE id = :step",
        step=claim.step_id,
    )
    hands.run(
        "INSERT INTO benches (job_id, stage, worker_id) VALUES (:job, 'render', :worker)",
        job=job,
        worker=worker,
    )
    (one,) = ask("/v2/workers").json()
    (step,) = one["steps"]
    assert (step["generationId"], step["generationName"]) == (str(job), "Film")
    assert (step["framesDone"], step["frames"]) == (50, 100)
    assert step["framesPerSecond"] == pytest.approx(5, abs=0.1)
    assert [(each["stage"], each["generationName"]) for each in one["benched"]] == [
        ("render", "Film")
    ]
    assert one["state"] == "online"
    assert one["hostname"] is None
    assert ask("/v2/workers", "admin").json()[0]["hostname"] == "here"


def test_others_learn_that_a_worker_is_busy_and_not_with_what(
    hands: Hands, project: uuid.UUID, ask: Any
) -> None:
    worker, job = hands.worker(), hands.job(project, name="Secret film")
    claim = hands.must_claim(worker)
    hands.run(
        "INSERT INTO benches (job_id, stage, worker_id) VALUES (:job, 'render', :worker)",
        job=job,
        worker=worker,
    )
    theirs = hands.project("others")
    for scope in ("read", "admin"):
        answer = ask("/v2/workers", scope, of=theirs)
        (one,) = answer.json()
        assert one["steps"][0]["stage"] == "prepare"
        assert one["steps"][0]["generationId"] is None
        assert one["benched"] == []
        assert "Secret" not in answer.text
        assert str(job) not in answer.text
    strip = ask(f"/v2/generate/{job}/strip", of=theirs)
    assert strip.json()["error_code"] == "generation_not_found"
    attempts = ask(f"/v2/generate/{job}/steps/{claim.step_id}/attempts", of=theirs)
    assert attempts.json()["error_code"] == "generation_not_found"


def test_those_that_left_are_shown_on_request_for_an_hour(hands: Hands, ask: Any) -> None:
    for name in ("here", "draining", "left", "long gone"):
        hands.worker(name=name)
    with hands.database.transaction() as session:
        drain_worker(session, hands.value("SELECT id FROM workers WHERE name = 'draining'"))
    hands.run("UPDATE workers SET state = 'offline' WHERE name IN ('left', 'long gone')")
    hands.run(
        "UPDATE workers SET heartbeat_at = now() - interval '61 min' WHERE name = 'long gone'"
    )
    states = {each["name"]: each["state"] for each in ask("/v2/workers").json()}
    assert states == {"here": "online", "draining": "draining"}
    assert {each["name"] for each in ask("/v2/workers?offline=true").json()} == {*states, "left"}
