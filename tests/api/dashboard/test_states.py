"""Every state there is has a word on the pages, and none shows as its own name."""

import re
from pathlib import Path
from typing import Final, get_args

import pytest

from api.dashboard import pages
from infra.db.batches import BATCH_STATES
from infra.db.models.steps import OUTCOMES
from infra.db.models.webhooks import STATES as DELIVERY_STATES
from infra.db.states import JobState, StepState
from infra.db.workers import WorkerState

_SOURCE: Final = Path(pages.__file__).parent / "static/js/states.js"
_ENTRY: Final = re.compile(r'^  "?([\w-]+)"?: \["([^"]+)", "([\w-]+)", "(\w+)"\],', re.MULTILINE)

#: As the pages ask for it: a batch that is pending is one whose rows are read.
_OF_A_BATCH: Final = ["reading" if state == "pending" else state for state in BATCH_STATES]


def entries() -> dict[str, str]:
    return {name: word for name, word, _, _ in _ENTRY.findall(_SOURCE.read_text())}


@pytest.mark.parametrize(
    "states",
    [get_args(JobState), get_args(StepState), OUTCOMES, get_args(WorkerState), DELIVERY_STATES,
     _OF_A_BATCH],
    ids=["job", "step", "attempt", "worker", "delivery", "batch"],
)  # fmt: skip
def test_every_state_has_a_word(states: list[str]) -> None:
    words = entries()
    assert len(words) > 20
    for state in states:
        assert re.fullmatch(r"[A-Z][a-z ]+", words[state]), state


def test_a_batch_whose_rows_are_read_waits_and_is_not_being_read() -> None:
    assert entries()["reading"] == "Being read"
    assert entries()["jobs_created"] == "Queued"


def test_every_mark_is_drawn_and_every_tone_coloured() -> None:
    icons = (Path(pages.__file__).parent / "templates/icons.html").read_text()
    styles = "".join(sheet.read_text() for sheet in _SOURCE.parents[1].glob("*.css"))
    for _, _, mark, tone in _ENTRY.findall(_SOURCE.read_text()):
        assert f'id="i-{mark}"' in icons
        assert f'data-tone="{tone}"' in styles
