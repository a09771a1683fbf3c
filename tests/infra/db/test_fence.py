"""A worker that was thought dead cannot overwrite, and without the fence it could."""

import threading
from collections.abc import Iterator

import pytest

from infra.db import fence
from infra.db.failures import lose_step
from infra.db.leases import complete_step, heartbeat, release_step
from infra.db.orders import Claim, StepResult
from infra.errors import FencedError
from tests.infra.db.hands import Hands, artifact, result_of


def _lose(hands: Hands, claim: Claim) -> bool:
    with hands.database.transaction() as session:
        return lose_step(session, claim.step_id, claim.attempt)


def _two_claims(hands: Hands) -> tuple[Claim, Claim]:
    """One detect step, claimed by a worker that fell silent and then by another."""
    sleeper = hands.worker()
    job = hands.job(hands.project())
    hands.reach(sleeper, job, "detect")
    late = hands.must_claim(sleeper)
    hands.run("UPDATE steps SET lease_until = now() - interval '1 s' WHERE state = 'running'")
    assert _lose(hands, late)
    hands.run("UPDATE steps SET ready = false WHERE id <> :step", step=late.step_id)
    current = hands.must_claim(hands.worker())
    assert (current.step_id, current.attempt) == (late.step_id, 2)
    return late, current


@pytest.fixture
def no_fence(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(fence, "HELD", "s.id = :step AND (true OR s.attempt = :attempt)")
    yield


def test_late_attempt_cannot_overwrite(hands: Hands) -> None:
    late, current = _two_claims(hands)
    for act in (
        lambda s: heartbeat(s, late.step_id, late.attempt, 5),
        lambda s: complete_step(s, late.step_id, late.attempt, StepResult(artifact("late"))),
        lambda s: release_step(s, late.step_id, late.attempt),
    ):
        with pytest.raises(FencedError), hands.database.transaction() as session:
            act(session)
    with pytest.raises(FencedError):
        hands.fail(late, "content")
    assert hands.value("SELECT count(*) FROM artifacts") == 0
    step = hands.step(current.step_id)
    assert (step.state, step.attempt, step.frames_done) == ("running", 2, 0)
    hands.complete(current, result_of(current))


def test_without_the_fence_a_late_attempt_does_overwrite(hands: Hands, no_fence: None) -> None:
    late, current = _two_claims(hands)
    hands.complete(late, StepResult(artifact("late")))
    assert hands.step(current.step_id).state == "completed"  # while the current one still works
    assert hands.value("SELECT prefix FROM artifacts WHERE key = 'late'")


def test_a_late_attempt_cannot_overwrite_what_is_completed(hands: Hands) -> None:
    late, current = _two_claims(hands)
    hands.complete(current, StepResult(artifact("detect", "the/current/one")))
    with pytest.raises(FencedError):
        hands.complete(late, StepResult(artifact("detect", "the/late/one")))
    assert hands.value("SELECT prefix FROM artifacts") == "the/current/one"


def test_a_completion_whose_answer_was_lost_may_be_sent_again(hands: Hands) -> None:
    worker = hands.worker()
    job = hands.job(hands.project())
    claim = hands.must_claim(worker)
    for _ in range(2):
        hands.complete(claim, result_of(claim))
    assert len(hands.steps(job, "detect")) == 2


def test_a_lease_renewed_in_time_is_not_lost(hands: Hands) -> None:
    hands.job(hands.project())
    claim = hands.must_claim(hands.worker())
    hands.run("UPDATE steps SET lease_until = now() - interval '1 s'")
    with hands.database.transaction() as session:
        assert heartbeat(session, claim.step_id, claim.attempt, 0) == "run"
    assert not _lose(hands, claim)


def test_a_released_step_is_the_next_workers_at_once_and_costs_nothing(hands: Hands) -> None:
    hands.job(hands.project())
    claim = hands.must_claim(hands.worker())
    with hands.database.transaction() as session:
        release_step(session, claim.step_id, claim.attempt)
    again = hands.must_claim(hands.worker())
    step = hands.step(claim.step_id)
    assert (again.attempt, step.losses, step.failures) == (2, 0, 0)


def test_twins_commit_one_artifact(hands: Hands) -> None:
    project, worker = hands.project(), hands.worker()
    for _ in range(2):
        hands.job(project)
    claims = [hands.must_claim(worker) for _ in range(2)]
    results = [StepResult(artifact("same", f"prefix/{n}")) for n in range(2)]
    threads = [
        threading.Thread(target=hands.complete, args=pair)
        for pair in zip(claims, results, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hands.value("SELECT count(*) FROM artifacts") == 1
    assert hands.value("SELECT count(DISTINCT artifact_id) FROM steps WHERE stage = 'prepare'") == 1
    assert hands.value("SELECT count(*) FROM steps WHERE stage = 'track'") == 2
