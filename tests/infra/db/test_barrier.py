"""The last two to finish a stage start the next once; without the job's lock they do not."""

import threading
import uuid
from contextlib import ExitStack

import pytest

from infra.db import moves
from infra.db.leases import complete_step
from infra.db.orders import Claim
from infra.db.ranges import keep_original
from tests.infra.db.hands import QUEUES, Hands, result_of

ROUNDS = 10


def _two_last_renderings(hands: Hands, worker: uuid.UUID) -> tuple[uuid.UUID, list[Claim]]:
    job = hands.job(hands.project())
    hands.reach(worker, job, "render")
    return job, [hands.must_claim(worker, "gpu") for _ in range(2)]


def _finish_together(hands: Hands, claims: list[Claim]) -> None:
    """Complete both, with both transactions open before either commits, if the locks allow it."""
    first_done, second_done = threading.Event(), threading.Event()

    def finish(claim: Claim, mine: threading.Event, other: threading.Event) -> None:
        with hands.database.transaction() as session:
            complete_step(session, claim.step_id, claim.attempt, result_of(claim))
            mine.set()
            other.wait(0.2)

    threads = [
        threading.Thread(target=finish, args=(claims[0], first_done, second_done)),
        threading.Thread(target=finish, args=(claims[1], second_done, first_done)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_two_last_finishers_start_the_stitch_exactly_once(hands: Hands) -> None:
    worker = hands.worker()
    for _ in range(ROUNDS):
        job, claims = _two_last_renderings(hands, worker)
        _finish_together(hands, claims)
        assert len(hands.steps(job, "stitch")) == 1
        assert hands.state(job) == "stitching"
        hands.complete(hands.must_claim(worker, "stitch"))


def test_without_the_jobs_lock_nobody_starts_the_stitch(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = hands.worker()
    job, claims = _two_last_renderings(hands, worker)
    monkeypatch.setattr(moves, "JOB_LOCK", "")
    _finish_together(hands, claims)
    assert [step.state for step in hands.steps(job, "render")] == ["completed"] * 2
    assert hands.steps(job, "stitch") == []


def test_a_failed_segment_holds_the_barrier_until_the_original_is_kept(hands: Hands) -> None:
    worker, project = hands.worker(), hands.project()
    job = hands.job(project)
    hands.reach(worker, job, "render")
    bad, good = (hands.must_claim(worker, "gpu") for _ in range(2))
    hands.fail(bad, "content")
    hands.complete(good, result_of(good))
    found = hands.get(job)
    assert (found.state, found.attention) == ("rendering", True)
    assert hands.steps(job, "stitch") == []
    with hands.database.transaction() as session:
        keep_original(session, project, bad.step_id)
    found = hands.get(job)
    assert (found.state, found.attention) == ("stitching", False)
    kept = hands.step(bad.step_id)
    assert (kept.state, kept.kept_original, kept.artifact_id) == ("completed", True, None)


def test_many_finishers_at_once_leave_no_job_behind(hands: Hands) -> None:
    worker, project = hands.worker(), hands.project()
    jobs = [hands.job(project) for _ in range(6)]

    def work() -> None:
        while True:
            claims = [c for q in QUEUES if (c := hands.claim(worker, q))]
            if not claims:
                if {hands.state(job) for job in jobs} == {"completed"}:
                    return
                continue
            for claim in claims:
                hands.complete(claim, result_of(claim, segments=3, title=str(claim.job_id)))

    with ExitStack() as stack:
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
    counts = "SELECT stage, count(*), sum(attempt) FROM steps GROUP BY stage ORDER BY stage"
    assert [tuple(row) for row in hands.rows(counts)] == [
        ("detect", 18, 18),
        ("prepare", 6, 6),
        ("render", 18, 18),
        ("stitch", 6, 6),
        ("track", 6, 6),
    ]
