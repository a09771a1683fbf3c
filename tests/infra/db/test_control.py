"""What a client wants takes effect at once, against running claims and late workers too."""

import threading
import uuid

import pytest

from infra.db.claims import claim_step
from infra.db.control import (
    cancel_job,
    pause_job,
    resume_job,
    retry_job,
    retry_step,
    set_priority,
)
from infra.db.leases import heartbeat
from infra.db.session import Database
from infra.errors import FencedError, IllegalMoveError, NotFoundError
from tests.infra.db.hands import Hands, result_of


def _do(hands: Hands, act: object, *values: object) -> None:
    assert callable(act)
    with hands.database.transaction() as session:
        act(session, *values)


def test_cancel_takes_running_steps_and_no_late_worker_can_publish(hands: Hands) -> None:
    project, worker = hands.project(), hands.worker()
    job = hands.job(project)
    hands.reach(worker, job, "render")
    claim = hands.must_claim(worker, "gpu")
    _do(hands, cancel_job, project, job)
    with pytest.raises(FencedError), hands.database.transaction() as session:
        heartbeat(session, claim.step_id, claim.attempt, 1)
    with pytest.raises(FencedError):
        hands.complete(claim, result_of(claim))
    assert hands.state(job) == "canceled"
    assert {step.state for step in hands.steps(job, "render")} == {"canceled"}
    assert hands.claim(worker, "gpu") is None


def test_canceling_twice_is_canceling_once(hands: Hands) -> None:
    project = hands.project()
    job = hands.job(project)
    for _ in range(2):
        _do(hands, cancel_job, project, job)
    assert hands.value("SELECT count(*) FROM events WHERE kind = 'job.canceled'") == 1


@pytest.mark.parametrize(("act", "left"), [(cancel_job, "canceled"), (pause_job, "queued")])
def test_a_claim_under_way_is_taken_too(hands: Hands, act: object, left: str) -> None:
    project, worker = hands.project(), hands.worker()
    job = hands.job(project)
    thread = threading.Thread(target=_do, args=(hands, act, project, job))
    with hands.database.transaction() as session:
        claim = claim_step(session, worker, "cpu")
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()  # it waits for the claim
    thread.join()
    assert claim is not None
    step = hands.step(claim.step_id)
    assert (step.state, step.ready) == (left, False)


def test_a_paused_job_gives_its_steps_back_and_resumes_where_it_was(hands: Hands) -> None:
    project, worker = hands.project(), hands.worker()
    job = hands.job(project)
    hands.reach(worker, job, "render")
    late = hands.must_claim(worker, "gpu")
    _do(hands, pause_job, project, job)
    with pytest.raises(FencedError):
        hands.complete(late, result_of(late))
    assert hands.claim(worker, "gpu") is None
    assert (hands.state(job), hands.get(job).desired) == ("rendering", "pause")
    _do(hands, resume_job, project, job)
    again = hands.must_claim(worker, "gpu")
    assert (again.step_id, again.attempt) == (late.step_id, 2)
    assert hands.step(again.step_id).losses == 0


def test_a_job_that_ended_is_neither_paused_nor_resumed(hands: Hands) -> None:
    project = hands.project()
    job = hands.job(project)
    _do(hands, cancel_job, project, job)
    for act in (pause_job, resume_job, retry_job):
        with pytest.raises(IllegalMoveError):
            _do(hands, act, project, job)


def test_another_projects_job_is_not_found(hands: Hands) -> None:
    job = hands.job(hands.project())
    for act in (cancel_job, pause_job, resume_job, retry_job):
        with pytest.raises(NotFoundError):
            _do(hands, act, uuid.uuid4(), job)


def test_a_new_priority_counts_for_steps_that_wait(hands: Hands) -> None:
    project, worker = hands.project(), hands.worker()
    hands.job(project)
    late = hands.job(project)
    _do(hands, set_priority, project, late, 3)
    assert hands.must_claim(worker).job_id == late


def test_a_failed_job_is_retried_from_where_it_failed(hands: Hands) -> None:
    project, worker = hands.project(), hands.worker()
    job = hands.job(project)
    hands.reach(worker, job, "stitch")
    hands.fail(hands.must_claim(worker, "stitch"), "content", "bug")
    _do(hands, retry_job, project, job)
    found = hands.get(job)
    assert (found.state, found.finished_at, found.error_code) == ("stitching", None, None)
    claim = hands.must_claim(worker, "stitch")
    assert (claim.stage, claim.attempt) == ("stitch", 2)


def test_a_retried_segment_needs_no_attention_and_every_worker_may_try(hands: Hands) -> None:
    project, worker, _other = hands.project(), hands.worker(), hands.worker()
    job = hands.job(project)
    hands.reach(worker, job, "render", segments=1)
    hands.fail(hands.must_claim(worker, "gpu"), "resource")
    hands.fail(hands.must_claim(_other, "gpu"), "content")
    (step,) = hands.steps(job, "render")
    _do(hands, retry_step, project, step.id)
    assert not hands.get(job).attention
    assert hands.must_claim(worker, "gpu").attempt == 3


def test_only_what_failed_is_retried(hands: Hands) -> None:
    project, worker = hands.project(), hands.worker()
    job = hands.job(project)
    hands.reach(worker, job, "render")
    with pytest.raises(IllegalMoveError):
        _do(hands, retry_step, project, hands.steps(job, "render")[0].id)


def test_whoever_works_is_rung_after_the_commit_and_not_before(
    hands: Hands, postgres_url: str
) -> None:
    rung: list[str] = []
    database = Database(
        postgres_url, ring=rung.append, ring_for_changes=lambda: rung.append("changes")
    )
    ringing = Hands(database)
    project = ringing.project()
    job = ringing.job(project)
    assert rung == ["cpu"]
    ringing.must_claim(ringing.worker())
    with database.transaction() as session:
        cancel_job(session, project, job)
        assert rung == ["cpu"]
    assert rung == ["cpu", "changes"]
    database.close()
