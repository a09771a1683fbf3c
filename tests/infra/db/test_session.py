"""Transactions: what they hold back until the commit, and what a lost database looks like."""

import pytest
from sqlalchemy import text

from infra.db.session import Database, after_commit
from infra.errors import ServiceUnavailableError
from infra.services.postgres import Postgres
from tests.infra.db.hands import Hands


def test_a_rolled_back_transaction_leaves_nothing_and_calls_nobody(hands: Hands) -> None:
    called: list[str] = []
    with pytest.raises(KeyError), hands.database.transaction() as session:
        session.execute(text("INSERT INTO projects (name) VALUES ('gone')"))
        after_commit(session, lambda: called.append("called"))
        raise KeyError
    assert hands.value("SELECT count(*) FROM projects") == 0
    assert called == []


def test_what_is_called_after_the_commit_sees_it_and_cannot_undo_it(hands: Hands) -> None:
    seen: list[int] = []

    def look() -> None:
        seen.append(hands.value("SELECT count(*) FROM projects"))
        raise RuntimeError("too late")

    with hands.database.transaction() as session:
        session.execute(text("INSERT INTO projects (name) VALUES ('there')"))
        after_commit(session, look)
    assert seen == [1]


def test_no_database_is_unavailable_and_its_password_stays_secret() -> None:
    database = Database("postgresql://lipfarm:secret@127.0.0.1:9/lipfarm")
    with pytest.raises(ServiceUnavailableError) as caught, database.transaction() as session:
        session.execute(text("SELECT 1"))
    assert "secret" not in str(caught.value)
    database.close()


def test_a_cut_connection_is_unavailable_once_and_then_made_anew(
    hands: Hands, postgres_url: str
) -> None:
    database = Database(postgres_url)
    with pytest.raises(ServiceUnavailableError), database.transaction() as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        hands.run("SELECT pg_terminate_backend(:pid)", pid=pid)
        session.execute(text("SELECT 1"))
    with database.transaction() as session:
        assert session.scalar(text("SELECT 1")) == 1
    database.close()


def test_a_connection_that_rested_is_asked_first(
    hands: Hands, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.db.session._IDLE_SECONDS", 0.0)
    database = Database(postgres_url)
    with database.transaction() as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
    hands.run("SELECT pg_terminate_backend(:pid)", pid=pid)
    with database.transaction() as session:
        assert session.scalar(text("SELECT pg_backend_pid()")) != pid
    database.close()


def test_a_lock_that_is_not_given_up_is_not_waited_for_for_ever(
    hands: Hands, postgres_url: str
) -> None:
    hands.project()
    other = Database(postgres_url)
    with hands.database.transaction() as session:
        session.execute(text("LOCK TABLE projects"))
        with (
            pytest.raises(ServiceUnavailableError, match="too long"),
            other.transaction() as waiting,
        ):
            waiting.execute(text("SET LOCAL lock_timeout = '50ms'"))
            waiting.execute(text("SELECT * FROM projects"))
    other.close()


def test_a_database_that_is_missing_is_named(postgres: Postgres) -> None:
    database = Database(postgres.url("nowhere"))
    with (
        pytest.raises(ServiceUnavailableError, match="nowhere"),
        database.transaction() as session,
    ):
        session.execute(text("SELECT 1"))
    database.close()
