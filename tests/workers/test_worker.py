"""A worker's days without accidents: work, refusals, illness, no room, no bells."""

import redis

from infra.db.workers import mark_sick
from tests.workers.conftest import Farm


def test_one_worker_does_a_whole_job(farm: Farm):
    farm.start_worker()
    job = farm.order(segments=3)
    farm.wait_for(job)
    steps = farm.column("SELECT stage FROM steps WHERE state = 'completed'")
    assert sorted(steps) == sorted(["prepare", *["detect"] * 3, "track", *["render"] * 3, "stitch"])


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
