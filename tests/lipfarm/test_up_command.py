"""`lipfarm up` with real servers, and stand-ins for what it runs on them."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from infra.db.projects import authenticate
from infra.db.session import Database
from infra.services.folder import FarmFolder
from tests.patience import LONG_SECONDS

STAND_IN = Path(__file__).with_name("stand_in_farm.py")
COMPONENTS = {
    *("postgres", "valkey", "seaweedfs", "api", "reconciler"),
    *("worker-cpu-1", "worker-cpu-2", "worker-stitch-1"),
}
WORKERS = ("--cpu-workers", "2", "--gpu-workers", "0", "--stitch-workers", "1")


class Farm:
    def __init__(self, folder: Path) -> None:
        self.data, self.ready_file = folder / "data", folder / "ready.json"
        self.log = folder / "log"

    def argv(self, *more: str) -> list[str]:
        where = ("--data", str(self.data), "--port", "0", "--ready-file", str(self.ready_file))
        return [sys.executable, str(STAND_IN), "up", *where, *WORKERS, *more]

    def start(self) -> None:
        self.ready_file.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.argv(), stdout=log, stderr=log)
        self.wait(self.ready_file.exists)

    def wait(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LONG_SECONDS
        while not holds():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    @property
    def ready(self) -> dict[str, Any]:
        ready: dict[str, Any] = json.loads(self.ready_file.read_text())
        return ready

    def kill(self, name: str) -> None:
        """kill -9 a component and wait until everything is ready again."""
        pid = self.ready["processes"][name]
        os.kill(pid, signal.SIGKILL)
        self.wait(lambda: self.ready["processes"][name] != pid)

    def everyone(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def is_known(self, api_key: str) -> bool:
        url = FarmFolder(self.data).environment()["LIPFARM_DATABASE_URL"]
        database = Database(url)
        with database.transaction() as session:
            caller = authenticate(session, api_key)
        database.close()
        return caller is not None


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    farm = Farm(tmp_path_factory.mktemp("up"))
    farm.start()
    yield farm
    if farm.process.poll() is None:
        farm.process.kill()
    farm.process.wait()


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=LONG_SECONDS)
    return not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]


def test_the_ready_file_says_where_who_and_which(farm: Farm) -> None:
    ready = farm.ready
    assert set(ready) == {"url", "api_key", "processes"}
    assert set(ready["processes"]) == COMPONENTS
    assert all(map(psutil.pid_exists, ready["processes"].values()))
    assert httpx.get(ready["url"]).status_code < 500
    assert farm.is_known(ready["api_key"])
    assert stat.S_IMODE(farm.ready_file.stat().st_mode) == 0o600


def test_the_log_names_components_and_shows_the_key_but_no_password(farm: Farm) -> None:
    farm.wait(lambda: "API key" in farm.log.read_text())
    log = farm.log.read_text()
    assert "worker-cpu-2    at work ['worker', '--queues', 'cpu']" in log
    assert f"API key  {farm.ready['api_key']}" in log
    for name in ("postgres", "valkey", "seaweedfs"):
        assert FarmFolder(farm.data).secret(name) not in log


def test_no_secret_is_on_a_command_line(farm: Farm) -> None:
    lines = [" ".join(process.cmdline()) for process in farm.everyone()]
    for name in ("postgres", "valkey", "seaweedfs"):
        assert not [line for line in lines if FarmFolder(farm.data).secret(name) in line]


def test_a_second_farm_on_the_folder_is_told_so(farm: Farm) -> None:
    before = farm.ready
    second = subprocess.Popen(farm.argv(), stderr=subprocess.PIPE, text=True)
    _, said = second.communicate(timeout=LONG_SECONDS)
    assert second.returncode == 9
    assert f"another `lipfarm up` (pid {farm.process.pid}) runs the farm in {farm.data}" in said
    assert farm.ready == before


@pytest.mark.parametrize("name", ["worker-cpu-1", "valkey", "postgres", "api"])
def test_a_killed_component_comes_back_and_the_others_stay(farm: Farm, name: str) -> None:
    before = farm.ready["processes"]
    children = psutil.Process(before[name]).children(recursive=True)
    farm.kill(name)
    after = farm.ready["processes"]
    assert {other for other in COMPONENTS if before[other] != after[other]} == {name}
    assert gone(children)
    assert farm.is_known(farm.ready["api_key"])


def test_a_killed_up_leaves_no_process_and_the_next_carries_on(farm: Farm) -> None:
    before, everyone = farm.ready, farm.everyone()
    assert len(everyone) > len(COMPONENTS)
    farm.process.kill()
    farm.process.wait()
    farm.start()
    assert gone(everyone)
    assert farm.ready["url"] == before["url"]
    assert farm.ready["api_key"] == before["api_key"]
    assert farm.is_known(before["api_key"])


def test_ctrl_c_ends_workers_first_and_leaves_no_process(farm: Farm) -> None:
    everyone = farm.everyone()
    farm.process.send_signal(signal.SIGINT)
    assert farm.process.wait(LONG_SECONDS) == 0
    assert gone(everyone)
    log = farm.log.read_text()
    assert log.index("worker-cpu-1    worker.drained") < log.index("postgres        stopped")
    assert "Traceback" not in log
