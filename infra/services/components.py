"""One program to keep alive, and the process it is at the moment."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from infra.services.programs import Program, has_ended, kill_group, start

#: The first restart comes after this; each further one after twice the time before.
FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 30.0
#: One that ran so long is counted as healthy again.
HEALTHY_SECONDS = 60.0

#: Whether it answers is asked no oftener.
_ASK_SECONDS = 0.1

#: For those told to end at once (a second Ctrl-C), until they are killed.
_HURRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Component:
    """One program to keep alive.

    Attributes:
        name: unique; in the log and the ready file.
        program: made anew for every start, so it may look at what the last one left.
        is_ready: whether the process of that pid answers by now; must not wait long.
        needs: names of components that must answer before its first start, and that are stopped
            only after it.
        sweep: called after each process; removes what it leaves outside its folder.
    """

    name: str
    program: Callable[[], Program]
    is_ready: Callable[[int], bool] = lambda _pid: True
    needs: tuple[str, ...] = ()
    sweep: Callable[[], None] = lambda: None


class Child:
    """A component and the process it is at the moment.

    Attributes:
        is_ready: whether the process answered since it was started.
        was_ready: whether any of its processes ever did.
        starts: how many there were.
    """

    def __init__(self, component: Component, on_line: Callable[[str, str], None]) -> None:
        """Nothing runs yet; ``on_line`` is told (name, line) of what it prints, by a thread."""
        self.component = component
        self.is_ready = self.was_ready = False
        self.starts = 0
        self._on_line = on_line
        self._program: Program | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._backoff = FIRST_BACKOFF_SECONDS
        self._started_at = self._due_at = self._stop_by = self._look_at = 0.0

    @property
    def pid(self) -> int | None:
        """Of the process, also of one that ended and was not yet buried."""
        return None if self._process is None else self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether there is no process at work."""
        return self._process is None or has_ended(self._process)

    @property
    def is_due(self) -> bool:
        """Whether its time to wait before a restart is over."""
        return time.monotonic() >= self._due_at

    def start(self) -> None:
        """Start a process; it dies with the thread that calls this.

        Raises:
            ServiceUnavailableError: not now; something of the last one is in the way.
        """
        self._program = self.component.program()
        self._process = start(self._program, subprocess.PIPE)
        self.starts += 1
        self._started_at = time.monotonic()
        threading.Thread(target=self._read_lines, args=(self._process,), daemon=True).start()

    def look(self) -> None:
        """See whether the process answers by now, or ran long enough to be forgiven."""
        now = time.monotonic()
        if not self.is_ready and self.pid is not None:
            if now < self._look_at:
                return
            self._look_at = now + _ASK_SECONDS
            self.is_ready = self.component.is_ready(self.pid)
            self.was_ready |= self.is_ready
        elif now - self._started_at > HEALTHY_SECONDS:
            self._backoff = FIRST_BACKOFF_SECONDS

    def bury(self) -> str:
        """End what the process left and plan the next start; one line on both."""
        return f"{_describe_end(self._end())}; {self.postpone()}"

    def postpone(self) -> str:
        """Plan the next start; says when it is."""
        wait = self._backoff
        self._due_at = time.monotonic() + wait
        self._backoff = min(2 * wait, LONGEST_BACKOFF_SECONDS)
        return f"starting it again in {wait:g} s"

    def ask_to_stop(self) -> None:
        """Ask the process to end in order."""
        if self._program is not None:
            self._signal(self._program.stop_signal, self._program.stop_seconds)

    def end_at_once(self) -> None:
        """Ask the process to end without finishing anything."""
        if self._program is not None:
            self._signal(self._program.death_signal, _HURRY_SECONDS)

    def is_stopped(self) -> bool:
        """Whether the process ended, or took too long to; nothing of its group is left then."""
        if self.has_ended:
            self._end()
            return True
        if time.monotonic() < self._stop_by:
            return False
        self._on_line(self.component.name, "did not stop in time; killed")
        self._end()
        return True

    def _signal(self, number: signal.Signals, seconds: float) -> None:
        self._stop_by = time.monotonic() + seconds
        if self._process is not None and not has_ended(self._process):
            self._process.send_signal(number)
            self._process.send_signal(signal.SIGCONT)  # one that was halted hears it too

    def _end(self) -> int:
        self.is_ready = False
        if self._process is None:
            return 0
        status = kill_group(self._process)
        self._process = None
        self.component.sweep()
        return status

    def _read_lines(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 -- for mypy; started with a pipe
        with process.stdout as lines:
            for line in lines:
                self._on_line(self.component.name, line.decode(errors="replace").rstrip())


def _describe_end(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    return f"was ended by {signal.Signals(-status).name}"
