"""Programs run as children: what to run, how it is told to stop, and that it leaves nothing behind.

Every child leads a process group of its own, so that Ctrl-C in a terminal reaches the starter alone
and a child's own children can be ended with it; and every child is on a leash (see
:mod:`infra.services.leash`).
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from infra.errors import ServiceUnavailableError
from infra.services import leash

_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Program:
    """What to run and how to end it.

    Attributes:
        argv: the program and its arguments; no secrets, everybody can read them.
        environment: added to our own.
        user: who it runs as; None is who we are.
        stop_signal: asks it to end in order.
        stop_seconds: how long it may take to; then it is killed.
        death_signal: what the kernel sends it when we die.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    death_signal: signal.Signals = signal.SIGKILL


def start(program: Program, output: int | IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Start it, on a leash to this thread: on Linux it dies when the *thread* ends.

    Args:
        program: what to run.
        output: where its stdout and stderr go together, as ``subprocess`` takes it.
    """
    return subprocess.Popen(
        _leashed(program),
        env=dict(os.environ) | dict(program.environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        start_new_session=True,
    )


def run_to_end(program: Program, seconds: float) -> str:
    """Run something short; what it said.

    Raises:
        ServiceUnavailableError: it failed or took longer; with the end of what it said.
    """
    name = Path(program.argv[0]).name
    with start(program, subprocess.PIPE) as process:
        try:
            said, _ = process.communicate(timeout=seconds)
        except BaseException as error:
            kill_group(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise ServiceUnavailableError(f"{name} took longer than {seconds:g} s") from None
            raise
    text = said.decode(errors="replace").strip()
    if process.returncode != 0:
        tail = text[-600:]
        raise ServiceUnavailableError(f"{name} ended with status {process.returncode}: {tail}")
    return text


def stop(process: subprocess.Popen[bytes], program: Program) -> None:
    """Ask it to end, wait, and kill what is left of its group."""
    if not has_ended(process):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(program.stop_signal)
        deadline = time.monotonic() + program.stop_seconds
        while not has_ended(process) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
    kill_group(process)


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has, without taking its pid out of use: its group can still be killed."""
    if process.returncode is not None:
        return True
    try:
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return ended is not None


def kill_group(process: subprocess.Popen[bytes]) -> int:
    """Kill it and every child it left in its group; its exit status as ``subprocess`` gives it."""
    if process.returncode is None:
        # ESRCH: the group is empty; EPERM (macOS): only the dead leader is left in it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


@contextlib.contextmanager
def running(
    program: Program, is_ready: Callable[[], bool], log: Path, seconds: float = 30.0
) -> Iterator[subprocess.Popen[bytes]]:
    """The program while the block runs, entered once it answers; stopped and gone after.

    Args:
        program: what to run.
        is_ready: whether it answers by now; asked often, must not wait long.
        log: its stdout and stderr are added to this file.
        seconds: how long it may take to answer.

    Raises:
        ServiceUnavailableError: it ended or did not answer in time; with the end of its log.
    """
    with log.open("ab") as output:
        process = start(program, output)
    try:
        wait_until_ready(process, program, is_ready, log, seconds)
        yield process
    finally:
        stop(process, program)


def wait_until_ready(
    process: subprocess.Popen[bytes],
    program: Program,
    is_ready: Callable[[], bool],
    log: Path,
    seconds: float,
) -> None:
    """Wait until it answers; see :func:`running`."""
    deadline = time.monotonic() + seconds
    while not is_ready():
        if has_ended(process) or time.monotonic() > deadline:
            what = "ended" if has_ended(process) else f"did not answer within {seconds:g} s"
            tail = log.read_text(errors="replace").strip()[-600:]
            raise ServiceUnavailableError(f"{Path(program.argv[0]).name} {what}: {tail}")
        time.sleep(_LOOK_SECONDS)


def _leashed(program: Program) -> list[str]:
    numbers = (str(os.getpid()), str(int(program.death_signal)), program.user or "")
    return [sys.executable, "-I", "-S", str(Path(leash.__file__)), *numbers, *program.argv]
