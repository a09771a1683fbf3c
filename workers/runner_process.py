"""The runner, seen from inside: takes orders from its worker until the worker is gone.

This module is light; what computes is imported in the new process alone.
"""

import faulthandler
import os
import signal
import threading
import time
import traceback
from collections.abc import Mapping
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path

from infra.services.leash import die_with
from pipeline.artifacts import MissingArtifactsError
from workers.failures import classify
from workers.runner import Advance, Advanced, Answered, Failed, Message, Missed, Order, Work

#: Progress is told at most so often.
_TELL_SECONDS = 0.1


def run_pipeline(connection: Connection, threads: int, log: str) -> None:
    """The entry of a worker's runner: all works of :mod:`workers.works`."""
    begin(log)
    from workers.works import WORKS, share_cores  # noqa: PLC0415 -- torch, in this process alone

    share_cores(threads)
    serve(connection, WORKS, log)


def begin(log: str) -> None:
    """Make the process one that can be left to itself."""
    # Ctrl-C reaches the whole group; the worker alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = parent_process()
    if parent is not None and parent.pid is not None:
        die_with(parent.pid, signal.SIGKILL)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    faulthandler.enable()


def serve(connection: Connection, works: Mapping[str, Work], log: str) -> None:
    """Carry out orders until the connection closes."""
    while True:
        try:
            order: Order = connection.recv()
        except (EOFError, OSError):
            return
        Path(log).open("w").close()
        teller = _Teller(connection)
        answer = _carry_out(works, order, teller.advance)
        teller.finish(answer)


def _carry_out(works: Mapping[str, Work], order: Order, advance: Advance) -> Message:
    try:
        return Answered(works[order.work](order.payload, advance))
    except MissingArtifactsError as error:
        return Missed(tuple((read.key, read.names) for read in error.reads))
    except Exception as error:  # all of them are the worker's to judge
        failure = classify(error)
        return Failed(failure.kind, failure.code, failure.message, traceback.format_exc())


class _Teller:
    """Tells of progress, from any thread, and not too often."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._frames, self._told_at, self._finished = 0, 0.0, False

    def advance(self, frames: int) -> None:
        with self._lock:
            self._frames += frames
            now = time.monotonic()
            if now - self._told_at >= _TELL_SECONDS and not self._finished:
                self._told_at = now
                self._connection.send(Advanced(self._frames))
                self._frames = 0

    def finish(self, answer: Message) -> None:
        """Nothing is said of this order after its answer."""
        with self._lock:
            self._finished = True
            if self._frames:
                self._connection.send(Advanced(self._frames))
            self._connection.send(answer)


def _die_with_parent() -> None:
    """Where the kernel does not see to it."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
    os._exit(1)
