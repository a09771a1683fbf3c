"""What `lipfarm up` runs, as data: servers nobody gave an address of, then the farm's processes."""

import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from infra.db.session import Database
from infra.db.workers import list_workers
from infra.errors import ServiceUnavailableError
from infra.services.components import Component
from infra.services.folder import FarmFolder
from infra.services.ports import LOOPBACK
from infra.services.postgres import DATABASE, Postgres, create_data_folder, end_leftover
from infra.services.programs import Program
from infra.services.seaweed import PORTS, SeaweedFS
from infra.services.valkey import Valkey
from infra.settings import PREFIX, Settings

#: Beyond the time a worker has to finish its step, for everything around it.
_BEYOND_DRAIN_SECONDS = 15.0
_ANSWER_SECONDS = 2.0

_DATABASE_URL = f"{PREFIX}DATABASE_URL"
_REDIS_URL = f"{PREFIX}REDIS_URL"
_S3_ENDPOINT_URL = f"{PREFIX}S3_ENDPOINT_URL"
_S3_ACCESS_KEY = f"{PREFIX}S3_ACCESS_KEY"
_S3_SECRET_KEY = f"{PREFIX}S3_SECRET_KEY"
_SCRATCH_DIR = f"{PREFIX}SCRATCH_DIR"
#: What `lipfarm audit --data` and the like must know again, also where it was given from outside.
_KEPT = (
    *(_DATABASE_URL, _REDIS_URL, _S3_ENDPOINT_URL, _S3_ACCESS_KEY, _S3_SECRET_KEY),
    *(f"{PREFIX}S3_PUBLIC_ENDPOINT_URL", f"{PREFIX}S3_BUCKET", f"{PREFIX}S3_REGION"),
)


@dataclass(frozen=True, slots=True)
class Servers:
    """Servers of our own, and how to reach all three, whoever runs them.

    Attributes:
        components: to be kept alive.
        environment: ``LIPFARM_…`` settings for the farm's processes.
        postgres: ours; None where one was given.
    """

    components: tuple[Component, ...]
    environment: Mapping[str, str]
    postgres: Postgres | None

    def create_database(self) -> None:
        """Make the database in a server of ours that answers by now."""
        if self.postgres is not None and not self.postgres.has_database(DATABASE):
            self.postgres.create_database(DATABASE)


def prepare_servers(folder: FarmFolder, given: Mapping[str, str]) -> Servers:
    """Choose ports and passwords and make data folders for the servers that are not given.

    Args:
        folder: the farm's; held by us.
        given: the environment from outside.

    Raises:
        ServiceUnavailableError: a server's wheel is not installed.
    """
    environment = {name: given[name] for name in _KEPT if given.get(name)}
    environment[_SCRATCH_DIR] = given.get(_SCRATCH_DIR) or str(folder.path / "scratch")
    components: list[Component] = []
    postgres = None
    if _DATABASE_URL not in environment:
        postgres = _postgres(folder)
        start = partial(_fresh_postgres, postgres)
        components.append(Component("postgres", start, _of_pid(postgres.is_ready)))
        environment[_DATABASE_URL] = postgres.url(DATABASE)
    if _REDIS_URL not in environment:
        valkey = Valkey(folder.path / "valkey", folder.port("valkey"), folder.secret("valkey"))
        components.append(Component("valkey", valkey.program, _of_pid(valkey.is_ready)))
        environment[_REDIS_URL] = valkey.url
    if _S3_ENDPOINT_URL not in environment:
        seaweed = _seaweed(folder)
        is_ready = _of_pid(seaweed.is_ready)
        sweep = seaweed.remove_sockets
        components.append(Component("seaweedfs", seaweed.program, is_ready, sweep=sweep))
        environment[_S3_ENDPOINT_URL] = seaweed.url
        environment[_S3_ACCESS_KEY] = seaweed.access_key
        environment[_S3_SECRET_KEY] = seaweed.secret_key
    return Servers(tuple(components), environment, postgres)


def farm_processes(
    port: int,
    workers: Mapping[str, int],
    settings: Settings,
    environment: Mapping[str, str],
    needs: tuple[str, ...],
) -> list[Component]:
    """The API, the reconciler and the workers.

    Args:
        port: of the API, on 127.0.0.1.
        workers: how many processes serve each queue.
        settings: those the processes will have.
        environment: added to theirs.
        needs: the servers' names.
    """

    drain = settings.drain_seconds + _BEYOND_DRAIN_SECONDS
    is_api_ready = partial(_answers, f"http://{LOOPBACK}:{port}/healthz")
    api = _process(("api", "--host", LOOPBACK, "--port", str(port)), environment)
    reconciler = _process(("reconciler",), environment)
    components = [
        Component("api", lambda: api, _of_pid(is_api_ready), needs),
        Component("reconciler", lambda: reconciler, needs=needs),
    ]
    database = Database(settings.database_url, pool_size=1)
    for queue, count in workers.items():
        worker = _process(("worker", "--queues", queue), environment, drain)
        start, is_ready = partial(_itself, worker), partial(_is_at_work, database)
        components += [
            Component(f"worker-{queue}-{number}", start, is_ready, needs)
            for number in range(1, count + 1)
        ]
    return components


def _process(
    arguments: tuple[str, ...], environment: Mapping[str, str], stop_seconds: float = 10.0
) -> Program:
    argv = (sys.executable, "-m", "lipfarm", *arguments)
    return Program(argv, environment, stop_seconds=stop_seconds)


def _itself(program: Program) -> Program:
    return program


def _postgres(folder: FarmFolder) -> Postgres:
    server = Postgres(folder.path / "postgres", folder.port("postgres"), folder.secret("postgres"))
    create_data_folder(server.folder, server.password)
    return server


def _fresh_postgres(postgres: Postgres) -> Program:
    end_leftover(postgres.folder)
    return postgres.program()


def _seaweed(folder: FarmFolder) -> SeaweedFS:
    ports = {name: folder.port(f"seaweedfs.{name}") for name in PORTS}
    return SeaweedFS(folder.path / "seaweedfs", ports, "lipfarm", folder.secret("seaweedfs"))


def _of_pid(is_ready: Callable[[], bool]) -> Callable[[int], bool]:
    return lambda _pid: is_ready()


def _is_at_work(database: Database, pid: int) -> bool:
    """Whether the worker of that pid has entered itself into the fleet."""
    try:
        with database.transaction() as session:
            fleet = [(worker.hostname, worker.pid) for worker in list_workers(session)]
    except ServiceUnavailableError:
        return False
    return (socket.gethostname(), pid) in fleet


def _answers(url: str) -> bool:
    """Whether anything but a server error comes back."""
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_SECONDS):  # noqa: S310 -- our own, http
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False
