"""The API on a port of its own, over real servers, and clients of two projects."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import structlog
import uvicorn
from sqlalchemy import text

from api.app import create_app
from infra.db.projects import create_api_key, create_project
from infra.db.session import Database
from infra.services.seaweed import SeaweedFS, running_seaweed
from infra.settings import Settings
from infra.storage.objects import ObjectStore
from tests.api.world import World, make_world
from tests.patience import LONG_SECONDS

MEBIBYTE = 1 << 20

#: Of an order; nothing fetches it.
INPUT = [
    {"type": "video", "url": "https://media.example/film.mov"},
    {"type": "audio", "url": "https://media.example/dub.wav"},
]


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    with running_seaweed(tmp_path_factory.mktemp("bucket")) as server:
        yield server


@pytest.fixture(scope="module")
def settings(postgres_url: str, redis_url: str, seaweed: SeaweedFS) -> Settings:
    return Settings(
        database_url=postgres_url,
        redis_url=redis_url,
        s3_endpoint_url=seaweed.url,
        s3_access_key=seaweed.access_key,
        s3_secret_key=seaweed.secret_key,
        max_upload_bytes=200 * MEBIBYTE,
    )


@pytest.fixture(scope="module")
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database_url, pool_size=20)
    yield database
    database.close()


@pytest.fixture(scope="module")
def store(settings: Settings) -> ObjectStore:
    store = ObjectStore(settings)
    store.ensure_bucket()
    return store


@pytest.fixture(scope="module")
def url(settings: Settings, database: Database, store: ObjectStore) -> Iterator[str]:
    """Where the API answers."""
    # It shares this process; its log must not mix with what a test prints.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    app = create_app(settings, database, store)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    (port,) = {s.getsockname()[1] for one in server.servers for s in one.sockets}
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def make_key(database: Database) -> Callable[..., str]:
    """Makes a key of a project by its name."""

    def make(project: str, *scopes: str) -> str:
        with database.transaction() as session:
            project_id = create_project(session, project)
            return create_api_key(session, project_id, "test", scopes=scopes).secret

    return make


@pytest.fixture(scope="module")
def client(url: str, make_key: Callable[..., str]) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=url, headers={"x-api-key": make_key("ours")}, timeout=LONG_SECONDS
    ) as client:
        yield client


@pytest.fixture(scope="module")
def stranger(url: str, make_key: Callable[..., str]) -> Iterator[httpx.Client]:
    """Of another project."""
    with httpx.Client(
        base_url=url, headers={"x-api-key": make_key("theirs")}, timeout=LONG_SECONDS
    ) as client:
        yield client


@pytest.fixture
def order(client: httpx.Client, database: Database) -> Callable[..., str]:
    """Makes generations in a farm that has no other, and gives their ids."""
    with database.transaction() as session:
        session.execute(text("DELETE FROM jobs"))

    def make(**fields: Any) -> str:
        answer = client.post("/v2/generate", json={"model": "draft", "input": INPUT, **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    return make


@pytest.fixture(scope="module")
def world(database: Database) -> World:
    """A project with one of everything."""
    return make_world(database, "studio")


@pytest.fixture(scope="module")
def admin(url: str, world: World) -> Iterator[httpx.Client]:
    headers = {"x-api-key": world.key("admin")}
    with httpx.Client(base_url=url, headers=headers, timeout=LONG_SECONDS) as client:
        yield client
