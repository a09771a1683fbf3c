"""The one log of a farm on one machine: every process's lines, with its name before them."""

import json
import os
import re
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TextIO

import click

from infra.logs import LEVEL_VARIABLE, as_event, describe_event, without_secrets

_NAME_WIDTH = 15

#: Of component names, so that each process keeps its colour through the log.
_COLOURS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_magenta")
_LEVEL_COLOURS = {"warning": "yellow", "error": "red", "critical": "red"}

#: As SeaweedFS writes: level, month and day, time, place in its code, text. Its info is for its
#: makers.
_GLOG = re.compile(r"(?P<level>[IWEF])\d{4} [\d:.]+ +(?:\d+ )?(?P<text>.*)")
_GLOG_LEVELS = {"I": "debug", "W": "warning", "E": "error", "F": "error"}

#: What `up` itself says.
OURSELVES = "up"


class FarmLog:
    """Lines of all components on one stream; any thread may add to it."""

    def __init__(self, *, as_json: bool, stream: TextIO | None = None) -> None:
        """Write to stderr unless told otherwise; colours on a terminal alone."""
        self._as_json = as_json
        self._stream = stream or sys.stderr
        self._has_debug = os.environ.get(LEVEL_VARIABLE, "").lower() == "debug"
        self._has_colours = self._stream.isatty()
        self._colours: dict[str, str] = {}
        self._lock = threading.Lock()

    def add_line(self, component: str, line: str) -> None:
        """What a component printed: an event as JSON, or anything."""
        self._add(component, as_event(line) or _as_plain_event(line))

    def add_event(self, component: str, text: str) -> None:
        """What happened to a component."""
        self._add(component, {"event": text, "level": "info"})

    def _add(self, component: str, event: dict[str, object]) -> None:
        if event.get("level") == "debug" and not self._has_debug:
            return
        if self._as_json:
            now = datetime.now(tz=UTC).isoformat(timespec="microseconds")
            shown = json.dumps({"component": component, "timestamp": now} | event)
        else:
            shown = self._for_a_person(component, event)
        # A line printed by two threads at once would be two halves of lines.
        with self._lock:
            print(shown, file=self._stream, flush=True)

    def _for_a_person(self, component: str, event: dict[str, object]) -> str:
        colour = self._colours.setdefault(component, _COLOURS[len(self._colours) % len(_COLOURS)])
        head = f"{time.strftime('%H:%M:%S')} {component:<{_NAME_WIDTH}}"
        text = describe_event(event)
        if self._has_colours:
            head = click.style(head, fg=colour)
            text = click.style(text, fg=_LEVEL_COLOURS.get(str(event.get("level"))))
        return f"{head} {text}"


def _as_plain_event(line: str) -> dict[str, object]:
    found = _GLOG.fullmatch(line)
    level = _GLOG_LEVELS[found["level"]] if found else "info"
    return {"event": without_secrets(found["text"] if found else line), "level": level}
