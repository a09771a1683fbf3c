"""A range of frames is paused, canceled, kept, retried and ranked, and the rest goes on."""

import threading
import uuid
from typing import Any

import pytest

from infra.db.audit import audit
from infra.db.claims import claim_step
from infra.db.control import cancel_job, pause_job, resume_job
from infra.db.leases import heartbeat
from infra.db.ranges import Touched, act_on_range, keep_original
from infra.errors import FencedError, IllegalMoveError, NotFoundError
from tests.infra.db.hands import Hands, result_of


class Film:
    """A job of four segments of 100 frames, each to be rendered."""

    def __init__(self, hands: Hands, stage: str = "render") -> None:
        self.hands, self.project, self.worker = hands, hands.project(), hands.worker()
        self.job = hands.job(self.project)
        hands.reach(self.worker, self.job, stage, segments=4)

    def do(self, start: int, end: int, action: Any, priority: int = 0) -> list[Touched]:
        with self.hands.database.transaction() as session:
            return act_on_range(
                session, self.project, self.job, (start, end), action, priority=priority
            )

    def states(self, stage: str = "render") -> list[str]:
        return [
            f"{step.state}{' kept' * step.kept_original}{' held' * step.held}"
            for step in self.hands.steps(self.job, stage)
        ]

    def finish(self) -> None:
        """Work until nothing is left to claim."""
        for queue in ("cpu", "gpu", "stitch"):
            while (claim := self.hands.claim(self.worker, queue)) is not None:
                self.hands.complete(claim, result_of(claim, 4))


@pytest.fixture
def film(hands: Hands) -> Film:
    return Film(hands)


def _is_well(hands: Hands) -> bool:
    with hands.database.transaction() as session:
        return not list(audit(session))


@pytest.mark.parametrize(
    ("start", "end", "touched"),
    [(0, 1, [0]), (99, 101, [0, 1]), (100, 200, [1]), (0, 10_000, [0, 1, 2, 3])],
)
def test_a_range_is_the_steps_that_overlap_it(film, start, end, touched):
    steps = [step.id for step in film.hands.steps(film.job, "render")]
    done = film.do(start, end, "priority", 5)
    assert [steps.index(each.step_id) for each in done] == touched
    ranks = [step.rank for step in film.hands.steps(film.job, "render")]
    assert ranks == [-5 if index in touched else 0 for index in range(4)]


def test_a_paused_range_waits_and_the_rest_is_finished(film, hands):
    running = hands.must_claim(film.worker, "gpu")
    film.do(0, 150, "pause")
    with pytest.raises(FencedError), hands.database.transaction() as session:
        heartbeat(session, running.step_id, running.attempt, 1)
    film.finish()
    assert film.states() == ["queued held", "queued held", "completed", "completed"]
    assert hands.state(film.job) == "rendering"
    assert _is_well(hands)
    film.do(0, 400, "resume")
    film.finish()
    assert hands.state(film.job) == "completed"


def test_a_resumed_job_does_not_let_a_paused_range_go(film, hands):
    film.do(100, 200, "pause")
    for act in (pause_job, resume_job):
        with hands.database.transaction() as session:
            act(session, film.project, film.job)
    film.finish()
    assert film.states() == ["completed", "queued held", "completed", "completed"]


def test_a_range_resumed_under_a_paused_job_still_waits(film, hands):
    film.do(0, 100, "pause")
    with hands.database.transaction() as session:
        pause_job(session, film.project, film.job)
    film.do(0, 100, "resume")
    assert hands.claim(film.worker, "gpu") is None
    assert _is_well(hands)


def test_a_canceled_range_keeps_its_picture_whatever_was_done_there(film, hands):
    running = hands.must_claim(film.worker, "gpu")
    hands.fail(hands.must_claim(film.worker, "gpu"), "content")
    film.do(0, 300, "cancel")
    assert film.states() == ["completed kept"] * 3 + ["queued"]
    assert not hands.get(film.job).attention
    with pytest.raises(FencedError):
        hands.complete(running, result_of(running))
    assert hands.value("SELECT outcome FROM attempts WHERE step_id = :s", s=running.step_id) == (
        "canceled"
    )
    film.finish()
    assert hands.state(film.job) == "completed"
    assert _is_well(hands)


def test_keeping_the_original_lets_what_runs_be_finished(film, hands):
    running = hands.must_claim(film.worker, "gpu")
    done = film.do(0, 200, "keep-original")
    assert [(each.state, each.is_done) for each in done] == [("running", False), ("queued", True)]
    hands.complete(running, result_of(running))
    assert film.states()[:2] == ["completed", "completed kept"]


def test_the_last_range_that_is_kept_passes_the_barrier(hands):
    film = Film(hands, "detect")
    film.do(0, 400, "keep-original")
    assert film.states("detect") == ["completed kept"] * 4
    assert hands.state(film.job) == "tracking"
    film.finish()
    assert hands.state(film.job) == "completed"


def test_what_failed_in_a_range_is_retried_and_nothing_else(film, hands):
    for _ in range(2):
        hands.fail(hands.must_claim(film.worker, "gpu"), "content")
    done = film.do(0, 100, "retry")
    assert [each.is_done for each in done] == [True]
    assert film.states() == ["queued", "failed", "queued", "queued"]
    assert hands.get(film.job).attention


def test_a_held_step_whose_backoff_ends_stays_held(film, hands, database):
    from infra.db.reconcile import reconcile  # noqa: PLC0415 -- for this one

    hands.fail(hands.must_claim(film.worker, "gpu"), "infrastructure")
    film.do(0, 100, "pause")
    hands.run("UPDATE steps SET not_before = now() WHERE not_before IS NOT NULL")
    reconcile(database, lambda _: None, lease_seconds=1, silence_seconds=1000)
    assert film.states()[0] == "queued held"
    film.do(0, 100, "resume")
    assert hands.must_claim(film.worker, "gpu").segment_index == 0


def test_a_claim_under_way_is_taken_too(film, hands):
    thread = threading.Thread(target=film.do, args=(0, 100, "cancel"))
    with hands.database.transaction() as session:
        claim = claim_step(session, film.worker, "gpu")
        assert claim is not None
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join()
    assert film.states()[0] == "completed kept"
    assert _is_well(hands)


def test_a_job_that_ended_or_has_no_steps_there_has_no_ranges(hands):
    project = hands.project()
    job = hands.job(project)
    for _ in range(2):
        with pytest.raises(IllegalMoveError), hands.database.transaction() as session:
            act_on_range(session, project, job, (0, 10), "pause")
        with hands.database.transaction() as session:
            cancel_job(session, project, job)


def test_another_projects_ranges_and_steps_are_not_found(film, hands):
    other = hands.project("other")
    step = hands.steps(film.job, "render")[0]
    with pytest.raises(NotFoundError), hands.database.transaction() as session:
        act_on_range(session, other, film.job, (0, 10), "cancel")
    with pytest.raises(NotFoundError), hands.database.transaction() as session:
        keep_original(session, other, step.id)
    with pytest.raises(NotFoundError), hands.database.transaction() as session:
        act_on_range(session, other, uuid.uuid4(), (0, 10), "cancel")


def test_a_step_at_work_or_of_the_whole_job_is_not_kept(film, hands):
    claim = hands.must_claim(film.worker, "gpu")
    (track,) = hands.steps(film.job, "track")
    for step in (claim.step_id, track.id):
        with pytest.raises(IllegalMoveError), hands.database.transaction() as session:
            keep_original(session, film.project, step)
