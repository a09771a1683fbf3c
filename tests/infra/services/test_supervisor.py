import dataclasses
import json
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest

from infra.errors import ServiceUnavailableError
from infra.services import components
from infra.services.components import Component
from infra.services.notes import end_leftovers, note_pids
from infra.services.programs import Program, kill_group, start
from infra.services.supervisor import StopRequestedError, Supervisor
from tests.patience import LONG_SECONDS

#: Says that it is there, then that it was asked to stop, and stops.
POLITE = (
    "import signal, sys, time\n"
    "def leave(*_): print('asked', flush=True); sys.exit()\n"
    "signal.signal(signal.SIGTERM, leave)\n"
    "print('there', flush=True)\n"
    "time.sleep(3600)\n"
)
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + POLITE.partition("\n")[0]
DEAF += "\nprint('there', flush=True)\ntime.sleep(3600)\n"


class Watched:
    """A supervisor, what it told, and a thread that acts once something was told."""

    def __init__(self, folder: Path) -> None:
        self.told: list[tuple[str, str]] = []
        self.ready: list[dict[str, int]] = []
        self.supervisor = Supervisor(
            pid_file=folder / "processes.json",
            on_line=self._tell,
            on_event=self._tell,
            on_ready=self._on_ready,
        )
        self._changed = threading.Condition()

    def _tell(self, name: str, text: str) -> None:
        with self._changed:
            self.told.append((name, text))
            self._changed.notify_all()

    def _on_ready(self, pids: Mapping[str, int]) -> None:
        with self._changed:
            self.ready.append(dict(pids))
            self._changed.notify_all()

    def component(
        self,
        name: str,
        code: str = POLITE,
        needs: tuple[str, ...] = (),
        stop_seconds: float = LONG_SECONDS,
    ) -> Component:
        program = Program((sys.executable, "-c", code), stop_seconds=stop_seconds)
        count = [0]

        def is_ready(_pid: int) -> bool:
            return sum(told == (name, "there") for told in self.told) > count[0] - 1

        def make() -> Program:
            count[0] += 1
            return program

        return Component(name, make, is_ready, needs)

    def when(self, holds: Callable[[], bool], act: Callable[[], object]) -> None:
        def wait() -> None:
            with self._changed:
                assert self._changed.wait_for(holds, LONG_SECONDS)
            act()

        threading.Thread(target=wait, daemon=True).start()


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


@pytest.fixture(autouse=True)
def quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "FIRST_BACKOFF_SECONDS", 0.05)


def test_each_starts_after_what_it_needs_and_stops_before_it(watched: Watched) -> None:
    database = watched.component("database")
    worker = watched.component("worker", needs=("database",))
    watched.supervisor.start([worker, database], seconds=LONG_SECONDS)
    watched.supervisor.stop()
    assert watched.told == [
        ("database", "there"),
        ("worker", "there"),
        ("worker", "asked"),
        ("worker", "stopped"),
        ("database", "asked"),
        ("database", "stopped"),
    ]


def test_a_killed_child_is_started_again_and_readiness_told_anew(watched: Watched) -> None:
    supervisor = watched.supervisor
    supervisor.start([watched.component("a"), watched.component("b")], seconds=LONG_SECONDS)
    watched.when(
        lambda: len(watched.ready) == 1, lambda: psutil.Process(watched.ready[0]["a"]).kill()
    )
    watched.when(lambda: len(watched.ready) == 2, supervisor.stop_requested.set)
    supervisor.run()
    supervisor.stop()
    first, second = watched.ready
    assert first["a"] != second["a"]
    assert first["b"] == second["b"]
    assert ("a", "was ended by SIGKILL; starting it again in 0.05 s") in watched.told
    assert not any(map(psutil.pid_exists, {*first.values(), *second.values()}))


