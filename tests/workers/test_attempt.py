"""One attempt and what becomes of its report."""

import time
from types import SimpleNamespace

import pytest

from infra.db.figures import read_figures
from infra.db.orders import StepResult
from infra.db.session import Database
from pipeline.errors import UnusableMediaError
from tests.infra.db.hands import Hands
from workers.attempt import attempt_step
from workers.lease import Lease
from workers.step import StepAtWork


@pytest.fixture
def hands(postgres_url):
    database = Database(postgres_url)
    yield Hands(database)
    database.close()


@pytest.mark.parametrize("breaks", [False, True])
def test_a_report_that_comes_too_late_is_counted_and_changes_nothing(hands, breaks, tmp_path):
    hands.clear()
    hands.run("TRUNCATE farm_figures")
    hands.job(hands.project())
    claim = hands.must_claim(hands.worker())

    def work(_step):
        hands.run("UPDATE steps SET attempt = attempt + 1 WHERE id = :id", id=claim.step_id)
        if breaks:
            raise OSError("it broke, too")
        return StepResult()

    farm = SimpleNamespace(database=hands.database, workspace=SimpleNamespace(root=tmp_path))
    attempt_step(StepAtWork(farm, Lease(claim, time.monotonic()), None, None), work)
    assert hands.step(claim.step_id).state == "running"
    with hands.database.transaction() as session:
        assert read_figures(session)["fenced_reports"] == {"prepare": 1}


def test_failure_names_the_clients_file_and_not_the_workers_folders(hands, tmp_path):
    hands.clear()
    hands.job(hands.project())
    claim = hands.must_claim(hands.worker())
    film = tmp_path / "store" / "asset-1" / "a film.mkv"

    def work(_step):
        raise UnusableMediaError(f"{film}: holds no picture to dub")

    farm = SimpleNamespace(database=hands.database, workspace=SimpleNamespace(root=tmp_path))
    attempt_step(StepAtWork(farm, Lease(claim, time.monotonic()), None, None), work)
    assert hands.step(claim.step_id).error_message == "a film.mkv: holds no picture to dub"
