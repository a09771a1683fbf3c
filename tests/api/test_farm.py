"""The farm at a glance: everyone's queues, one's own jobs."""

import pytest

from infra.db.samples import take_sample
from infra.db.session import Database

ORDER = {
    "model": "draft",
    "input": [
        {"type": "video", "url": "https://media.example/film.mov"},
        {"type": "audio", "url": "https://media.example/dialogue.wav"},
    ],
}


@pytest.fixture(scope="module")
def sampled(client, stranger, database: Database) -> None:
    """Two jobs of ours, one of a stranger's, and a sample."""
    for each in (client, client, stranger):
        assert each.post("/v2/generate", json=ORDER).status_code == 201
    with database.transaction() as session:
        take_sample(session)


def test_queues_are_everyones_and_jobs_ones_own(client, stranger, sampled):
    ours, theirs = client.get("/v2/farm").json(), stranger.get("/v2/farm").json()
    assert ours["queues"] == theirs["queues"]
    queues = {queue["queue"]: queue for queue in ours["queues"]}
    assert queues["cpu"]["ready"] == 3
    assert queues["cpu"]["queuedSeconds"] > 0
    assert queues["cpu"]["oldestReadyAt"].endswith("Z")
    assert queues["gpu"]["oldestReadyAt"] is None
    assert (ours["jobs"], theirs["jobs"]) == ({"queued": 2}, {"queued": 1})
    assert ours["workers"] == {"online": 0, "draining": 0, "sick": 0}
    assert ours["stuck"] == []


def test_samples_come_by_queue_in_equal_buckets(client, sampled):
    answer = client.get("/v2/farm/samples", params={"minutes": 30, "buckets": 10}).json()
    assert answer["bucketSeconds"] == 180
    assert sum(bucket["ready"] for bucket in answer["queues"]["cpu"]) == 3
    assert set(answer["queues"]) == {"cpu", "gpu", "stitch"}


def test_a_bucket_is_never_shorter_than_the_time_between_samples(client, sampled):
    answer = client.get("/v2/farm/samples", params={"minutes": 1, "buckets": 1000}).json()
    assert answer["bucketSeconds"] == 15


@pytest.mark.parametrize("wrong", [{"minutes": 0}, {"minutes": 1e9}, {"buckets": 0}])
def test_what_cannot_be_sampled_is_refused(client, wrong):
    assert client.get("/v2/farm/samples", params=wrong).status_code == 400
