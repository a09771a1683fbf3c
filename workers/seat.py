"""A runner and those who wait for it: one lane computes while the other fetches or stores."""

import contextlib
import threading
from collections.abc import Hashable, Iterator
from typing import Any

from workers.lease import Lease
from workers.runner import Answered, Failed, Missed, Order, Patience, Runner

_LOOK_SECONDS = 0.05


class Seat:
    """One runner, and the leases of the lanes that share it.

    Args:
        runner: what computes.
        patience: how long it may go without progress.
    """

    def __init__(self, runner: Runner, patience: Patience) -> None:
        self._runner, self._patience = runner, patience
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._leases: list[Lease] = []
        self._claiming = threading.Lock()
        self._known: dict[Hashable, Any] = {}

    @contextlib.contextmanager
    def may_claim(self) -> Iterator[bool]:
        """Whether another step would soon have its turn; one lane at a time asks and claims."""
        with self._claiming:
            with self._lock:
                free = all(lease.is_past_half for lease in self._leases)
            yield free

    def take(self, lease: Lease) -> None:
        """The lease counts among those of this seat, until it leaves."""
        with self._lock:
            self._leases.append(lease)

    def leave(self, lease: Lease) -> None:
        """See :meth:`take`."""
        with self._lock:
            self._leases.remove(lease)

    def compute(
        self, lease: Lease, work: str, given: dict[str, Any], *, counts: bool = True
    ) -> Answered | Missed | Failed:
        """Wait for the runner, then have it compute; see :meth:`Runner.run`."""

        def count(frames: int) -> None:
            if counts:
                lease.frames_done += frames

        while not self._turn.acquire(timeout=_LOOK_SECONDS):
            lease.check()
        try:
            lease.check()
            lease.begun = True
            answer = self._runner.run(Order(work, given), lease, self._patience, count)
            if isinstance(answer, Failed) and answer.kind != "content":
                # Whatever it ran into (a device that faulted, memory) may still be there.
                self._runner.kill()
            return answer
        finally:
            self._turn.release()

    def run_alone(self, work: str, given: dict[str, Any]) -> Answered | Missed | Failed:
        """As :meth:`compute`, for no step: nothing interrupts it."""
        with self._turn:
            return self._runner.run(Order(work, given), None, self._patience, lambda _: None)

    def start(self) -> None:
        """Have the runner ready before it is needed."""
        with self._turn:
            self._runner.start()

    def kill(self) -> None:
        """End the runner."""
        self._runner.kill()

    def known(self, question: Hashable) -> Any:
        """What the runner said before, or None."""
        return self._known.get(question)

    def remember(self, question: Hashable, answer: Any) -> None:
        """Keep an answer that stays true as long as the process lives."""
        self._known[question] = answer
