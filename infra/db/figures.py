"""Numbers about the whole farm that no process keeps for itself; see :class:`Figure`."""

import math
from collections.abc import Mapping
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db.states import STAGES, Stage

#: Seconds; the last one has no end. From a step that is reused to one that takes a quarter hour.
STEP_SECONDS: Final = (0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 900, math.inf)

#: What a frame, or a step that counts none, costs a worker before the farm has measured it.
_UNMEASURED_SECONDS: Final[dict[Stage, float]] = {
    "prepare": 20.0,
    "detect": 0.05,
    "track": 2.0,
    "render": 0.2,
    "stitch": 10.0,
}

# In one order, so that two who add cannot wait for each other.
_ADD: Final = text("""
INSERT INTO farm_figures (name, label, value)
SELECT name, label, value FROM unnest(
    CAST(:names AS text[]), CAST(:labels AS text[]), CAST(:values AS double precision[]))
    AS new (name, label, value)
ORDER BY name, label
ON CONFLICT (name, label) DO UPDATE SET value = farm_figures.value + excluded.value
""")

_DROP: Final = text("DELETE FROM farm_figures WHERE name = ANY (:names)")
_READ: Final = text("SELECT name, label, value FROM farm_figures")

#: By name, then by label.
Figures = dict[str, dict[str, float]]


def add_figures(session: Session, figures: Mapping[str, Mapping[str, float]]) -> None:
    """Add to what the farm has counted; what it has not counted yet begins at nought."""
    rows = [
        (name, label, float(value)) for name, of in figures.items() for label, value in of.items()
    ]
    if rows:
        names, labels, values = (list(column) for column in zip(*rows, strict=True))
        session.execute(_ADD, {"names": names, "labels": labels, "values": values})


def set_figures(session: Session, figures: Mapping[str, Mapping[str, float]]) -> None:
    """Say how things stand; labels that are not given are gone."""
    session.execute(_DROP, {"names": list(figures)})
    add_figures(session, figures)


def read_figures(session: Session) -> Figures:
    """All of them."""
    figures: Figures = {}
    for name, label, value in session.execute(_READ):
        figures.setdefault(name, {})[label] = value
    return figures


def count_fenced_report(session: Session, stage: Stage) -> None:
    """A worker reported on a step that was not its own any more, and was refused."""
    add_figures(session, {"fenced_reports": {stage: 1}})


def seconds_a_unit(figures: Figures) -> dict[Stage, float]:
    """What a frame of each stage costs one worker; of stages without frames, a step."""
    units = figures.get("speed_units", {})
    seconds = figures.get("speed_seconds", {})
    return {
        stage: seconds[stage] / units[stage] if units.get(stage) else _UNMEASURED_SECONDS[stage]
        for stage in STAGES
    }
