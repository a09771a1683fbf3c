"""The runner, seen from the worker: a long-lived process of its own that computes, and may die.

It is started with ``spawn`` and knows nothing of the farm. An order goes in; signs of progress and
one answer come out. Whatever is to stop it, stops it with SIGKILL.
"""

import contextlib
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import psutil

from infra.db.orders import FailureKind
from workers.lease import Lease

#: How soon a runner whose step was taken away is killed, at the latest.
_LOOK_SECONDS = 0.1
_TAIL_BYTES = 8_000

_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be computed: the name of one of the runner's works and what it is given."""

    work: str
    payload: Any


@dataclass(frozen=True, slots=True)
class Advanced:
    """So many more frames; 0 is a sign of life."""

    frames: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The work is done."""

    answer: Any


@dataclass(frozen=True, slots=True)
class Missed:
    """Files it reads are not in the store: ``(key, names)`` of each."""

    reads: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """It raised; see :mod:`workers.failures` for ``kind``."""

    kind: FailureKind
    code: str
    message: str
    traceback: str


#: Told, inside, how many more frames are finished.
Advance = Callable[[int], None]

#: Computes, inside, one order: (payload, advance) to an answer that pickles.
Work = Callable[[Any, Advance], Any]

Message = Advanced | Answered | Missed | Failed

#: Runs in the process: (connection, threads, log file); see :mod:`workers.runner_process`.
Entry = Callable[[Connection, int, str], None]


class RunnerDiedError(Exception):
    """The process is gone; the message says how, ``tail`` what it last said."""

    def __init__(self, message: str, tail: str) -> None:
        super().__init__(message)
        self.tail = tail


class NoProgressError(Exception):
    """It gave no sign of progress for too long, and was killed."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for progress, in seconds: for the first sign, and between two."""

    first: float
    later: float


class Runner:
    """One process; started when it is needed, and again after it was killed.

    Args:
        entry: a module's function that the process runs.
        threads: how many it may compute with.
        log: file that takes what it says, beginning anew with each order.
    """

    def __init__(self, entry: Entry, threads: int, log: Path) -> None:
        self._entry, self._threads, self._log = entry, threads, log
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, if there is one."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Have a process; it dies with the thread that starts it."""
        if self._process is not None and self._process.is_alive():
            return
        self.kill()
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(
            target=self._entry, args=(theirs, self._threads, str(self._log)), daemon=False
        )
        process.start()
        theirs.close()
        self._process, self._connection = process, ours

    def run(
        self,
        order: Order,
        lease: Lease | None,
        patience: Patience,
        on_frames: Callable[[int], object],
    ) -> Answered | Missed | Failed:
        """Have an order carried out.

        Args:
            order: what to compute.
            lease: the runner is killed as soon as it is interrupted.
            patience: how long to wait for progress.
            on_frames: told how many more frames are finished.

        Raises:
            InterruptedStepError: the lease was interrupted.
            NoProgressError, RunnerDiedError: see there.
        """
        try:
            self.start()
            self._send(order)
            return self._listen(lease, patience, on_frames)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End the process, and those it started, at once."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            _kill_tree(self._process)
            self._process.close()
        self._process = self._connection = None

    def tail(self) -> str:
        """The end of what it said."""
        with contextlib.suppress(OSError):
            return self._log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
        return ""

    def _send(self, order: Order) -> None:
        assert self._connection is not None  # noqa: S101 -- for mypy; it was started
        try:
            self._connection.send(order)
        except OSError:
            raise self._death() from None

    def _listen(
        self, lease: Lease | None, patience: Patience, on_frames: Callable[[int], object]
    ) -> Answered | Missed | Failed:
        deadline = time.monotonic() + patience.first
        while True:
            message = self._receive()
            if lease is not None:
                lease.check()
            if isinstance(message, Advanced):
                deadline = time.monotonic() + patience.later
                on_frames(message.frames)
            elif message is not None:
                return message
            elif time.monotonic() > deadline:
                raise NoProgressError("no sign of progress; the runner was killed")

    def _receive(self) -> Message | None:
        """The next message, or None when none comes for a moment."""
        assert self._connection is not None  # noqa: S101 -- for mypy
        assert self._process is not None  # noqa: S101 -- for mypy
        if not wait([self._connection, self._process.sentinel], _LOOK_SECONDS):
            return None
        try:
            # What it sent before it died still counts.
            if self._connection.poll():
                message: Message = self._connection.recv()
                return message
        except (EOFError, OSError):
            pass
        raise self._death()

    def _death(self) -> RunnerDiedError:
        assert self._process is not None  # noqa: S101 -- for mypy
        self._process.join(1)
        return RunnerDiedError(_describe_end(self._process.exitcode), self.tail())


def _kill_tree(process: SpawnProcess) -> None:
    """A killed runner cannot end the ffmpeg it runs."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(process.pid)
        for child in (*root.children(recursive=True), root):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    process.join()


def _describe_end(status: int | None) -> str:
    if status is None:
        return "the runner closed its connection"
    if status < 0:
        return f"the runner was ended by signal {-status}"
    return f"the runner ended with status {status}"
