"""A worker whose runner plays: it does what the job says, so that tests decide what happens."""

import os
import sys
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from infra.db.orders import JobOutput, NewStep, StepResult
from infra.db.states import Stage
from infra.settings import load_settings
from pipeline.errors import UnreadableMediaError
from workers.runner import Advance
from workers.runner_process import begin, serve
from workers.stages import StageWork
from workers.step import StepAtWork
from workers.worker import WorkerChoice, run_worker

FRAMES = 10


def play_entry(connection: Connection, threads: int, log: str) -> None:
    """The entry of a runner that plays."""
    begin(log)
    serve(connection, {"play": play, "self_test": play_self_test}, log)


def play(given: dict[str, Any], advance: Advance) -> int:
    """Note that it began, then do as told: nothing, ``hang``, ``die``, ``once-die``, ``refuse``."""
    note, deed = Path(given["note"]), given["deed"]
    with note.open("a") as file:
        file.write(f"{os.getpid()}\n")
    sys.stderr.write("last words\n")
    sys.stderr.flush()
    begun = len(note.read_text().splitlines())
    if deed == "die" or (deed == "once-die" and begun == 1):
        os.abort()
    if deed == "refuse":
        raise UnreadableMediaError("it is not media")
    if deed == "break":
        raise RuntimeError("a device fell off the bus")
    if deed == "hang":
        advance(FRAMES // 2)
        while True:
            time.sleep(0.2)
            if given["breathes"]:
                advance(0)
    if deed == "until-told":
        while not note.with_suffix(".go").exists():
            time.sleep(0.02)
            advance(0)
    advance(FRAMES)
    return FRAMES


def play_self_test(given: dict[str, Any], advance: Advance) -> None:
    """Pass if there is a file that says so."""
    if not Path(os.environ["PLAY_WELL"]).exists():
        raise RuntimeError("still sick")


def _play_stage(step: StepAtWork) -> StepResult:
    claim = step.lease.claim
    script = claim.job_params["play"]
    notes = Path(script["notes"])
    given = {
        "note": str(notes / f"{claim.stage}-{claim.segment_index}"),
        "deed": script.get(claim.stage, "finish"),
        "breathes": script.get("breathes", True),
    }
    step.compute("play", given)
    steps: tuple[NewStep, ...] = ()
    if claim.stage in {"prepare", "track"}:
        steps = tuple(NewStep(n, FRAMES) for n in range(script.get("segments", 1)))
    output = JobOutput("nowhere", "0" * 64, 1, 1.0, {}) if claim.stage == "stitch" else None
    return StepResult(next_steps=steps, output=output)


_STAGE_NAMES: tuple[Stage, ...] = ("prepare", "detect", "track", "render", "stitch")
PLAY: Mapping[Stage, StageWork] = dict.fromkeys(_STAGE_NAMES, _play_stage)


def choice(name: str = "player", slots: int = 1) -> WorkerChoice:
    """A worker of all queues that plays."""
    return WorkerChoice(("cpu", "gpu", "stitch"), slots, "cpu", name, PLAY, play_entry)


if __name__ == "__main__":
    run_worker(load_settings(), choice(sys.argv[1]))
