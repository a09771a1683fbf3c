"""The doorbell inside a worker: wakes every lane that waits, and loses no ring."""

import random
import threading


class Doorbell:
    """Rung by the listener, and when the process is to end; lanes wait at it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rings = 0

    def ring(self) -> None:
        """Wake all who wait, and the next of all who do not wait just now."""
        with self._changed:
            self._rings += 1
            self._changed.notify_all()

    def rings(self) -> int:
        """How often it rang; to be read before looking for work."""
        with self._changed:
            return self._rings

    def wait(self, heard: int, seconds: float) -> None:
        """Wait for a ring after those ``heard``, at most about so long.

        Jittered by a half, so that a fleet does not look all at once.
        """
        longest = seconds * random.uniform(0.5, 1.5)  # noqa: S311 -- not a secret
        with self._changed:
            self._changed.wait_for(lambda: self._rings != heard, longest)
