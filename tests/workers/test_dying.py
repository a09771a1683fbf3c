"""Runners and workers that die or stand still."""

import os
import signal

from tests.patience import LONG_SECONDS, until
from tests.workers.conftest import Farm, is_alive


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
    until(lambda: farm.reconcile() or farm.outcomes("render")[:1] == ["lost"], "the loss")
    farm.wait_for(job)
    assert farm.outcomes("render") == ["lost", "completed"]


def test_what_a_killed_worker_left_in_scratch_goes_with_the_next_start(farm: Farm):
    first = farm.start_worker("first")
    (left,) = farm.settings.scratch_dir.glob("worker-*")
    first.kill()
    first.wait()
    second = farm.start_worker("second")
    assert not left.exists()
    second.terminate()
    assert second.wait(LONG_SECONDS) == 0
    assert not list(farm.settings.scratch_dir.glob("worker-*"))


def test_a_worker_that_stood_still_is_fenced(farm: Farm):
    first = farm.start_worker("first")
    job = farm.order(render="until-told")
    runner = farm.wait_for_note("render-0")
    os.kill(first.pid, signal.SIGSTOP)
    farm.start_worker("second")
    until(lambda: farm.reconcile() or farm.outcomes("render")[:1] == ["lost"], "the loss")
    farm.wait_for_note("render-0", times=2)
    os.kill(first.pid, signal.SIGCONT)
    until(lambda: not is_alive(runner), "the end of the late runner")
    (farm.notes / "render-0.go").touch()
    farm.wait_for(job)
    assert farm.outcomes("render") == ["lost", "completed"]


def test_a_runner_without_progress_is_killed_and_another_worker_tries(farm: Farm):
    farm.start_worker(progress_seconds=5, first_progress_seconds=600)
    farm.order(render="hang", breathes=False)
    runner = farm.wait_for_note("render-0")
    until(lambda: farm.outcomes("render")[:1] == ["failed"], "giving up")
    assert farm.value("SELECT error_code FROM attempts WHERE outcome = 'failed'") == "no_progress"
    assert not is_alive(runner)
