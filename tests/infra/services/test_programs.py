import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from infra.errors import ServiceUnavailableError
from infra.services.programs import Program, has_ended, kill_group, run_to_end, running, start, stop
from tests.patience import LONG_SECONDS

#: Prints its pid, then sleeps.
SLEEPER = (
    sys.executable,
    "-c",
    "import os, time; print(os.getpid(), flush=True); time.sleep(3600)",
)
#: The same with a child of its own, whose pid it prints too.
PARENT = (
    sys.executable,
    "-c",
    "import subprocess, sys; child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE); "
    "print(child.stdout.readline().decode(), end='', flush=True); child.wait()",
    *SLEEPER,
)
#: Takes no notice of being asked to stop.
DEAF = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('deaf', flush=True); time.sleep(3600)",
)


def first_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def wait_gone(pid: int) -> bool:
    deadline = time.monotonic() + LONG_SECONDS
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_the_pid_is_that_of_the_program_itself() -> None:
    with start(Program(SLEEPER), subprocess.PIPE) as process:
        assert int(first_line(process)) == process.pid
        stop(process, Program(SLEEPER))
    assert process.returncode == -signal.SIGTERM


def test_a_program_that_does_not_listen_is_killed() -> None:
    program = Program(DEAF, stop_seconds=0.2)
    with start(program, subprocess.PIPE) as process:
        assert first_line(process) == "deaf"
        stop(process, program)
    assert process.returncode == -signal.SIGKILL


def test_children_of_a_killed_program_go_with_it() -> None:
    with start(Program(PARENT), subprocess.PIPE) as process:
        child = int(first_line(process))
        process.send_signal(signal.SIGKILL)
        while not has_ended(process):
            time.sleep(0.02)
        assert kill_group(process) == -signal.SIGKILL
        assert wait_gone(child)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_a_killed_starter_takes_its_programs_with_it() -> None:
    code = (
        "import subprocess, sys, time\n"
        "from infra.services.programs import Program, start\n"
        "start(Program(tuple(sys.argv[1:])), None)\n"
        "time.sleep(3600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, *SLEEPER], stdout=subprocess.PIPE
    ) as starter:
        program = int(first_line(starter))
        starter.kill()
    assert wait_gone(program)


def test_what_it_said_is_in_the_error(tmp_path: Path) -> None:
    failing = Program((sys.executable, "-c", "import sys; sys.exit('no such film')"))
    with pytest.raises(ServiceUnavailableError, match="status 1: no such film"):
        run_to_end(failing, 10)
    with (
        pytest.raises(ServiceUnavailableError, match="ended: no such film"),
        running(failing, lambda: False, tmp_path / "log"),
    ):
        pass


def test_a_program_missing_from_the_machine_is_named() -> None:
    with pytest.raises(ServiceUnavailableError, match="cannot start /no/such/program"):
        run_to_end(Program(("/no/such/program",)), 10)


def test_something_short_that_takes_long_is_killed() -> None:
    with pytest.raises(ServiceUnavailableError, match=r"took longer than 0.5 s"):
        run_to_end(Program(SLEEPER), 0.5)


def test_the_environment_is_added_to_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPFARM_OURS", "a")
    code = "import os; print(os.environ['LIPFARM_OURS'] + os.environ['LIPFARM_ADDED'])"
    program = Program((sys.executable, "-c", code), {"LIPFARM_ADDED": "b"})
    with start(program, subprocess.PIPE) as process:
        assert first_line(process) == "ab"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_runs_without_any_right_but_to_pass_folders(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    code = (
        "import os, pathlib; pathlib.Path('closed').is_dir(); os.listdir('closed')\n"
        "print(os.getuid(), os.getgroups())\n"
        "try: pathlib.Path('/etc/hosts').open('a')\n"
        "except PermissionError: print('refused')\n"
    )
    program = Program(("sh", "-c", f'cd {tmp_path} && exec {sys.executable} -c "{code}"'))
    with start(Program(program.argv, user="nobody"), subprocess.PIPE) as process:
        assert first_line(process).startswith("65534 []")
        assert first_line(process) == "refused"
