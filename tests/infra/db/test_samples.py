"""Samples of the queues, and the farm's figures: every attempt counted once, whoever looks."""

import threading

import pytest

from infra.db.figures import count_fenced_report, read_figures
from infra.db.orders import StepResult
from infra.db.samples import latest_samples, sample_series, take_sample
from infra.db.stuck import stuck_jobs
from tests.patience import LONG_SECONDS


@pytest.fixture
def farm(hands):
    hands.run("TRUNCATE queue_samples, farm_figures")
    sample(hands)  # what happened before is not counted
    return hands


def sample(hands):
    with hands.database.transaction() as session:
        take_sample(session)
    return latest(hands)


def latest(hands):
    with hands.database.transaction() as session:
        return {row.queue: row for row in latest_samples(session)}


def figures(hands):
    with hands.database.transaction() as session:
        return read_figures(session)


def test_a_sample_says_what_is_ready_waiting_and_running(farm):
    project, worker = farm.project(), farm.worker(("cpu",))
    farm.worker(("cpu", "stitch"))
    jobs = [farm.job(project) for _ in range(4)]
    farm.must_claim(worker)
    farm.run("UPDATE steps SET ready = false WHERE job_id = :job", job=jobs[-1])
    queues = sample(farm)
    cpu = queues["cpu"]
    assert (cpu.ready, cpu.waiting, cpu.running, cpu.workers) == (2, 1, 1, 2)
    assert queues["gpu"].workers == 0
    assert queues["gpu"].queued_seconds == 0


def test_queued_seconds_go_by_the_speed_that_was_measured(farm):
    project, worker = farm.project(), farm.worker()
    job = farm.job(project)
    farm.reach(worker, job, "render", segments=4)
    claim = farm.must_claim(worker, "gpu")
    farm.run(
        "UPDATE attempts SET started_at = clock_timestamp() - interval '50 seconds' "
        "WHERE step_id = :step",
        step=claim.step_id,
    )
    farm.complete(claim)
    sample(farm)
    # 100 frames took 50 s; three steps of 100 frames are left.
    assert sample(farm)["gpu"].queued_seconds == pytest.approx(150, rel=0.01)


def test_a_farm_that_measured_nothing_yet_still_asks_for_workers(farm):
    job = farm.job(farm.project())
    farm.reach(farm.worker(), job, "render", segments=4)
    farm.run("DELETE FROM farm_figures WHERE name LIKE 'speed%'")
    assert sample(farm)["gpu"].queued_seconds > 0


def test_what_was_done_is_counted_in_the_next_sample_and_never_again(farm):
    worker, job = farm.worker(), farm.job(farm.project())
    farm.reach(worker, job, "render", segments=2)
    done = sample(farm)["cpu"]
    assert (done.steps, done.frames) == (4, 202)  # prepare, two of 100 frames, track
    assert sample(farm)["cpu"].steps == 0


def test_every_end_of_an_attempt_is_counted_with_its_class(farm):
    project, worker = farm.project(), farm.worker()
    for kind in ("content", "infrastructure"):
        farm.job(project)
        farm.fail(farm.must_claim(worker), kind)
    farm.job(project)
    farm.complete(farm.must_claim(worker), StepResult(reused=True))
    sample(farm)
    counted = figures(farm)
    assert counted["attempts"] == {
        "prepare/failed/content": 1,
        "prepare/failed/infrastructure": 1,
        "prepare/completed/": 1,
    }
    assert counted["jobs_ended"] == {"rejected": 1}
    assert counted["jobs_created"] == {"": 3}
    assert "step_seconds" not in counted  # nobody worked for what was there already


def test_a_transaction_under_way_at_one_look_is_counted_at_the_next(farm):
    project = farm.project()
    begun, go_on = threading.Event(), threading.Event()

    def order_slowly():
        with farm.database.transaction() as session:
            session.connection().exec_driver_sql("SELECT pg_current_xact_id()")
            begun.set()
            go_on.wait(LONG_SECONDS)
        farm.job(project)

    slow = threading.Thread(target=order_slowly)
    slow.start()
    begun.wait(LONG_SECONDS)
    farm.job(project)  # younger than the one under way, and committed before it
    sample(farm)
    go_on.set()
    slow.join()
    sample(farm)
    assert figures(farm)["jobs_created"] == {"": 2}


def test_two_who_sample_at_once_count_nothing_twice(farm):
    project = farm.project()
    for _ in range(20):
        farm.job(project)
    both = [threading.Thread(target=sample, args=(farm,)) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert figures(farm)["jobs_created"] == {"": 20}


def test_refused_reports_add_up(farm):
    for _ in range(2):
        with farm.database.transaction() as session:
            count_fenced_report(session, "render")
    assert figures(farm)["fenced_reports"] == {"render": 2}


def test_samples_come_in_buckets_and_old_ones_are_forgotten(farm):
    farm.run("TRUNCATE queue_samples")
    farm.run(
        "INSERT INTO queue_samples (at, queue, ready, queued_seconds, frames, steps) "
        "SELECT now() - make_interval(secs => n * 10), 'gpu', n, 0, 5, 1 "
        "FROM generate_series(0, 11) n"
    )
    farm.run(
        "INSERT INTO queue_samples (at, queue, queued_seconds, frames) "
        "VALUES (now() - interval '8 days', 'gpu', 0, 0)"
    )
    sample(farm)
    with farm.database.transaction() as session:
        series = [b for b in sample_series(session, 600, 60) if b.queue == "gpu"]
    assert 2 <= len(series) <= 3
    assert sum(bucket.frames for bucket in series) == 60
    assert [b.begins_at for b in series] == sorted(b.begins_at for b in series)
    assert farm.value("SELECT min(at) > now() - interval '7 days' FROM queue_samples")


def test_a_job_nothing_happens_to_is_stuck_until_something_does(farm):
    project, worker = farm.project(), farm.worker()
    job = farm.job(project)
    claim = farm.must_claim(worker)
    farm.job(farm.project("other"))

    def stuck(whose=project):
        with farm.database.transaction() as session:
            return [found.id for found in stuck_jobs(session, whose, 600)]

    assert stuck() == []
    farm.run("UPDATE jobs SET started_at = now() - interval '1 hour' WHERE state <> 'queued'")
    farm.run("UPDATE events SET at = now() - interval '1 hour'")
    farm.run("UPDATE steps SET progress_at = now() - interval '1 hour'")
    assert stuck() == [job]
    assert stuck(farm.project("other")) == []
    farm.run("UPDATE steps SET progress_at = now() WHERE id = :step", step=claim.step_id)
    assert stuck() == []


def test_a_job_that_waits_for_a_worker_is_not_stuck(farm):
    project, worker = farm.project(), farm.worker()
    job = farm.job(project)
    farm.reach(worker, job, "render")
    farm.run("UPDATE jobs SET started_at = now() - interval '1 hour'")
    farm.run("UPDATE events SET at = now() - interval '1 hour'")
    with farm.database.transaction() as session:
        assert stuck_jobs(session, project, 600) == []
    farm.run("UPDATE steps SET ready = false")
    with farm.database.transaction() as session:
        assert [found.id for found in stuck_jobs(session, project, 600)] == [job]
