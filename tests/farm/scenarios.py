"""Which faults are done where, and the seeds that choose whose turn it is."""

import random
from dataclasses import dataclass

from infra.crash_points import CRASH_POINTS
from tests.farm.faults import FAULTS

#: Passed once or a few times in a job; the others by every step.
_TURNS = {
    "claim.after_commit_before_work": 8,
    "step.mid_frames": 5,
    "step.before_upload": 8,
    "step.mid_upload": 8,
    "step.after_upload_before_commit": 8,
    "step.after_commit_before_bell": 8,
}

#: Nobody holds a job at these; the farm is hurt while it looks after itself.
_BETWEEN_JOBS = ("collector.after_list_before_delete",)


@dataclass(frozen=True)
class Scenario:
    """One fault at one point.

    Attributes:
        point: see :data:`infra.crash_points.CRASH_POINTS`.
        fault: see :data:`tests.farm.faults.FAULTS`.
        seed: chooses the turn.
    """

    point: str
    fault: str
    seed: int

    @property
    def turn(self) -> int:
        """The process that passes the point as the n-th fires it."""
        turns = _TURNS.get(self.point, 1)
        return random.Random(f"{self.point} {self.fault} {self.seed}").randint(1, turns)

    def __str__(self) -> str:
        return f"{self.point} × {self.fault} × seed {self.seed}"


def every_scenario(seeds: int) -> list[Scenario]:
    return [
        Scenario(point, fault, seed)
        for seed in range(seeds)
        for point in CRASH_POINTS
        for fault in FAULTS
        if point not in _BETWEEN_JOBS
    ]


def sample(seed: int, size: int) -> list[Scenario]:
    """Some of all, chosen so that every fault and as many points as fit are among them."""
    chooser = random.Random(seed)
    scenarios = every_scenario(1)
    chooser.shuffle(scenarios)
    chosen: list[Scenario] = []
    while len(chosen) < size:
        chosen.append(min(scenarios, key=lambda each: _how_common(each, chosen)))
        scenarios.remove(chosen[-1])
    return chosen


def _how_common(scenario: Scenario, chosen: list[Scenario]) -> int:
    return sum((each.fault == scenario.fault) + (each.point == scenario.point) for each in chosen)
