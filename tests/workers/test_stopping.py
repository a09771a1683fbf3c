"""Workers told to stop, steps taken from them."""

import pytest

from infra.db.control import cancel_job, pause_job, resume_job
from tests.patience import LONG_SECONDS, until
from tests.workers.conftest import Farm, is_alive


def test_a_worker_told_to_stop_gives_back_what_it_cannot_finish(farm: Farm):
    worker = farm.start_worker()
    farm.order(render="hang")
    runner = farm.wait_for_note("render-0")
    worker.terminate()
    assert worker.wait(LONG_SECONDS) == 0
    assert not is_alive(runner)
    assert farm.outcomes("render") == ["released"]
    assert farm.column("SELECT ready FROM steps WHERE stage = 'render'") == [True]
    assert farm.column("SELECT state FROM workers") == ["offline"]


def test_a_worker_told_to_stop_finishes_what_it_can(farm: Farm):
    worker = farm.start_worker(drain_seconds=600)
    farm.order(render="until-told")
    farm.wait_for_note("render-0")
    worker.terminate()
    until(lambda: farm.column("SELECT state FROM workers") == ["draining"], "draining")
    (farm.notes / "render-0.go").touch()
    assert worker.wait(LONG_SECONDS) == 0
    assert farm.outcomes("render") == ["completed"]


@pytest.mark.parametrize("stop", [cancel_job, pause_job])
def test_cancel_and_pause_end_a_running_step_at_once(farm: Farm, stop):
    # The lease outlasts the test: only being told ends the step.
    farm.start_worker(lease_seconds=3000, heartbeat_seconds=1000, poll_seconds=0.2)
    job = farm.order(render="hang")
    runner = farm.wait_for_note("render-0")
    with farm.database.transaction() as session:
        stop(session, farm.project, job)
    until(lambda: not is_alive(runner), "the end of the runner")
    farm.wait_for(farm.order(), "completed")


def test_a_paused_job_goes_on_where_it_was(farm: Farm):
    farm.start_worker()
    job = farm.order(render="until-told")
    farm.wait_for_note("render-0")
    with farm.database.transaction() as session:
        pause_job(session, farm.project, job)
    (farm.notes / "render-0.go").touch()
    with farm.database.transaction() as session:
        resume_job(session, farm.project, job)
    farm.wait_for(job)
    assert farm.outcomes("prepare") == ["completed"]
