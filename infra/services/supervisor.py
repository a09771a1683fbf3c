"""Programs kept alive together: started in order, restarted when they die, stopped in order.

All of it happens in the thread that calls, as a child on its leash dies with the thread that
started it.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from infra.errors import ServiceUnavailableError
from infra.services.components import Child, Component
from infra.services.notes import note_pids

#: One that never answered and ended so often will not do better.
STARTS_BEFORE_GIVING_UP = 4

_LOOK_SECONDS = 0.05


class StopRequestedError(Exception):
    """Somebody asked for the end while things were being started."""


class Supervisor:
    """Keeps components alive until told to stop.

    Attributes:
        stop_requested: set it, from a signal handler say, and :meth:`run` and :meth:`start` end.
        hurry: set it to end everything at once while :meth:`stop` waits.
    """

    def __init__(
        self,
        *,
        pid_file: Path,
        on_line: Callable[[str, str], None],
        on_event: Callable[[str, str], None],
        on_ready: Callable[[Mapping[str, int]], None],
    ) -> None:
        """Keep nothing yet.

        Args:
            pid_file: where pids are noted, for :func:`infra.services.notes.end_leftovers`.
            on_line: told (component, line) of what a child prints, from any thread.
            on_event: told (component, what happened to it).
            on_ready: told {component: pid} when everything answers, and again after a restart.
        """
        self.stop_requested = threading.Event()
        self.hurry = threading.Event()
        self._pid_file = pid_file
        self._on_line, self._on_event, self._on_ready = on_line, on_event, on_ready
        self._children: dict[str, Child] = {}
        self._reported: dict[str, int] = {}

    def start(self, components: Iterable[Component], seconds: float) -> None:
        """Start components and wait until each answers.

        Args:
            components: any number; each is started as soon as what it needs answers.
            seconds: how long all of it may take.

        Raises:
            ServiceUnavailableError: one does not come up.
            StopRequestedError: :attr:`stop_requested` was set meanwhile.
        """
        added = [Child(component, self._on_line) for component in components]
        self._children |= {child.component.name: child for child in added}
        deadline = time.monotonic() + seconds
        while not all(child.is_ready for child in added):
            if self.stop_requested.is_set():
                raise StopRequestedError
            self._look_at_all()
            for child in added:
                _give_up_if_hopeless(child, deadline)
            time.sleep(_LOOK_SECONDS)

    def run(self) -> None:
        """Report readiness and keep everything alive until :attr:`stop_requested` is set."""
        while not self.stop_requested.is_set():
            self._look_at_all()
            self._report_ready()
            self.stop_requested.wait(_LOOK_SECONDS)

    def stop(self) -> None:
        """End all, those first that nobody needs; nothing is left of any process group."""
        while self._children:
            needed = {name for child in self._children.values() for name in child.component.needs}
            free = {name: c for name, c in self._children.items() if name not in needed}
            self._stop_together(free or dict(self._children))
        self._pid_file.unlink(missing_ok=True)

    def _look_at_all(self) -> None:
        for child in self._children.values():
            if child.pid is None:
                if child.is_due and self._has_what_it_needs(child):
                    self._start(child)
            elif child.has_ended:
                self._on_event(child.component.name, child.bury())
            else:
                child.look()

    def _start(self, child: Child) -> None:
        try:
            child.start()
        except ServiceUnavailableError as error:
            self._on_event(child.component.name, f"{error}; {child.postpone()}")
        note_pids(self._pid_file, self._pids())

    def _has_what_it_needs(self, child: Child) -> bool:
        # Only at first: later everyone copes with the others' restarts, and sooner than in turn.
        needs = child.component.needs
        return child.starts > 0 or all(self._children[name].is_ready for name in needs)

    def _report_ready(self) -> None:
        pids = self._pids()
        if pids != self._reported and all(child.is_ready for child in self._children.values()):
            self._reported = pids
            self._on_ready(pids)

    def _stop_together(self, children: dict[str, Child]) -> None:
        for child in children.values():
            child.ask_to_stop()
        is_hurried = False
        while children:
            if self.hurry.is_set() and not is_hurried:
                is_hurried = True
                for child in children.values():
                    child.end_at_once()
            for name in [name for name, child in children.items() if child.is_stopped()]:
                self._on_event(name, "stopped")
                del children[name], self._children[name]
            time.sleep(_LOOK_SECONDS)

    def _pids(self) -> dict[str, int]:
        pids = {name: child.pid for name, child in self._children.items()}
        return {name: pid for name, pid in pids.items() if pid is not None}


def _give_up_if_hopeless(child: Child, deadline: float) -> None:
    if child.is_ready:
        return
    name = child.component.name
    if time.monotonic() > deadline:
        raise ServiceUnavailableError(f"{name} does not answer; its lines above may say why")
    if not child.was_ready and child.pid is None and child.starts >= STARTS_BEFORE_GIVING_UP:
        raise ServiceUnavailableError(
            f"{name} ended {child.starts} times at its start; its lines above say why"
        )
