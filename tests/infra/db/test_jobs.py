"""Orders, their idempotency, pages of them, and keys."""

import threading
import uuid
from datetime import UTC, datetime

import pytest

from infra.db.assets import Place, create_asset, set_fetched
from infra.db.control import pause_job
from infra.db.finding import Wanted, find_jobs
from infra.db.jobs import ConflictError, NewJob, create_job, delete_job
from infra.db.keys import list_api_keys, revoke_api_key
from infra.db.projects import authenticate, create_api_key
from infra.errors import NotFoundError
from tests.infra.db.hands import Hands


def _order(hands: Hands, project: uuid.UUID, digest: str = "d", key: str | None = "k") -> NewJob:
    with hands.database.transaction() as session:
        asset = create_asset(session, project, "video", "a", object_key=uuid.uuid4().hex)
    return NewJob(asset.id, asset.id, idempotency_key=key, request_digest=digest)


def _create(hands: Hands, project: uuid.UUID, order: NewJob) -> tuple[uuid.UUID, bool]:
    with hands.database.transaction() as session:
        job, is_new = create_job(session, project, order)
        return job.id, is_new


def test_the_same_order_twice_is_one_job(hands: Hands) -> None:
    project = hands.project()
    order = _order(hands, project)
    first, second = _create(hands, project, order), _create(hands, project, order)
    assert first[0] == second[0]
    assert (first[1], second[1]) == (True, False)
    assert hands.value("SELECT count(*) FROM steps") == 1


def test_another_order_under_the_same_key_is_a_conflict(hands: Hands) -> None:
    project = hands.project()
    _create(hands, project, _order(hands, project, "one"))
    with pytest.raises(ConflictError):
        _create(hands, project, _order(hands, project, "other"))


def test_a_key_is_its_projects_own(hands: Hands) -> None:
    for name in ("one", "two"):
        project = hands.project(name)
        assert _create(hands, project, _order(hands, project, name))[1]


def test_orders_without_a_key_are_all_new(hands: Hands) -> None:
    project = hands.project()
    assert all(_create(hands, project, _order(hands, project, key=None))[1] for _ in range(2))


def test_the_same_order_from_many_at_once_is_one_job(hands: Hands) -> None:
    project = hands.project()
    order = _order(hands, project)
    made: list[tuple[uuid.UUID, bool]] = []
    threads = [
        threading.Thread(target=lambda: made.append(_create(hands, project, order)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job for job, _ in made}) == 1
    assert sum(is_new for _, is_new in made) == 1


def test_another_projects_input_cannot_be_used(hands: Hands) -> None:
    order = _order(hands, hands.project("one"))
    with pytest.raises(NotFoundError):
        _create(hands, hands.project("two"), order)


def test_pages_hold_every_job_once_newest_first(hands: Hands) -> None:
    project = hands.project()
    jobs = [hands.job(project) for _ in range(5)]
    seen: list[uuid.UUID] = []
    after = None
    with hands.database.transaction() as session:
        while page := find_jobs(session, project, Wanted(), after=after, limit=2):
            seen += [job.id for job in page]
            after = Place(page[-1].created_at, page[-1].id)
    assert seen == jobs[::-1]


def test_a_deleted_job_leaves_no_row_and_stops(hands: Hands) -> None:
    project = hands.project()
    job = hands.job(project)
    hands.must_claim(hands.worker())
    with hands.database.transaction() as session:
        delete_job(session, project, job)
    assert hands.value("SELECT count(*) FROM steps") == 0
    assert hands.value("SELECT count(*) FROM attempts") == 0


def test_the_first_to_fetch_an_input_counts(hands: Hands) -> None:
    project = hands.project()
    with hands.database.transaction() as session:
        asset = create_asset(session, project, "audio", "a", source_url="https://example.com/a")
        first = set_fetched(session, asset.id, "first", 3, "0" * 64)
        second = set_fetched(session, asset.id, "second", 3, "0" * 64)
    assert first == second
    assert second.object_key == "first"


def test_an_ended_job_with_a_webhook_is_told_of_once(hands: Hands) -> None:
    project = hands.project()
    job = hands.job(project, webhook_url="https://example.com/hook")
    with hands.database.transaction() as session:
        pause_job(session, project, job)
    assert hands.value("SELECT count(*) FROM webhook_deliveries") == 0
    hands.run("UPDATE jobs SET state = 'canceled', desired = 'cancel'")
    (row,) = hands.rows(
        "SELECT d.url, e.kind FROM webhook_deliveries d JOIN events e ON e.id = d.event_id"
    )
    assert tuple(row) == ("https://example.com/hook", "job.canceled")


def test_a_key_lets_its_project_in_until_it_is_revoked(hands: Hands) -> None:
    project = hands.project()
    with hands.database.transaction() as session:
        key = create_api_key(session, project, "first", scopes=["jobs"])
        caller = authenticate(session, key.secret)
        assert caller is not None
        assert (caller.project_id, caller.scopes) == (project, ("jobs",))
        assert authenticate(session, key.secret + "x") is None
        assert revoke_api_key(session, project, key.id)
        assert authenticate(session, key.secret) is None
        assert key.secret.encode() not in [k.secret_hash for k in list_api_keys(session, project)]


def test_an_expired_key_lets_nobody_in(hands: Hands) -> None:
    with hands.database.transaction() as session:
        past = datetime(2020, 1, 1, tzinfo=UTC)
        key = create_api_key(session, hands.project(), "old", expires_at=past)
        assert authenticate(session, key.secret) is None
