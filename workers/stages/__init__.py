"""One module a stage: what it reads, what it has computed, what it leaves."""

from collections.abc import Callable, Mapping
from typing import Final

from infra.db.orders import StepResult
from infra.db.states import Stage
from workers.stages.detect import detect
from workers.stages.prepare import prepare
from workers.stages.render import render
from workers.stages.stitch import stitch
from workers.stages.track import track
from workers.step import StepAtWork

#: Works on a step until all it made is in the bucket.
StageWork = Callable[[StepAtWork], StepResult]

STAGES: Final[Mapping[Stage, StageWork]] = {
    "prepare": prepare,
    "detect": detect,
    "track": track,
    "render": render,
    "stitch": stitch,
}
