"""The reconciler mends what nobody else will."""

import threading
from collections.abc import Callable

import pytest

from infra.db import reconcile as reconciling
from infra.db.audit import audit
from infra.db.control import pause_job
from infra.db.reconcile import Mended, reconcile
from infra.db.session import Database
from infra.db.states import Queue
from infra.errors import FencedError
from tests.infra.db.hands import Hands

#: As if the server had been up for long, however young the tests' own is.
NO_GRACE = 0.0


@pytest.fixture
def rung() -> list[Queue]:
    return []


@pytest.fixture
def tidy(database: Database, rung: list[Queue]) -> Callable[[], Mended]:
    def once() -> Mended:
        return reconcile(database, rung.append, lease_seconds=NO_GRACE, silence_seconds=NO_GRACE)

    return once


def expire(hands: Hands, step: int) -> None:
    hands.run(
        "UPDATE steps SET lease_until = clock_timestamp() - interval '1 second' WHERE id = :step",
        step=step,
    )


def broken(database: Database) -> list[str]:
    with database.transaction() as session:
        return [str(finding) for finding in audit(session)]


def test_a_step_whose_lease_ran_out_is_queued_again_and_its_late_worker_fenced(
    hands: Hands, tidy: Callable[[], Mended], rung: list[Queue], database: Database
) -> None:
    worker = hands.worker()
    hands.job(hands.project())
    lost = hands.must_claim(worker)
    expire(hands, lost.step_id)
    assert tidy().leases_expired == 1
    assert rung == ["cpu"]
    step = hands.step(lost.step_id)
    assert (step.state, step.ready, step.losses) == ("queued", True, 1)
    again = hands.must_claim(hands.worker())
    assert again.attempt == lost.attempt + 1
    with pytest.raises(FencedError):
        hands.complete(lost)
    assert broken(database) == []


def test_a_lease_that_holds_is_left_alone(hands: Hands, tidy: Callable[[], Mended]) -> None:
    hands.job(hands.project())
    claim = hands.must_claim(hands.worker())
    assert tidy().leases_expired == 0
    assert hands.step(claim.step_id).state == "running"


def test_after_the_database_was_away_workers_have_a_lease_to_come_back(
    hands: Hands, database: Database
) -> None:
    hands.job(hands.project())
    claim = hands.must_claim(hands.worker())
    expire(hands, claim.step_id)
    long = 1e6  # the server has not been up for that
    mended = reconcile(database, lambda _: None, lease_seconds=long, silence_seconds=long)
    assert not mended
    assert hands.step(claim.step_id).state == "running"


def test_a_step_that_kills_three_workers_is_put_into_quarantine(
    hands: Hands, tidy: Callable[[], Mended]
) -> None:
    job = hands.job(hands.project())
    worker = hands.worker()
    hands.reach(worker, job, "detect")
    for _ in range(3):
        poison = hands.must_claim(hands.worker())
        expire(hands, poison.step_id)
        tidy()
    step = hands.step(poison.step_id)
    assert (step.state, step.error_code) == ("failed", "quarantined")
    assert hands.get(job).attention
    other = hands.must_claim(hands.worker())
    assert other.step_id != poison.step_id


def test_a_backoff_that_is_over_makes_its_step_ready(
    hands: Hands, tidy: Callable[[], Mended], rung: list[Queue]
) -> None:
    hands.job(hands.project())
    claim = hands.must_claim(hands.worker())
    hands.fail(claim, "infrastructure")
    assert tidy().backoffs_over == 0
    hands.run("UPDATE steps SET not_before = clock_timestamp() WHERE id = :s", s=claim.step_id)
    assert tidy().backoffs_over == 1
    assert hands.step(claim.step_id).ready
    assert "cpu" in rung


def test_a_paused_jobs_backoff_waits_for_the_person(
    hands: Hands, tidy: Callable[[], Mended], database: Database
) -> None:
    project = hands.project()
    job = hands.job(project)
    claim = hands.must_claim(hands.worker())
    hands.fail(claim, "infrastructure")
    with database.transaction() as session:
        pause_job(session, project, job)
    hands.run("UPDATE steps SET not_before = clock_timestamp() WHERE id = :s", s=claim.step_id)
    tidy()
    assert not hands.step(claim.step_id).ready


def test_a_barrier_nobody_passed_is_passed(
    hands: Hands, tidy: Callable[[], Mended], database: Database
) -> None:
    job = hands.job(hands.project())
    hands.reach(hands.worker(), job, "track")
    # As if whoever completed the last detect step had not looked.
    hands.run("DELETE FROM steps WHERE job_id = :job AND stage = 'track'", job=job)
    hands.run("ALTER TABLE jobs DISABLE TRIGGER USER")
    hands.run("UPDATE jobs SET state = 'detecting' WHERE id = :job", job=job)
    hands.run("ALTER TABLE jobs ENABLE TRIGGER USER")
    assert any("no step to work on" in finding for finding in broken(database))
    assert tidy().barriers_passed == 1
    assert len(hands.steps(job, "track")) == 1
    assert broken(database) == []


def test_a_silent_worker_counts_as_gone(hands: Hands, tidy: Callable[[], Mended]) -> None:
    worker = hands.worker()
    assert tidy().workers_silent == 1
    assert hands.value("SELECT state FROM workers WHERE id = :w", w=worker) == "offline"


def test_queues_nobody_came_for_are_rung(
    hands: Hands, tidy: Callable[[], Mended], rung: list[Queue]
) -> None:
    tidy()
    assert rung == []
    hands.job(hands.project())
    tidy()
    assert rung == ["cpu"]


def test_two_passes_at_once_do_everything_once(
    hands: Hands, database: Database, tidy: Callable[[], Mended]
) -> None:
    project = hands.project()
    claims = []
    for _ in range(20):
        hands.job(project)
        claims.append(hands.must_claim(hands.worker()))
        expire(hands, claims[-1].step_id)
    mended: list[Mended] = []
    passes = [threading.Thread(target=lambda: mended.append(tidy())) for _ in range(4)]
    for one in passes:
        one.start()
    for one in passes:
        one.join()
    assert sum(each.leases_expired for each in mended) == 20
    assert {hands.step(claim.step_id).losses for claim in claims} == {1}
    assert broken(database) == []


def test_a_pass_takes_the_oldest_first_and_only_so_many(
    hands: Hands, tidy: Callable[[], Mended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "_AT_ONCE", 2)
    for _ in range(3):
        hands.job(hands.project())
        expire(hands, hands.must_claim(hands.worker()).step_id)
    assert tidy().leases_expired == 2
    assert tidy().leases_expired == 1
