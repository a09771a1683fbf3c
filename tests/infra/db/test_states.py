"""The table of moves, the guard in the database, and the page that draws them say the same."""

import itertools
import re
import uuid
from pathlib import Path
from typing import get_args

import pytest

from infra.db.states import JOB_MOVES, STEP_MOVES, JobState, StepState
from infra.errors import IllegalMoveError
from tests.infra.db.hands import Hands

MOVE = "UPDATE {} SET state = :state WHERE id = :row"
PAGE = Path(__file__).resolve().parents[3] / "docs" / "states.md"


def _allows(hands: Hands, table: str, row: object, before: str, after: str) -> bool:
    """Whether the database lets a row go from one state to the other."""
    move = MOVE.format(table)
    hands.run(f"ALTER TABLE {table} DISABLE TRIGGER refuse_move")
    hands.run(move, state=before, row=row)
    hands.run(f"ALTER TABLE {table} ENABLE TRIGGER refuse_move")
    try:
        hands.run(move, state=after, row=row)
    except IllegalMoveError:
        return False
    return True


def test_the_database_allows_a_step_the_moves_of_the_table_and_no_other(hands: Hands) -> None:
    hands.job(hands.project())
    step = hands.value("SELECT id FROM steps")
    hands.run(
        "UPDATE steps SET ready = false, worker_id = :worker, lease_until = now()",
        worker=uuid.uuid4(),
    )
    pairs = itertools.permutations(get_args(StepState), 2)
    assert {pair for pair in pairs if _allows(hands, "steps", step, *pair)} == STEP_MOVES


def test_the_database_allows_a_job_the_moves_of_the_table_and_no_other(hands: Hands) -> None:
    job = hands.job(hands.project())
    pairs = itertools.permutations(get_args(JobState), 2)
    assert {pair for pair in pairs if _allows(hands, "jobs", job, *pair)} == JOB_MOVES


def test_a_refused_move_names_the_row_and_both_states(hands: Hands) -> None:
    job = hands.job(hands.project())
    with pytest.raises(IllegalMoveError, match=f"job {job}: queued does not become completed"):
        hands.run("UPDATE jobs SET state = 'completed'")


@pytest.mark.parametrize(("title", "moves"), [("Steps", STEP_MOVES), ("Jobs", JOB_MOVES)])
def test_the_page_draws_exactly_these_moves(title: str, moves: frozenset[tuple[str, str]]) -> None:
    section = PAGE.read_text().split(f"## {title}")[1].split("\n## ")[0]
    drawn = re.findall(r"^\s+(\w+) --> (\w+)", section, re.MULTILINE)
    assert set(drawn) == moves
    assert len(drawn) == len(set(drawn))
