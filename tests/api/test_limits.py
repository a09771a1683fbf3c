"""Two limits with two different refusals; and what happens when nobody can count."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from api.limits import Limit, Limits
from infra.db.models import Project
from infra.db.session import Database
from tests.api.world import World, make_world
from tests.patience import LONG_SECONDS

ORDER = {
    "model": "auto",
    "input": [
        {"type": "video", "url": "https://studio.example/film.mp4"},
        {"type": "audio", "url": "https://studio.example/dub.wav"},
    ],
}


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    world = make_world(database, "limited")
    yield world
    limit(world)


@pytest.fixture
def ours(url: str, world: World) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"x-api-key": world.key()}) as client:
        yield client


def limit(world: World, **limits: int | None) -> None:
    with world.database.transaction() as session:
        project = session.get_one(Project, world.project)
        project.requests_per_minute = limits.get("requests_per_minute")
        project.live_jobs = limits.get("live_jobs")


def test_key_that_asks_too_often_is_told_when_to_come_back(
    ours: httpx.Client, world: World, url: str
) -> None:
    limit(world, requests_per_minute=5)
    answers = [ours.get("/v2/generations") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert answers[0].headers["ratelimit-limit"] == "5"
    assert [a.headers["ratelimit-remaining"] for a in answers[:5]] == list("43210")
    refused = answers[-1]
    assert refused.json()["error_code"] == "rate_limit_exceeded"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    # Another key of the same project is not held up by it.
    other = httpx.get(f"{url}/v2/generations", headers={"x-api-key": world.key()})
    assert other.status_code == 200


def test_without_a_limit_nothing_is_counted(ours: httpx.Client, world: World) -> None:
    limit(world, requests_per_minute=0)
    assert "ratelimit-limit" not in ours.get("/v2/generations").headers


def test_nobody_is_turned_away_while_redis_is_away() -> None:
    limits = Limits("redis://127.0.0.1:1/0")
    item = Limit(1, "test")
    assert [limits.hit(item, "me") for _ in range(3)] == [None, None, None]


@pytest.fixture
def order(ours: httpx.Client) -> Callable[..., httpx.Response]:
    return lambda **given: ours.post("/v2/generate", json=ORDER, timeout=LONG_SECONDS, **given)


def test_project_has_so_many_unfinished_generations(
    ours: httpx.Client, world: World, order: Callable[..., httpx.Response]
) -> None:
    world.failed_step()  # cancels all others; its own job is the first
    limit(world, live_jobs=3)
    first = order(headers={"idempotency-key": "once"})
    assert (first.status_code, order().status_code) == (201, 201)
    refused = order()
    assert (refused.status_code, refused.json()["error_code"]) == (429, "concurrency_limit_reached")
    assert refused.headers["retry-after"]
    # What was ordered before is still answered, and a place that is free can be taken.
    assert order(headers={"idempotency-key": "once"}).status_code == 200
    ours.post(f"/v2/generate/{first.json()['id']}/cancel").raise_for_status()
    assert order().status_code == 201
    assert world.hands.value("SELECT count(*) FROM jobs WHERE finished_at IS NULL") == 3


def test_limit_holds_against_orders_at_once(
    world: World, order: Callable[..., httpx.Response]
) -> None:
    world.failed_step()
    limit(world, live_jobs=4)
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(order().status_code)) for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] * 3 + [429] * 7


def test_languages_and_batches_are_limited_too(ours: httpx.Client, world: World) -> None:
    world.failed_step()
    limit(world, live_jobs=2)
    dialogues = [{"language": tag, "url": "https://a.example/a.wav"} for tag in ("fra", "deu")]
    wanted: dict[str, Any] = {"input": ORDER["input"][:1], "dialogues": dialogues}
    before = world.hands.value("SELECT count(*) FROM batches")
    refused = ours.post("/v2/generate/languages", json=wanted)
    assert (refused.status_code, refused.json()["error_code"]) == (429, "concurrency_limit_reached")
    assert world.hands.value("SELECT count(*) FROM batches") == before
