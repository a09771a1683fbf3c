"""Migrations go up and down and up, once however many try, and make what the models say."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from infra.db.migrating import downgrade, is_current, upgrade, wait_until_current
from infra.db.models import Base
from infra.db.session import with_driver
from infra.errors import ServiceUnavailableError
from infra.services.postgres import Postgres

# All that the models can say: columns with types and defaults, constraints, indexes, storage.
_SHAPE = """
SELECT 'column', format('%s.%s %s %s %s %s', c.relname, a.attname,
       format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
       pg_get_expr(d.adbin, d.adrelid))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0
  AND NOT a.attisdropped
UNION ALL
SELECT 'constraint', format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'index', indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'table', format('%s %s', relname, reloptions)
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""


def _shape(url: str) -> set[Any]:
    engine = create_engine(with_driver(url))
    with engine.connect() as connection:
        rows = {tuple(row) for row in connection.execute(text(_SHAPE))}
    engine.dispose()
    return {row for row in rows if "alembic_version" not in row[1]}


def _functions(url: str) -> int:
    engine = create_engine(with_driver(url))
    with engine.connect() as connection:
        count = connection.execute(
            text("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
        ).scalar_one()
    engine.dispose()
    return int(count)


@pytest.fixture
def url(postgres: Postgres, request: pytest.FixtureRequest) -> Any:
    name = f"migrating_{abs(hash(request.node.name))}"
    postgres.create_database(name)
    yield postgres.url(name)
    postgres.drop_database(name)


def test_migrations_make_what_the_models_say(url: str, postgres: Postgres) -> None:
    upgrade(url)
    postgres.create_database("from_models")
    engine = create_engine(with_driver(postgres.url("from_models")))
    Base.metadata.create_all(engine)
    engine.dispose()
    migrated, modeled = _shape(url), _shape(postgres.url("from_models"))
    postgres.drop_database("from_models")
    assert migrated == modeled


def test_down_and_up_again_leaves_nothing_and_makes_the_same(url: str) -> None:
    upgrade(url)
    before, functions = _shape(url), _functions(url)
    downgrade(url, "base")
    assert _shape(url) == set()
    assert _functions(url) == 0
    upgrade(url)
    assert (_shape(url), _functions(url)) == (before, functions)


def test_several_processes_may_migrate_at_once(url: str) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(3, mp_context=context) as pool:
        list(pool.map(upgrade, [url] * 3))
    assert is_current(url)


def test_a_database_nobody_migrates_is_not_waited_for_for_ever(url: str) -> None:
    assert not is_current(url)
    with pytest.raises(ServiceUnavailableError, match="revision"):
        wait_until_current(url, 0.1)


def test_no_database_is_one_line() -> None:
    with pytest.raises(ServiceUnavailableError) as caught:
        is_current("postgresql://lipfarm:secret@127.0.0.1:9/lipfarm")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
