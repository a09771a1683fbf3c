"""What happened is read in one order, and nothing of it is missed or read twice."""

import contextlib
import threading
import uuid

import pytest
from sqlalchemy import text

from infra.db.events import START, Place, events_after, forget_events, heal_after_restore, horizon
from infra.db.models import Event
from infra.db.session import Database
from tests.infra.db.hands import Hands


def happen(database: Database, kind: str, ends: contextlib.ExitStack, project: uuid.UUID) -> None:
    """In a transaction that is under way until the stack ends."""
    session = ends.enter_context(database.transaction())
    session.add(Event(project_id=project, job_id=project, kind=kind, data={}))
    session.flush()


def read(database: Database, after: Place = START) -> tuple[list[str], Place]:
    with database.transaction() as session:
        events = events_after(session, after)
    return [e.kind for e in events], Place(events[-1].xact, events[-1].id) if events else after


def test_what_commits_late_is_neither_missed_nor_told_twice(hands: Hands) -> None:
    database, project = hands.database, uuid.uuid4()
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    happen(database, "job.first", first, project)
    happen(database, "job.second", second, project)
    second.close()  # the later one commits earlier
    kinds, place = read(database)
    assert kinds == []  # though it is committed: something may still come before it
    first.close()
    assert read(database, place)[0] == ["job.first", "job.second"]
    kinds, place = read(database, place)
    assert read(database, place)[0] == []


def test_many_writers_and_one_reader_agree(hands: Hands) -> None:
    database, project = hands.database, uuid.uuid4()

    def write(writer: int) -> None:
        for number in range(20):
            with database.transaction() as session:
                for part in "ab":
                    kind = f"job.w{writer}n{number}{part}"
                    session.add(Event(project_id=project, job_id=project, kind=kind, data={}))
                    session.flush()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    seen, place = list[str](), START
    while any(thread.is_alive() for thread in threads):
        kinds, place = read(database, place)
        seen += kinds
    kinds, place = read(database, place)
    seen += kinds
    assert len(seen) == len(set(seen)) == 6 * 20 * 2
    for writer in range(6):
        ours = [kind for kind in seen if kind.startswith(f"job.w{writer}n")]
        assert ours == [f"job.w{writer}n{n}{part}" for n in range(20) for part in "ab"]


def test_horizon_is_before_all_that_comes(hands: Hands) -> None:
    database, project = hands.database, uuid.uuid4()
    under_way = contextlib.ExitStack()
    happen(database, "job.under-way", under_way, project)
    with database.transaction() as session:
        place = horizon(session)
    under_way.close()
    with contextlib.ExitStack() as after:
        happen(database, "job.after", after, project)
    assert read(database, place)[0] == ["job.under-way", "job.after"]


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        ([], {"job.created", "step.created", "step.claimed"}),
        (["job"], {"job.created"}),
        (["step.claimed", "job"], {"job.created", "step.claimed"}),
        (["worker"], set()),
    ],
)
def test_kinds_are_chosen_by_name_or_noun(hands: Hands, kinds: list[str], found: set[str]) -> None:
    hands.clear()
    job = hands.job(hands.project())
    hands.must_claim(hands.worker())
    with hands.database.transaction() as session:
        events = events_after(session, START, job_id=job, kinds=kinds)
    assert {event.kind for event in events} - {"step.queued", "job.preparing"} <= found
    assert {event.kind for event in events} >= found - {"step.created"}


def test_old_events_are_forgotten_in_pieces(hands: Hands) -> None:
    hands.run(
        "INSERT INTO events (project_id, job_id, kind, at) SELECT gen_random_uuid(), "
        "gen_random_uuid(), 'job.' || n, now() - CASE WHEN n <= 25 THEN interval '91 days' "
        "ELSE interval '1 day' END FROM generate_series(1, 30) n"
    )
    deleted = []
    for _ in range(4):
        with hands.database.transaction() as session:
            deleted.append(forget_events(session, 90 * 86400, most=10))
    assert deleted == [10, 10, 5, 0]
    assert hands.value("SELECT count(*) FROM events") == 5


def test_events_of_a_restored_dump_are_seen_again(hands: Hands) -> None:
    database, project = hands.database, uuid.uuid4()
    for number in range(3):
        hands.run(
            "INSERT INTO events (project_id, job_id, kind, xact) "
            "VALUES (:project, :project, :kind, pg_current_xact_id()::text::bigint + 1000000)",
            project=project,
            kind=f"job.restored{number}",
        )
    assert read(database)[0] == []
    with database.transaction() as session:
        assert heal_after_restore(session) == 3
        assert heal_after_restore(session) == 0
    hands.run(
        "INSERT INTO events (project_id, job_id, kind) VALUES (:project, :project, 'job.new')",
        project=project,
    )
    assert read(database)[0] == ["job.restored0", "job.restored1", "job.restored2", "job.new"]


def test_reading_on_needs_an_index_alone(hands: Hands) -> None:
    hands.run(
        "INSERT INTO events (project_id, job_id, kind) SELECT gen_random_uuid(), "
        "gen_random_uuid(), 'job.x' FROM generate_series(1, 3000)"
    )
    hands.run("ANALYZE events")
    with hands.database.transaction() as session:
        place = horizon(session)
        session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = session.execute(
            text(
                "EXPLAIN SELECT * FROM events WHERE (xact, id) > (:xact, 0) AND events.xact < "
                "(SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint) "
                "ORDER BY xact, id LIMIT 500"
            ),
            {"xact": place.xact},
        ).scalars()
        assert "ix_events_xact_id" in "\n".join(plan)
