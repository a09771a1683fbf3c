"""A worker whose runner plays: it does what the job says, so that tests decide what happens."""

import sys
from collections.abc import Mapping
from pathlib import Path

from infra.db.orders import JobOutput, NewStep, StepResult
from infra.db.states import Stage
from infra.settings import load_settings
from tests.workers.play_runner import FRAMES, play_entry
from workers.stages import StageWork
from workers.step import StepAtWork
from workers.worker import WorkerChoice, run_worker


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


def main() -> None:
    """Be a worker that plays; its name is the argument."""
    run_worker(load_settings(), choice(sys.argv[1]))
