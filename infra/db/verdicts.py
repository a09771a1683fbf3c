"""What a failure means for its step: the one place that decides."""

from dataclasses import dataclass
from typing import Final

from infra.db.orders import FailureKind
from infra.db.states import JobState, Stage

#: Attempts that found their worker too small before the step counts as failed.
MOST_RESOURCE_FAILURES: Final = 5
#: Workers a step may kill before it is put into quarantine.
MOST_LOSSES: Final = 3
#: Jobs in a row whose steps failed on one worker before it must prove itself.
MOST_FAILED_JOBS: Final = 3

_FIRST_DELAY_SECONDS: Final = 1.0
_LONGEST_DELAY_SECONDS: Final = 60.0

QUARANTINED: Final = "quarantined"


@dataclass(frozen=True, slots=True)
class History:
    """What happened to a step before: attempts by how they ended."""

    infrastructure: int = 0
    resource: int = 0
    losses: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do.

    Attributes:
        again: queue the step once more; otherwise it failed.
        delay_seconds: not before that.
        bench: the worker leaves this stage of this job to others.
        suspect: it speaks against the worker too.
        quarantine: the step itself is dangerous.
    """

    again: bool
    delay_seconds: float = 0.0
    bench: bool = False
    suspect: bool = False
    quarantine: bool = False


def judge(kind: FailureKind, before: History) -> Verdict:
    """Decide on one failure.

    Args:
        kind: its class.
        before: what happened to the step until then, this failure not counted.
    """
    if kind == "content":
        return Verdict(again=False)
    if kind == "infrastructure":
        return Verdict(again=True, delay_seconds=_delay(before.infrastructure))
    if kind == "resource":
        again = before.resource + 1 < MOST_RESOURCE_FAILURES
        # Another worker may take it at once; where there is only this one, time may help.
        delay = _delay(before.resource - 1) if before.resource else 0.0
        return Verdict(again=again, delay_seconds=delay, bench=True, suspect=True)
    poison = before.losses + 1 >= MOST_LOSSES
    return Verdict(again=not poison, bench=True, suspect=True, quarantine=poison)


def job_state_after(stage: Stage, kind: FailureKind) -> JobState | None:
    """What a failed step makes of its job; None where the job goes on and needs attention."""
    if stage in {"detect", "render"}:
        return None
    # What is wrong with an order shows when its inputs are read, and when its faces are chosen.
    return "rejected" if stage in {"prepare", "track"} and kind == "content" else "failed"


def _delay(earlier: int) -> float:
    return min(_FIRST_DELAY_SECONDS * 2.0 ** min(earlier, 10), _LONGEST_DELAY_SECONDS)
