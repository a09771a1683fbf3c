"""What comes of failures, by their class."""

import pytest

from infra.db.control import retry_job
from infra.db.failures import lose_step
from infra.db.orders import FailureKind
from infra.db.verdicts import History, judge
from infra.errors import IllegalMoveError
from pipeline.errors import FaceChoiceError
from tests.infra.db.hands import Hands, result_of


def _again(hands: Hands) -> None:
    """Let backoffs end now."""
    hands.run("UPDATE steps SET ready = true, not_before = NULL WHERE state = 'queued'")


def test_infrastructure_is_tried_for_ever_ever_more_slowly() -> None:
    delays = [judge("infrastructure", History(infrastructure=n)).delay_seconds for n in range(9)]
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert judge("infrastructure", History(infrastructure=1000)).again


def test_infrastructure_costs_nothing_and_waits(hands: Hands) -> None:
    worker = hands.worker()
    hands.job(hands.project())
    claim = hands.must_claim(worker)
    hands.fail(claim, "infrastructure", "bucket_down")
    step = hands.step(claim.step_id)
    assert (step.state, step.ready, step.failures, step.losses) == ("queued", False, 0, 0)
    assert step.not_before is not None
    assert hands.claim(worker) is None
    assert hands.value("SELECT count(*) FROM benches") == 0


def test_content_that_cannot_be_dubbed_rejects_the_job(hands: Hands) -> None:
    job = hands.job(hands.project())
    hands.fail(hands.must_claim(hands.worker()), "content", "no_video_stream")
    found = hands.get(job)
    assert (found.state, found.error_code) == ("rejected", "no_video_stream")
    assert found.finished_at is not None


def test_a_face_that_is_not_where_the_order_says_rejects_the_job(hands: Hands) -> None:
    worker = hands.worker()
    job = hands.job(hands.project())
    hands.reach(worker, job, "track")
    hands.fail(hands.must_claim(worker, "cpu"), "content", FaceChoiceError.code)
    found = hands.get(job)
    assert (found.state, found.error_code) == ("rejected", FaceChoiceError.code)
    assert found.finished_at is not None
    with pytest.raises(IllegalMoveError), hands.database.transaction() as session:
        retry_job(session, found.project_id, job)


def test_a_stitch_that_failed_fails_the_job(hands: Hands) -> None:
    worker = hands.worker()
    job = hands.job(hands.project())
    hands.reach(worker, job, "stitch")
    hands.fail(hands.must_claim(worker, "stitch"), "content")
    assert hands.state(job) == "failed"


def test_a_segment_that_failed_needs_attention_and_the_rest_goes_on(hands: Hands) -> None:
    worker = hands.worker()
    job = hands.job(hands.project())
    hands.reach(worker, job, "render", segments=3)
    hands.fail(hands.must_claim(worker, "gpu"), "content")
    for _ in range(2):
        claim = hands.must_claim(worker, "gpu")
        hands.complete(claim, result_of(claim))
    found = hands.get(job)
    assert (found.state, found.attention) == ("rendering", True)


def test_a_worker_too_small_leaves_the_stage_of_the_job_to_another(hands: Hands) -> None:
    small, large = hands.worker(), hands.worker()
    hands.job(hands.project())
    hands.fail(hands.must_claim(small), "resource", "out_of_memory")
    assert hands.claim(small) is None
    assert hands.claim(large) is not None


def test_the_only_worker_is_not_benched_for_ever(hands: Hands) -> None:
    worker = hands.worker()
    hands.job(hands.project())
    hands.fail(hands.must_claim(worker), "resource")
    assert hands.claim(worker) is not None


def test_when_all_are_benched_any_may_try(hands: Hands) -> None:
    workers = [hands.worker(), hands.worker()]
    hands.job(hands.project())
    for worker in workers:
        hands.fail(hands.must_claim(worker), "resource")
        _again(hands)
    assert hands.claim(workers[0]) is not None


def test_the_fifth_worker_too_small_is_the_last(hands: Hands) -> None:
    job = hands.job(hands.project())
    for _ in range(5):
        _again(hands)
        hands.fail(hands.must_claim(hands.worker()), "resource", "out_of_memory")
    assert hands.state(job) == "failed"


@pytest.mark.parametrize("dies", ["the runner", "the worker"])
def test_a_step_that_killed_three_is_quarantined_and_others_do_not_notice(
    hands: Hands, dies: str
) -> None:
    project = hands.project()
    poisoned = hands.job(project)
    hands.reach(hands.worker(), poisoned, "render", segments=2)
    for _ in range(3):
        _again(hands)
        claim = hands.must_claim(hands.worker(), "gpu")
        assert claim.segment_index == 0
        if dies == "the runner":
            hands.fail(claim, "death", "runner_died")
            continue
        hands.run("UPDATE steps SET lease_until = now() - interval '1 s' WHERE lease_until > now()")
        with hands.database.transaction() as session:
            assert lose_step(session, claim.step_id, claim.attempt)
    step = hands.step(claim.step_id)
    assert (step.state, step.error_code, step.losses) == ("failed", "quarantined", 3)
    assert hands.get(poisoned).attention
    other = hands.must_claim(hands.worker(), "gpu")
    assert (other.job_id, other.segment_index) == (poisoned, 1)
    outcomes = hands.rows("SELECT DISTINCT outcome FROM attempts WHERE step_id = :s", s=step.id)
    assert [row[0] for row in outcomes] == ["failed" if dies == "the runner" else "lost"]


def test_failing_in_three_jobs_in_a_row_makes_a_worker_sick(hands: Hands) -> None:
    worker, project = hands.worker(), hands.project()
    for _ in range(3):
        hands.job(project)
        assert hands.value("SELECT state FROM workers") == "online"
        hands.fail(hands.must_claim(worker), "resource")
        hands.run("UPDATE steps SET ready = false")
    assert hands.value("SELECT state FROM workers") == "sick"


def test_one_bad_job_makes_no_worker_sick(hands: Hands) -> None:
    worker = hands.worker()
    hands.job(hands.project())
    for _ in range(4):
        _again(hands)
        hands.fail(hands.must_claim(worker), "resource")
    assert hands.value("SELECT state FROM workers") == "online"


def test_a_step_that_works_clears_the_workers_record(hands: Hands) -> None:
    worker, project = hands.worker(), hands.project()
    for kind in ("resource", "resource", None, "resource"):
        hands.job(project)
        claim = hands.must_claim(worker)
        failed: FailureKind | None = "resource" if kind else None
        if failed:
            hands.fail(claim, failed)
        else:
            hands.complete(claim, result_of(claim))
        hands.run("UPDATE steps SET ready = false")
    assert hands.value("SELECT cardinality(failed_jobs) FROM workers") == 1
