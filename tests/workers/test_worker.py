"""Real worker processes on real servers, killed, stopped and told to go."""

import os
import signal

import psutil
import pytest
import redis

from infra.db.control import cancel_job, pause_job, resume_job
from infra.db.workers import mark_sick
from tests.workers.conftest import Farm, until


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_one_worker_does_a_whole_job(farm: Farm):
    farm.start_worker()
    job = farm.order(segments=3)
    farm.wait_for(job)
    steps = farm.column("SELECT stage FROM steps WHERE state = 'completed'")
    assert sorted(steps) == sorted(["prepare", *["detect"] * 3, "track", *["render"] * 3, "stitch"])


def test_a_killed_runner_costs_a_loss_and_nothing_more(farm: Farm):
    worker = farm.start_worker()
    job = farm.order(render="once-die")
    farm.wait_for(job)
    assert farm.outcomes("render") == ["failed", "completed"]
    assert worker.poll() is None
    tail = farm.value("SELECT log_tail FROM attempts WHERE outcome = 'failed'")
    assert "last words" in tail


def test_a_step_that_kills_every_runner_is_quarantined_and_others_go_on(farm: Farm):
    for number in range(2):
        farm.start_worker(f"player-{number}")
    poisoned = farm.order(render="die")
    until(lambda: farm.value("SELECT attention FROM jobs WHERE id = :job", job=poisoned))
    code = farm.value("SELECT error_code FROM steps WHERE stage = 'render'")
    assert code == "quarantined"
    assert farm.outcomes("render") == ["failed"] * 3
    healthy = farm.order()
    farm.wait_for(healthy)


def test_the_step_of_a_killed_worker_is_taken_by_another(farm: Farm):
    first = farm.start_worker("first")
    job = farm.order(render="until-told")
    runner = farm.wait_for_note("render-0")
    first.kill()
    first.wait()
    until(lambda: not is_alive(runner), "the death of the runner with its worker")
    farm.start_worker("second")
    (farm.notes / "render-0.go").touch()
    until(lambda: farm.reconcile() or farm.job_state(job) == "completed")
    assert farm.outcomes("render") == ["lost", "completed"]


def test_what_a_killed_worker_left_in_scratch_goes_with_the_next_start(farm: Farm):
    first = farm.start_worker("first")
    (left,) = farm.settings.scratch_dir.glob("worker-*")
    first.kill()
    first.wait()
    second = farm.start_worker("second")
    assert not left.exists()
    second.terminate()
    assert second.wait(15) == 0
    assert not list(farm.settings.scratch_dir.glob("worker-*"))


def test_a_worker_told_to_stop_gives_back_what_it_cannot_finish(farm: Farm):
    worker = farm.start_worker()
    farm.order(render="hang")
    runner = farm.wait_for_note("render-0")
    worker.terminate()
    assert worker.wait(15) == 0
    assert not is_alive(runner)
    assert farm.outcomes("render") == ["released"]
    assert farm.column("SELECT ready FROM steps WHERE stage = 'render'") == [True]
    assert farm.column("SELECT state FROM workers") == ["offline"]


def test_a_worker_told_to_stop_finishes_what_it_can(farm: Farm):
    worker = farm.start_worker(drain_seconds=20)
    farm.order(render="until-told")
    farm.wait_for_note("render-0")
    worker.terminate()
    until(lambda: farm.column("SELECT state FROM workers") == ["draining"], "draining")
    (farm.notes / "render-0.go").touch()
    assert worker.wait(15) == 0
    assert farm.outcomes("render") == ["completed"]


@pytest.mark.parametrize("stop", [cancel_job, pause_job])
def test_cancel_and_pause_end_a_running_step_at_once(farm: Farm, stop):
    # The lease outlasts the test: only being told ends the step.
    farm.start_worker(lease_seconds=300, heartbeat_seconds=100, poll_seconds=0.2)
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


def test_a_worker_that_stood_still_is_fenced(farm: Farm):
    first = farm.start_worker("first")
    job = farm.order(render="until-told")
    runner = farm.wait_for_note("render-0")
    os.kill(first.pid, signal.SIGSTOP)
    farm.start_worker("second")
    until(lambda: farm.reconcile() or farm.outcomes("render") == ["lost", None], "the second try")
    farm.wait_for_note("render-0", times=2)
    os.kill(first.pid, signal.SIGCONT)
    until(lambda: not is_alive(runner), "the end of the late runner")
    (farm.notes / "render-0.go").touch()
    farm.wait_for(job)
    assert farm.outcomes("render") == ["lost", "completed"]


def test_a_runner_without_progress_is_killed_and_another_worker_tries(farm: Farm):
    farm.start_worker(progress_seconds=0.5, first_progress_seconds=60)
    farm.order(render="hang", breathes=False)
    runner = farm.wait_for_note("render-0")
    until(lambda: farm.outcomes("render")[:1] == ["failed"], "giving up")
    assert farm.value("SELECT error_code FROM attempts WHERE outcome = 'failed'") == "no_progress"
    assert not is_alive(runner)


def test_what_cannot_be_dubbed_is_rejected_with_the_reason(farm: Farm):
    farm.start_worker()
    job = farm.order(prepare="refuse")
    farm.wait_for(job, "rejected")
    assert farm.value("SELECT error_code FROM jobs") == "media_unreadable"
    assert farm.value("SELECT error_message FROM jobs") == "it is not media"


def test_a_sick_worker_claims_nothing_until_it_proves_itself(farm: Farm):
    farm.start_worker()
    with farm.database.transaction() as session:
        mark_sick(session, farm.value("SELECT id FROM workers"))
    job = farm.order()
    (farm.notes / "well").touch()
    farm.wait_for(job)
    assert farm.value("SELECT state FROM workers") == "online"


def test_without_room_nothing_is_claimed(farm: Farm):
    farm.start_worker(free_space_floor_bytes=1 << 60)
    job = farm.order()
    second = farm.start_worker("with room", free_space_floor_bytes=0)
    farm.wait_for(job)
    names = farm.column("SELECT w.name FROM attempts a JOIN workers w ON w.id = a.worker_id")
    assert second.poll() is None
    assert set(names) == {"with room"}


def test_jobs_finish_without_any_bell(farm: Farm):
    farm.start_worker(redis_url="redis://127.0.0.1:1/0", poll_seconds=0.3)
    job = farm.order(segments=2)
    farm.wait_for(job)


def test_emptying_the_broker_at_any_moment_loses_nothing(farm: Farm, redis_url: str):
    farm.start_worker()
    with redis.Redis.from_url(redis_url) as client:
        jobs = []
        for _ in range(5):
            jobs.append(farm.order(segments=2))
            client.flushall()
        for job in jobs:
            farm.wait_for(job)
            client.flushall()
