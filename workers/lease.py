"""A claimed step while this process works on it: how far it is, and whether it is still ours."""

import threading
import time
from typing import Literal

from infra.db.orders import Claim

#: ``fenced``: paused, canceled, or another attempt's; ``silent``: the database did not answer for
#: so long that it must be taken for lost; ``drain``: this process has to end.
Reason = Literal["fenced", "silent", "drain"]


class InterruptedStepError(Exception):
    """The step must be dropped at once."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Lease:
    """One claim, between the thread that works on it and the one that renews it.

    Attributes:
        claim: the step.
        frames_done: as the runner told.
        begun: the runner works on it, or did.
        computed: the runner is finished with it; what remains is to store.
        reason: why it must be dropped, if it must.
        renewed_at: monotonic time at which the last renewal was asked for.
    """

    def __init__(self, claim: Claim, renewed_at: float) -> None:
        self.claim = claim
        self.frames_done = 0
        self.begun = False
        self.computed = False
        self.renewed_at = renewed_at
        self._interrupted = threading.Event()
        self.reason: Reason | None = None

    @property
    def is_past_half(self) -> bool:
        """Whether most of the computing is behind it."""
        return self.computed or 2 * self.frames_done > self.claim.frames > 0

    def interrupt(self, reason: Reason) -> None:
        """Have it dropped; the first reason counts."""
        if self.reason is None:
            self.reason = reason
            self._interrupted.set()

    def is_interrupted(self) -> bool:
        """Whether it must be dropped."""
        return self._interrupted.is_set()

    def check(self) -> None:
        """Raise InterruptedStepError if it must be dropped."""
        if self.reason is not None:
            raise InterruptedStepError(self.reason)

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than the step is ours; then as :meth:`check`."""
        self._interrupted.wait(seconds)
        self.check()

    def silence(self) -> float:
        """Seconds since the last renewal."""
        return time.monotonic() - self.renewed_at
