"""How progress looks: bars on a terminal, plain lines elsewhere, events with ``--json``."""

import json
import sys
import time
from abc import ABC, abstractmethod
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

#: A plain log gets a line this often, in seconds; a night of logs stays readable.
LINE_INTERVAL = 5.0

#: Events for machines come more often; they drive bars of their own.
EVENT_INTERVAL = 0.5


class _RateColumn(ProgressColumn):
    """What of the stage is done in a second."""

    def __init__(self, counted: str) -> None:
        self._counted = counted
        super().__init__()

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        rate = "" if speed is None else f"{speed:5.1f} {self._counted}/s"
        return Text(rate, style="progress.data.speed")


class TerminalDisplay:
    """A bar per stage with frames a second and the time left.

    Args:
        counted: what a stage's work is counted in.
    """

    def __init__(self, counted: str = "frames") -> None:
        console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description:8}"),
            BarColumn(),
            MofNCompleteColumn(),
            _RateColumn(counted),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
        )
        self._bars.start()

    def start_stage(self, stage: str, frames: int) -> None:
        self._task = self._bars.add_task(stage, total=max(frames, 1))

    def advance(self, frames: int) -> None:
        self._bars.advance(self._task, frames)

    def finish_stage(self) -> None:
        total = self._bars.tasks[-1].total
        self._bars.update(self._task, completed=total)

    def note(self, message: str) -> None:
        self._bars.console.print(message, markup=False, highlight=False)

    def close(self) -> None:
        self._bars.stop()


class _Paced(ABC):
    """Counts a stage's frames and says so at intervals."""

    interval: float

    def start_stage(self, stage: str, frames: int) -> None:
        self._stage, self._total, self._done = stage, frames, 0
        self._started = time.monotonic()
        self._said = self._started - self.interval

    def advance(self, frames: int) -> None:
        self._done += frames
        if time.monotonic() - self._said >= self.interval:
            self._said = time.monotonic()
            self.say(finished=False)

    def finish_stage(self) -> None:
        self.say(finished=True)

    @abstractmethod
    def say(self, *, finished: bool) -> None:
        """Tell how far the stage is; ``finished``: that it is over."""

    def state(self) -> dict[str, Any]:
        seconds = max(time.monotonic() - self._started, 1e-9)
        rate = self._done / seconds
        left = (self._total - self._done) / rate if rate else None
        return {
            "stage": self._stage,
            "frames": self._done,
            "total": self._total,
            "frames_per_second": round(rate, 2),
            "seconds": round(seconds, 2),
            "seconds_left": None if left is None else round(max(left, 0.0), 1),
        }

    def close(self) -> None:  # noqa: B027 -- there is nothing to put back
        """Nothing to put back."""


class PlainDisplay(_Paced):
    """Lines for logs and pipes, on stderr; ``counted`` as on a terminal."""

    interval = LINE_INTERVAL

    def __init__(self, counted: str = "frames") -> None:
        self._counted = counted

    def say(self, *, finished: bool) -> None:
        state = self.state()
        if finished and not state["total"]:
            # A stage of the whole job has no frames to count.
            click.echo(f"{self._stage}: in {state['seconds']:.1f} s", err=True)
            return
        left = state["seconds_left"]
        # Until something is done nobody knows.
        tails = [] if left is None else [f"{left} s left"]
        tail = [f"in {state['seconds']:.1f} s"] if finished else tails
        done = f"{state['frames']}/{state['total']} {self._counted}"
        rate = f"{state['frames_per_second']:.1f} {self._counted}/s"
        click.echo(f"{self._stage}: {', '.join([done, rate, *tail])}", err=True)

    def note(self, message: str) -> None:
        click.echo(message, err=True)


class JsonDisplay(_Paced):
    """One JSON object a line on stdout; notes go to stdout as events and nowhere else."""

    interval = EVENT_INTERVAL

    def say(self, *, finished: bool) -> None:
        event = "stage.completed" if finished else "stage.progressed"
        self.emit({"event": event, **self.state()})

    def note(self, message: str) -> None:
        self.emit({"event": "note", "message": message})

    def emit(self, event: dict[str, Any]) -> None:
        click.echo(json.dumps(event))


Display = TerminalDisplay | PlainDisplay | JsonDisplay


def choose_display(*, as_json: bool, counted: str = "frames") -> Display:
    """The display that suits where stderr goes; ``counted`` is what people read, not programs."""
    if as_json:
        return JsonDisplay()
    return TerminalDisplay(counted) if sys.stderr.isatty() else PlainDisplay(counted)
