"""Who gets which step next: priority, then fair share, then age; and never one step twice."""

import threading
import uuid
from collections import Counter

import pytest

from infra.db.claims import claim_step
from infra.db.moves import lock_job
from infra.db.orders import Claim
from infra.db.workers import drain_worker, mark_sick, prove_well
from tests.infra.db.hands import Hands, result_of


def _pile(hands: Hands, project: uuid.UUID, jobs: int) -> None:
    """That many more jobs like one there is, each with its prepare ready."""
    hands.job(project)
    hands.run(
        "WITH more AS (INSERT INTO jobs (project_id, source_id, dialogue_id) "
        "SELECT project_id, source_id, dialogue_id "
        "FROM (SELECT * FROM jobs WHERE project_id = :project LIMIT 1) j, "
        "generate_series(2, :jobs) RETURNING id, project_id) "
        "INSERT INTO steps (job_id, project_id, stage, queue, ready) "
        "SELECT id, project_id, 'prepare', 'cpu', true FROM more",
        project=project,
        jobs=jobs,
    )


def test_ten_thousand_jobs_do_not_delay_another_projects_one(hands: Hands) -> None:
    large, small, worker = hands.project("large"), hands.project("small"), hands.worker()
    _pile(hands, large, 10_000)
    running = [hands.must_claim(worker) for _ in range(4)]
    assert {claim.project_id for claim in running} == {large}
    hands.job(small)
    assert hands.must_claim(worker).project_id == small


def test_one_worker_serves_projects_in_turn(hands: Hands) -> None:
    projects = [hands.project(name) for name in "abc"]
    worker = hands.worker()
    for project in projects:
        _pile(hands, project, 4)
    served = []
    for _ in range(9):
        claim = hands.must_claim(worker)
        served.append(claim.project_id)
        hands.complete(claim, result_of(claim, segments=0))
        hands.run("UPDATE steps SET ready = false WHERE stage <> 'prepare'")
    assert set(Counter(served).values()) == {3}
    assert served[:3] == served[3:6] == served[6:]


def test_a_project_of_weight_three_has_three_times_the_slots(hands: Hands) -> None:
    heavy, light, worker = hands.project("h", weight=3), hands.project("l"), hands.worker()
    for project in (heavy, light):
        _pile(hands, project, 20)
    claims = Counter(hands.must_claim(worker).project_id for _ in range(12))
    assert claims == {heavy: 9, light: 3}


def test_priority_goes_before_fair_share_and_age(hands: Hands) -> None:
    worker, project = hands.worker(), hands.project()
    hands.job(project)
    low = hands.job(project, priority=-1)
    high = hands.job(project, priority=5)
    order = [hands.must_claim(worker).job_id for _ in range(3)]
    assert (order[0], order[-1]) == (high, low)


def test_within_a_project_the_oldest_goes_first(hands: Hands) -> None:
    worker, project = hands.worker(), hands.project()
    jobs = [hands.job(project) for _ in range(3)]
    assert [hands.must_claim(worker).job_id for _ in jobs] == jobs


def test_no_step_is_claimed_twice_however_many_ask(hands: Hands) -> None:
    for name in "abcd":
        _pile(hands, hands.project(name), 25)
    worker = hands.worker()
    claims: list[Claim] = []

    def take() -> None:
        while (claim := hands.claim(worker)) is not None:
            claims.append(claim)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({claim.step_id for claim in claims}) == len(claims) == 100
    assert {claim.attempt for claim in claims} == {1}


def test_a_claim_waits_for_nobody(hands: Hands) -> None:
    project, worker = hands.project(), hands.worker()
    job = hands.job(project)
    with hands.database.transaction() as session:
        lock_job(session, job)  # by somebody who takes his time
        claim = hands.must_claim(worker)
    assert hands.state(job) == "queued"
    hands.complete(claim, result_of(claim))
    assert hands.state(job) == "detecting"


def test_a_second_worker_passes_over_a_step_being_claimed(hands: Hands) -> None:
    project, worker = hands.project(), hands.worker()
    jobs = [hands.job(project) for _ in range(2)]
    with hands.database.transaction() as session:
        first = claim_step(session, worker, "cpu")
        second = hands.must_claim(worker)
    assert first is not None
    assert {first.job_id, second.job_id} == set(jobs)


def test_two_languages_never_detect_the_same_segment_at_once(hands: Hands) -> None:
    project, worker = hands.project(), hands.worker()
    jobs = [hands.job(project) for _ in range(2)]
    for _ in jobs:
        claim = hands.must_claim(worker)
        hands.complete(claim, result_of(claim, segments=2))
    claims = [hands.must_claim(worker) for _ in range(2)]
    assert {claim.artifact_key for claim in claims} == {"detect-film-0", "detect-film-1"}
    assert hands.claim(worker) is None
    hands.complete(claims[0], result_of(claims[0]))
    twin = hands.must_claim(worker)
    assert twin.artifact_key == claims[0].artifact_key


@pytest.mark.parametrize("change", [drain_worker, mark_sick])
def test_only_an_online_worker_gets_work(hands: Hands, change: object) -> None:
    hands.job(hands.project())
    worker = hands.worker()
    assert callable(change)
    with hands.database.transaction() as session:
        change(session, worker)
    assert hands.claim(worker) is None
    assert hands.claim(uuid.uuid4()) is None


def test_a_sick_worker_that_proved_itself_works_again(hands: Hands) -> None:
    hands.job(hands.project())
    worker = hands.worker()
    with hands.database.transaction() as session:
        mark_sick(session, worker)
        prove_well(session, worker)
    assert hands.claim(worker) is not None
