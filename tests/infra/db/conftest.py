"""A farm without workers: a database, and hands to do what workers do."""

from collections.abc import Iterator

import pytest

from infra.db.session import Database
from tests.infra.db.hands import Hands


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[Database]:
    """The module's database."""
    database = Database(postgres_url, pool_size=30)
    yield database
    database.close()


@pytest.fixture
def hands(database: Database) -> Hands:
    """Hands in a farm nobody else ever used."""
    hands = Hands(database)
    hands.clear()
    return hands
