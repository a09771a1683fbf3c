"""Every state and every legal move, in one table; the database refuses the others.

``docs/states.md`` draws these tables and a test compares; a trigger made from them guards the rows.
"""

import itertools
from typing import Final, Literal, get_args

Stage = Literal["prepare", "detect", "track", "render", "stitch"]
Queue = Literal["cpu", "gpu", "stitch"]
StepState = Literal["queued", "running", "completed", "failed", "canceled"]
JobState = Literal[
    "queued",
    "preparing",
    "detecting",
    "tracking",
    "rendering",
    "stitching",
    "completed",
    "failed",
    "rejected",
    "canceled",
]
#: What a client wants of a job; only clients write it.
Desired = Literal["run", "pause", "cancel"]

STAGES: Final[tuple[Stage, ...]] = get_args(Stage)

#: Which workers a stage is for.
QUEUE_OF: Final[dict[Stage, Queue]] = {
    "prepare": "cpu",
    "detect": "cpu",
    "track": "cpu",
    "render": "gpu",
    "stitch": "stitch",
}

#: What a job is while a stage of it is worked on.
JOB_STATE_OF: Final[dict[Stage, JobState]] = {
    "prepare": "preparing",
    "detect": "detecting",
    "track": "tracking",
    "render": "rendering",
    "stitch": "stitching",
}

STEP_MOVES: Final[frozenset[tuple[StepState, StepState]]] = frozenset(
    {
        ("queued", "running"),  # claimed
        ("running", "completed"),  # by the attempt that holds the lease
        ("running", "queued"),  # lease lost, given back, or to be tried again
        ("running", "failed"),  # nothing left to try
        ("queued", "failed"),  # quarantined between two attempts
        ("queued", "canceled"),
        ("running", "canceled"),
        ("failed", "canceled"),
        ("failed", "queued"),  # a person retries
        ("queued", "completed"),  # a person keeps the original picture for that range
        ("failed", "completed"),  # likewise
    }
)

_ONWARD: Final[tuple[JobState, ...]] = (
    "queued",
    "preparing",
    "detecting",
    "tracking",
    "rendering",
    "stitching",
    "completed",
)
_LIVE: Final[tuple[JobState, ...]] = _ONWARD[:-1]

JOB_MOVES: Final[frozenset[tuple[JobState, JobState]]] = frozenset(
    {
        *itertools.pairwise(_ONWARD),
        *((state, "canceled") for state in _LIVE),
        *((state, "failed") for state in _LIVE),
        ("preparing", "rejected"),  # the inputs cannot be dubbed
        ("tracking", "rejected"),  # no face is where the order says one is
        ("failed", "preparing"),  # a person retries what failed
        ("failed", "tracking"),
        ("failed", "stitching"),
    }
)

STEP_ENDS: Final[frozenset[StepState]] = frozenset({"completed", "failed", "canceled"})
JOB_ENDS: Final[frozenset[JobState]] = frozenset({"completed", "failed", "rejected", "canceled"})