def test_waits_double_up_to_a_limit(monkeypatch: pytest.MonkeyPatch, watched: Watched) -> None:
    monkeypatch.setattr(components, "LONGEST_BACKOFF_SECONDS", 0.15)
    failing = watched.component("a", code="import sys; sys.exit(3)")
    with pytest.raises(ServiceUnavailableError, match="a ended 4 times at its start"):
        watched.supervisor.start([failing], seconds=LONG_SECONDS)
    watched.supervisor.stop()
    waits = [text.rsplit(maxsplit=2)[1] for _, text in watched.told if "again" in text]
    assert waits == ["0.05", "0.1", "0.15", "0.15"]
    assert "ended with status 3" in watched.told[0][1]


def test_one_that_never_answers_is_named(watched: Watched) -> None:
    silent = watched.component("silent", code="import time; time.sleep(3600)")
    with pytest.raises(ServiceUnavailableError, match="silent does not answer"):
        watched.supervisor.start([silent], seconds=0.5)
    watched.supervisor.stop()


def test_one_that_does_not_stop_is_killed(watched: Watched) -> None:
    watched.supervisor.start(
        [watched.component("deaf", DEAF, stop_seconds=0.2)], seconds=LONG_SECONDS
    )
    watched.supervisor.stop()
    assert ("deaf", "did not stop in time; killed") in watched.told


def test_a_hurry_waits_for_nobody(watched: Watched) -> None:
    watched.supervisor.start(
        [watched.component("deaf", DEAF, stop_seconds=3600)], seconds=LONG_SECONDS
    )
    watched.supervisor.hurry.set()
    watched.supervisor.stop()
    assert watched.told[-1] == ("deaf", "stopped")


def test_a_halted_child_stops_too(watched: Watched) -> None:
    supervisor = watched.supervisor
    supervisor.start([watched.component("a")], seconds=LONG_SECONDS)

    def halt() -> None:
        psutil.Process(watched.ready[0]["a"]).suspend()
        supervisor.stop_requested.set()

    watched.when(lambda: len(watched.ready) == 1, halt)
    supervisor.run()
    supervisor.stop()
    assert ("a", "asked") in watched.told


def test_a_stop_asked_for_during_the_start_ends_it(watched: Watched) -> None:
    silent = watched.component(
        "silent", code="print('up', flush=True)\nimport time\ntime.sleep(3600)"
    )
    watched.when(lambda: ("silent", "up") in watched.told, watched.supervisor.stop_requested.set)
    with pytest.raises(StopRequestedError):
        watched.supervisor.start([silent], seconds=LONG_SECONDS)
    watched.supervisor.stop()
    assert watched.told[-1] == ("silent", "stopped")


def test_what_a_process_leaves_is_swept_up_each_time(watched: Watched) -> None:
    supervisor, swept = watched.supervisor, list[str]()
    component = dataclasses.replace(watched.component("a"), sweep=lambda: swept.append("a"))
    supervisor.start([component], seconds=LONG_SECONDS)
    watched.when(
        lambda: len(watched.ready) == 1, lambda: psutil.Process(watched.ready[0]["a"]).kill()
    )
    watched.when(lambda: len(watched.ready) == 2, supervisor.stop_requested.set)
    supervisor.run()
    supervisor.stop()
    assert swept == ["a", "a"]


def test_leftovers_are_ended_and_nobody_else(tmp_path: Path) -> None:
    note = tmp_path / "processes.json"
    program = Program((sys.executable, "-c", "import time; time.sleep(3600)"))
    with start(program) as mine, start(program) as stranger:
        try:
            note_pids(note, {"mine": mine.pid, "stranger": stranger.pid})
            # The stranger's number was noted when it was another process's.
            notes = json.loads(note.read_text())
            notes["stranger"][1] -= 1
            note.write_text(json.dumps(notes))
            end_leftovers(note)
            assert mine.poll() is not None
            assert stranger.poll() is None
        finally:
            kill_group(mine)
            kill_group(stranger)
    assert not note.exists()
    end_leftovers(note)
