"""Answers that may be some seconds old, made once for everyone who asks meanwhile."""

import time
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

_Made = TypeVar("_Made")


class Recently:
    """Remembers what was made in the last seconds.

    Args:
        seconds: how old an answer may be.
        most: answers that are kept; with more, all are forgotten.
    """

    def __init__(self, seconds: float, most: int = 1000) -> None:
        self._seconds, self._most = seconds, most
        self._lock = Lock()
        self._known: dict[Hashable, tuple[float, Any]] = {}
        self._making: dict[Hashable, Lock] = {}

    def get(self, key: Hashable, make: Callable[[], _Made]) -> _Made:
        """The answer; of several who ask at once, one makes it and the others wait.

        Args:
            key: what is asked; whose answer it is must be part of it, where that matters.
            make: makes it; what it raises reaches who asked, and nothing is remembered.
        """
        with self._lock:
            if len(self._known) > self._most:
                self._known.clear()
                self._making.clear()
            making = self._making.setdefault(key, Lock())
        with making:
            made_at, made = self._known.get(key, (0.0, None))
            if made_at == 0.0 or time.monotonic() - made_at > self._seconds:
                made = make()
                self._known[key] = (time.monotonic(), made)
            answer: _Made = made
            return answer
