import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from infra.errors import SettingsError
from infra.services.folder import FarmFolder, FolderBusyError
from infra.services.ports import LOOPBACK


def test_ports_and_secrets_are_the_same_at_the_next_start(tmp_path: Path) -> None:
    first, second = FarmFolder(tmp_path / "data"), FarmFolder(tmp_path / "data")
    assert first.port("postgres") == second.port("postgres")
    assert first.port("postgres") != first.port("valkey")
    assert first.secret("postgres") == second.secret("postgres")
    assert first.secret("postgres") != first.secret("valkey")


def test_a_port_somebody_took_meanwhile_is_replaced(tmp_path: Path) -> None:
    folder = FarmFolder(tmp_path)
    port = folder.port("postgres")
    with socket.create_server((LOOPBACK, port)):
        other = folder.port("postgres")
    assert other != port
    assert folder.port("postgres") == other


def test_only_the_owner_reads_the_secrets(tmp_path: Path) -> None:
    folder = FarmFolder(tmp_path / "data")
    folder.secret("postgres")
    folder.keep_environment({"LIPFARM_REDIS_URL": "redis://:x@h/0"})
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "data" / "farm.json").stat().st_mode) == 0o600
    assert FarmFolder(tmp_path / "data").environment() == {"LIPFARM_REDIS_URL": "redis://:x@h/0"}


def test_a_folder_in_use_says_by_whom(tmp_path: Path) -> None:
    with (
        FarmFolder(tmp_path).held(),
        pytest.raises(FolderBusyError, match=rf"pid {os.getpid()}\) runs the farm in {tmp_path}"),
        FarmFolder(tmp_path).held(),
    ):
        pass


def test_a_folder_whose_holder_was_killed_is_free(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from infra.services.folder import FarmFolder\n"
        "with FarmFolder(Path(sys.argv[1])).held(): print('held', flush=True); time.sleep(3600)\n"
    )
    argv = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
    with FarmFolder(tmp_path).held():
        pass


def test_a_folder_without_a_farm_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="start one there with `lipfarm up`"):
        FarmFolder(tmp_path).environment()
    assert list(tmp_path.iterdir()) == []
