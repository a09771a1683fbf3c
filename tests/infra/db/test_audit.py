"""The audit is silent about a farm that is well and finds what is broken in one that is not."""

import uuid

import pytest

from infra.db.audit import _CHECKS, audit
from infra.db.session import Database
from tests.infra.db.hands import Hands


def broken(database: Database) -> set[str]:
    with database.transaction() as session:
        return {finding.check for finding in audit(session)}


@pytest.fixture
def job(hands: Hands) -> uuid.UUID:
    """A job that is being rendered."""
    job = hands.job(hands.project())
    hands.reach(hands.worker(), job, "render")
    return job


def test_a_farm_at_work_is_well(hands: Hands, database: Database, job: uuid.UUID) -> None:
    hands.must_claim(hands.worker(), "gpu")
    assert broken(database) == set()


#: What is done to a healthy farm → the invariant that is broken then.
DAMAGE = {
    "UPDATE attempts SET ended_at = NULL": ("one open attempt for a running step, none for others"),
    "UPDATE attempts SET ended_at = NULL, number = number + 7": (
        "the open attempt is the current one"
    ),
    "INSERT INTO attempts (step_id, number, outcome, ended_at) "
    "SELECT id, 9, 'completed', now() FROM steps WHERE stage = 'prepare'": (
        "a step is completed once"
    ),
    "DELETE FROM events WHERE kind = 'step.completed'": "a completed step says so once",
    "UPDATE steps SET artifact_id = NULL": "a completed segment left an artifact",
    "UPDATE jobs SET state = 'completed', finished_at = now()": (
        "a completed job has an output and nothing left to do"
    ),
    "UPDATE jobs SET state = 'canceled', finished_at = now()": (
        "nothing is worked on for a job that ended"
    ),
    "DELETE FROM steps WHERE state = 'queued'": (
        "a live job has something to do, or needs attention"
    ),
    "UPDATE jobs SET attention = true": "attention means a failed step",
    "UPDATE steps SET ready = false WHERE state = 'queued'": (
        "a queued step is ready, or something says why not"
    ),
    "UPDATE jobs SET desired = 'pause'": "a paused or canceled job's steps are not ready",
    "UPDATE steps SET state = 'running', ready = false, lease_until = now() - interval '1 hour', "
    "worker_id = (SELECT id FROM workers LIMIT 1) WHERE state = 'queued'": (
        "leases that ran out are seen"
    ),
    "UPDATE steps SET params = params || '{\"start\": 3}' WHERE stage = 'render'": (
        "render ranges follow each other without gap or overlap"
    ),
    "UPDATE jobs SET facts = jsonb_set(facts, '{prepare}', '{\"frames\": 99999}')": (
        "frames of the segments are the frames of the source"
    ),
}


@pytest.mark.parametrize(("statement", "check"), DAMAGE.items(), ids=DAMAGE.values())
def test_damage_is_found(
    hands: Hands, database: Database, job: uuid.UUID, statement: str, check: str
) -> None:
    for table in ("jobs", "steps"):
        hands.run(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    hands.run(statement)
    for table in ("jobs", "steps"):
        hands.run(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    assert check in broken(database)


def test_every_check_has_its_damage() -> None:
    assert set(DAMAGE.values()) == set(_CHECKS)
