"""Crash points fire when armed, once, in the process whose turn it is; unarmed they do nothing."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.crash_points import CRASH_POINTS, crash_point
from tests.patience import LONG_SECONDS

ROOT = Path(__file__).resolve().parents[2]
POINT = CRASH_POINTS[0]
PASS_THREE_TIMES = f"""
from infra.crash_points import crash_point
for passed in range(3):
    crash_point({POINT!r})
    print(passed, flush=True)
"""


def pass_three_times(folder: Path | None) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "LIPFARM_CRASH_DIR"}
    if folder is not None:
        environment["LIPFARM_CRASH_DIR"] = str(folder)
    return subprocess.run(  # noqa: TID251 -- a process that dies on purpose
        [sys.executable, "-c", PASS_THREE_TIMES],
        capture_output=True,
        text=True,
        timeout=LONG_SECONDS,
        check=False,
        env=environment,
        cwd=ROOT,
    )


def test_without_the_setting_nothing_happens(tmp_path: Path) -> None:
    (tmp_path / f"{POINT}.armed-1").write_text("kill")
    assert pass_three_times(None).returncode == 0


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_an_armed_point_kills_at_its_turn(tmp_path: Path, turn: int) -> None:
    (tmp_path / f"{POINT}.armed-{turn}").write_text("kill")
    done = pass_three_times(tmp_path)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == [str(n) for n in range(turn - 1)]
    assert (tmp_path / f"{POINT}.reached").read_text().isdigit()


def test_a_point_fires_once(tmp_path: Path) -> None:
    (tmp_path / f"{POINT}.armed-1").write_text("kill")
    pass_three_times(tmp_path)
    assert pass_three_times(tmp_path).returncode == 0


def test_a_waiting_point_goes_on_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPFARM_CRASH_DIR", str(tmp_path))
    (tmp_path / f"{POINT}.armed-1").write_text("wait")
    (tmp_path / f"{POINT}.continue").touch()
    crash_point(POINT)
    assert (tmp_path / f"{POINT}.reached").read_text() == str(os.getpid())


def test_a_point_is_never_seen_reached_without_the_pid_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPFARM_CRASH_DIR", str(tmp_path))
    (tmp_path / f"{POINT}.armed-1").write_text("wait")
    (tmp_path / f"{POINT}.continue").touch()
    reached = tmp_path / f"{POINT}.reached"
    seen = []
    rename, write_text = Path.rename, Path.write_text

    def watched(do: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: object) -> Any:
            result = do(*args)
            if reached.exists():
                seen.append(reached.read_text())
            return result

        return step

    monkeypatch.setattr(Path, "rename", watched(rename))
    monkeypatch.setattr(Path, "write_text", watched(write_text))
    crash_point(POINT)
    assert set(seen) == {str(os.getpid())}


def test_every_point_is_in_the_code_and_every_one_in_the_code_is_listed() -> None:
    sources = [
        *ROOT.glob("infra/**/*.py"),
        *ROOT.glob("workers/**/*.py"),
        *ROOT.glob("api/**/*.py"),
    ]
    called = {
        name
        for source in sources
        for name in re.findall(r"""crash_point\(\s*["']([\w.]+)["']""", source.read_text())
    }
    assert called == set(CRASH_POINTS)
