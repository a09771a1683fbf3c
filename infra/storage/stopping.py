"""Transfers that whoever wanted them may break off, at once, whatever the other side does."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

from infra.errors import InfraError

_Answer = TypeVar("_Answer")

#: How often whoever wanted it is asked.
_LOOK_SECONDS: Final = 0.05

#: Asked all the time; True breaks the transfer off.
ShouldStop = Callable[[], bool]


class TransferStoppedError(InfraError):
    """The transfer was broken off because whoever wanted it no longer does."""

    code = "transfer_stopped"


def never() -> bool:
    """Nobody breaks it off."""
    return False


def run_stoppable(
    transfer: Callable[[ShouldStop], _Answer],
    should_stop: ShouldStop,
    *,
    clear_away: Callable[[], object] = lambda: None,
) -> _Answer:
    """Run a transfer, and leave it alone as soon as it is to stop.

    A socket the other side is silent on keeps its thread for half a minute. So the transfer gets a
    thread of its own, which ends by itself, behind our back, at its next block or time limit.

    Args:
        transfer: is given what tells it to stop; its thread is a daemon.
        should_stop: asked from the caller's thread.
        clear_away: what an abandoned transfer does in the end; may run twice.

    Raises:
        TransferStoppedError: ``should_stop`` said so; or whatever the transfer raises.
    """
    abandoned = threading.Event()
    done: Future[_Answer] = Future()

    def run() -> None:
        try:
            done.set_result(transfer(abandoned.is_set))
        except BaseException as error:
            done.set_exception(error)
        finally:
            if abandoned.is_set():
                clear_away()

    threading.Thread(target=run, name="transfer", daemon=True).start()
    try:
        while not done.done():
            if should_stop():
                raise TransferStoppedError("the transfer was broken off")
            _wait(done)
        return done.result()
    finally:
        if not done.done():
            abandoned.set()
            clear_away()


def pause(seconds: float, should_stop: ShouldStop) -> None:
    """Sleep, unless it is to stop.

    Raises:
        TransferStoppedError: it is.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if should_stop():
            raise TransferStoppedError("broken off while the other side was away")
        time.sleep(_LOOK_SECONDS)


def _wait(done: "Future[_Answer]") -> None:
    try:
        done.exception(timeout=_LOOK_SECONDS)
    except TimeoutError:
        return
