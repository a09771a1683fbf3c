"""``lipfarm up``: the whole farm on one machine, without Docker, until Ctrl-C."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from infra.errors import ServiceUnavailableError
from infra.logs import FORMAT_VARIABLE, LEVEL_VARIABLE
from infra.services.folder import READY_FILE, FarmFolder
from infra.services.notes import end_leftovers, write_atomically
from infra.services.ports import LOOPBACK, is_free
from infra.services.supervisor import StopRequestedError, Supervisor
from lipfarm.farm_log import OURSELVES, FarmLog
from pipeline.output.publish import check_output

if TYPE_CHECKING:
    from infra.db.session import Database

#: For servers whose folders were left in any state, and for processes that import torch.
_SERVERS_SECONDS = 120.0
_PROCESSES_SECONDS = 180.0

_PROJECT = "default"
_API_KEY = "api_key"

_count = click.IntRange(min=0)


@click.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("lipfarm-data"),
    show_default=True,
    help="Folder of the farm: database, media, settings. Start again with it to carry on.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: a free one."
)
@click.option("--cpu-workers", type=_count, default=1, show_default=True, help="Prepare, detect.")
@click.option("--gpu-workers", type=_count, default=1, show_default=True, help="Render.")
@click.option("--stitch-workers", type=_count, default=1, show_default=True, help="Stitch.")
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write address, API key and pids there as JSON once everything answers.",
)
@click.option("--json", "as_json", is_flag=True, help="The log as JSON lines.")
def up(
    data: Path,
    port: int,
    cpu_workers: int,
    gpu_workers: int,
    stitch_workers: int,
    ready_file: Path | None,
    *,
    as_json: bool,
) -> None:
    """Run a whole farm on this machine until Ctrl-C.

    PostgreSQL, Valkey and SeaweedFS are started where LIPFARM_DATABASE_URL, LIPFARM_REDIS_URL and
    LIPFARM_S3_ENDPOINT_URL do not name servers of yours.
    """
    from pipeline.media.ffmpeg_program import check_ffmpeg  # noqa: PLC0415 -- `--help` needs no PyAV

    workers = {"cpu": cpu_workers, "gpu": gpu_workers, "stitch": stitch_workers}
    if any(workers.values()):
        check_ffmpeg()
    folder = FarmFolder(data)
    if ready_file is not None:
        check_output(ready_file, what="ready file")
    with folder.held():
        _Up(folder, port, workers, ready_file, FarmLog(as_json=as_json)).run()


class _Up:
    """One run of the farm in a folder that is held."""

    def __init__(
        self,
        folder: FarmFolder,
        port: int,
        workers: Mapping[str, int],
        ready_file: Path | None,
        log: FarmLog,
    ) -> None:
        self._folder, self._workers, self._log = folder, workers, log
        # The one in the folder tells `lipfarm submit` and its kin where the farm is.
        self._ready_files = [folder.path / READY_FILE, *([ready_file] if ready_file else [])]
        self._pid_file = folder.path / "processes.json"
        self._api_key = ""
        self._has_greeted = False
        self._supervisor = Supervisor(
            pid_file=self._pid_file,
            on_line=log.add_line,
            on_event=log.add_event,
            on_ready=self._tell_ready,
        )
        self._wanted_port = port
        self._url = ""

    def run(self) -> None:
        """Start, keep alive, stop. Nothing is left afterwards, whatever happens."""
        self._unready()
        end_leftovers(self._pid_file)
        with _signals_to(self._supervisor):
            try:
                self._start()
                self._supervisor.run()
            except StopRequestedError:
                pass
            finally:
                self._say("stopping; press Ctrl-C again not to wait for steps in hand")
                self._unready()
                self._supervisor.stop()
        self._say("stopped; start again with the same --data to carry on")

    def _start(self) -> None:
        from infra.db.migrating import upgrade  # noqa: PLC0415 -- Alembic, boto3: half a second
        from infra.db.session import Database  # noqa: PLC0415
        from infra.settings import load_settings  # noqa: PLC0415
        from infra.storage.objects import ObjectStore  # noqa: PLC0415
        from lipfarm.farm_processes import farm_processes, prepare_servers  # noqa: PLC0415

        self._say(f"starting the farm in {self._folder.path}")
        port = self._choose_port()
        servers = prepare_servers(self._folder, os.environ)
        self._folder.keep_environment(dict(servers.environment))
        os.environ.update(servers.environment)
        settings = load_settings()
        self._supervisor.start(servers.components, _SERVERS_SECONDS)
        servers.create_database()
        ObjectStore(settings).ensure_bucket()
        upgrade(settings.database_url)
        self._api_key = self._first_key(Database(settings.database_url))
        environment = {
            FORMAT_VARIABLE: "json",
            LEVEL_VARIABLE: os.environ.get(LEVEL_VARIABLE, "info"),
            "PYTHONUNBUFFERED": "1",
        }
        needs = tuple(component.name for component in servers.components)
        components = farm_processes(port, self._workers, settings, environment, needs)
        self._supervisor.start(components, _PROCESSES_SECONDS)

    def _choose_port(self) -> int:
        port = self._wanted_port or self._folder.port("api")
        if not is_free(port):
            raise ServiceUnavailableError(
                f"port {port} is taken; choose another with --port, or any free one with --port 0"
            )
        self._url = f"http://{LOOPBACK}:{port}"
        return port

    def _first_key(self, database: "Database") -> str:
        """The key shown at every start; a new one where the database does not know it."""
        from infra.db.projects import (  # noqa: PLC0415
            authenticate,
            create_api_key,
            create_project,
        )

        with contextlib.closing(database), database.transaction() as session:
            kept = self._folder.kept(_API_KEY)
            if kept is not None and authenticate(session, kept) is not None:
                return kept
            key = create_api_key(
                session, create_project(session, _PROJECT), "first", scopes=["admin"]
            )
        self._folder.keep(_API_KEY, key.secret)
        return key.secret

    def _tell_ready(self, pids: Mapping[str, int]) -> None:
        ready = {"url": self._url, "api_key": self._api_key, "processes": pids}
        for file in self._ready_files:
            write_atomically(file, json.dumps(ready))
        if not self._has_greeted:
            self._has_greeted = True
            self._say(f"the farm is ready at {self._url}")
            # The one place a key is shown: to whoever started the farm, and again when asked for.
            click.echo(f"\n  address  {self._url}\n  API key  {self._api_key}\n")

    def _unready(self) -> None:
        for file in self._ready_files:
            file.unlink(missing_ok=True)

    def _say(self, text: str) -> None:
        self._log.add_event(OURSELVES, text)


@contextlib.contextmanager
def _signals_to(supervisor: Supervisor) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM stops the farm in order, the second at once."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        if supervisor.stop_requested.is_set():
            supervisor.hurry.set()
        supervisor.stop_requested.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
