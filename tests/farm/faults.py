"""What can happen to a farm, done on purpose at a named crash point.

A fault is armed before the job; when a process reaches the point it either dies there itself (kill)
or waits there while the fault is done to something else, and then goes on.
"""

import contextlib
import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.farm.harness import QUICK, Farm
from tests.patience import LONG_SECONDS

#: How long a fault that lasts (a slow bucket, a full disk) is left in place.
LASTING_SECONDS = 3.0


class Bucket(Protocol):
    """The way to the bucket, which can be made bad."""

    def misbehave(self, how: str) -> None:
        """``ok``, ``503`` or ``slow``."""


@dataclass(frozen=True)
class Surroundings:
    """What faults are done to.

    Attributes:
        farm: the running farm.
        crash_dir: where points are armed.
        scratch: the workers' disk; a small one of its own, or None where none can be mounted.
        bucket: the way to the bucket.
    """

    farm: Farm
    crash_dir: Path
    scratch: Path | None
    bucket: Bucket


Fault = Callable[[Surroundings, int], None]


def kill_process(_around: Surroundings, _pid: int) -> None:
    """The process at the point is gone already: it killed itself."""


def empty_redis(around: Surroundings, _pid: int) -> None:
    """kill -9 of Valkey; `up` starts it again, empty."""
    _kill_component(around.farm, "valkey", signal.SIGKILL)


def restart_postgres(around: Surroundings, _pid: int) -> None:
    """A fast shutdown, which breaks off every connection; `up` starts it again."""
    _kill_component(around.farm, "postgres", signal.SIGINT)


def stop_for_two_leases(_around: Surroundings, pid: int) -> None:
    """The process stands still for two leases and comes back believing nothing happened."""
    time.sleep(2 * float(QUICK["LIPFARM_LEASE_SECONDS"]))
    os.kill(pid, signal.SIGCONT)


def bucket_answers_503(around: Surroundings, _pid: int) -> None:
    _misbehave_for_a_while(around, "503")


def bucket_is_slow(around: Surroundings, _pid: int) -> None:
    _misbehave_for_a_while(around, "slow")


def fill_disk(around: Surroundings, _pid: int) -> None:
    """Not a byte is left on the workers' disk, for a while."""
    assert around.scratch is not None
    ballast = around.scratch / "ballast"
    _later(LASTING_SECONDS, lambda: ballast.unlink(missing_ok=True))
    _fill(ballast)


#: The fault, and what the process at the point is told to do.
FAULTS: dict[str, tuple[Fault, str]] = {
    "kill -9": (kill_process, "kill"),
    "redis emptied": (empty_redis, "wait"),
    "postgres restarted": (restart_postgres, "wait"),
    "stopped for two leases": (stop_for_two_leases, "stop"),
    "bucket answers 503": (bucket_answers_503, "wait"),
    "bucket is slow": (bucket_is_slow, "wait"),
    "disk full": (fill_disk, "wait"),
}


@contextlib.contextmanager
def armed(around: Surroundings, point: str, fault: str, turn: int) -> Iterator[Callable[[], float]]:
    """Arm a point; the caller starts a job and calls what it is given, to do the fault.

    Yields:
        Waits for the point to be reached and does the fault; returns the monotonic time of it, or
        NaN when the job ended without coming there.
    """
    do_fault, action = FAULTS[fault]
    trigger = around.crash_dir / f"{point}.armed-{turn}"
    reached = around.crash_dir / f"{point}.reached"
    trigger.write_text(action)

    def strike(is_over: Callable[[], bool] = lambda: False) -> float:
        deadline = time.monotonic() + LONG_SECONDS
        while not (reached.exists() and reached.read_text().strip()):
            if time.monotonic() > deadline or is_over():
                return float("nan")
            time.sleep(0.02)
        at = time.monotonic()
        do_fault(around, int(reached.read_text()))
        (around.crash_dir / f"{point}.continue").touch()
        return at

    try:
        yield strike
    finally:
        (around.crash_dir / f"{point}.continue").touch()
        time.sleep(0.1)  # whoever still waits there sees it and goes
        for left in around.crash_dir.glob(f"{point}.*"):
            left.unlink(missing_ok=True)


def _kill_component(farm: Farm, name: str, how: signal.Signals) -> None:
    os.kill(farm.processes[name], how)


def _misbehave_for_a_while(around: Surroundings, how: str) -> None:
    around.bucket.misbehave(how)
    _later(LASTING_SECONDS, lambda: around.bucket.misbehave("ok"))


def _later(seconds: float, action: Callable[[], None]) -> None:
    threading.Timer(seconds, action).start()


def _fill(path: Path) -> None:
    """Write until nothing more fits, unbuffered: a file half written at the end is full, too."""
    block = bytes(1 << 20)
    with path.open("wb", buffering=0) as file:
        while block:
            try:
                file.write(block)
            except OSError as error:
                assert error.errno == errno.ENOSPC
                block = block[: len(block) // 16]
