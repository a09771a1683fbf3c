"""Loops that outlive whatever fails in them, and say so once, not at every turn."""

import contextlib
from collections.abc import Iterator
from typing import Any

from infra.errors import InfraError


class Outages:
    """What goes wrong in one loop.

    Args:
        log: is told.
        name: of the loop; its events are ``NAME.unavailable``, once until a turn succeeds, for what
            is away and comes back, and ``NAME.failed``, with a traceback, for all other errors.
    """

    def __init__(self, log: Any, name: str) -> None:
        self._log, self._name = log, name
        self._is_told = False

    @contextlib.contextmanager
    def outlived(self) -> Iterator[None]:
        """One turn of the loop: no error leaves it."""
        try:
            yield
        except InfraError as error:
            if not self._is_told:
                self._log.warning(f"{self._name}.unavailable", error=str(error))
            self._is_told = True
        except Exception:
            self._log.exception(f"{self._name}.failed")
        else:
            self._is_told = False
