"""/metrics: the farm's numbers and this process's, for whoever may scrape them."""

import asyncio
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from api import metrics
from api.app import create_app
from api.metrics import FarmCollector
from infra.db.figures import count_fenced_report
from infra.db.samples import take_sample
from infra.db.session import Database
from infra.db.vitals import read_vitals
from infra.db.workers import register_worker
from tests.patience import LONG_SECONDS

ORDER = {
    "model": "draft",
    "input": [
        {"type": "video", "url": "https://media.example/film.mov"},
        {"type": "audio", "url": "https://media.example/dialogue.wav"},
    ],
}
TOKEN = "a-token-of-the-farm"  # noqa: S105


def scrape(client: httpx.Client, **headers: str) -> dict[str, float]:
    """Every sample by its name and labels: ``name{a=b}``."""
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        sample.name + "{" + ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items())) + "}": (
            sample.value
        )
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setattr(metrics, "CACHE_SECONDS", 0.0)


@pytest.fixture(scope="module")
def sampled(client, database: Database) -> None:
    with database.transaction() as session:
        take_sample(session)
        register_worker(
            session, name="w", hostname="here", pid=1, queues=["gpu"], device="cpu", slots=1
        )
        count_fenced_report(session, "render")
    for _ in range(3):
        assert client.post("/v2/generate", json=ORDER).status_code == 201
    with database.transaction() as session:
        take_sample(session)


def test_queues_are_told_with_the_time_their_work_will_take(client, sampled):
    seen = scrape(client)
    assert seen["lipfarm_queue_steps{queue=cpu,state=ready}"] == 3
    assert seen["lipfarm_queued_worker_seconds{queue=cpu}"] > 0
    assert seen["lipfarm_queued_worker_seconds{queue=gpu}"] == 0
    assert seen["lipfarm_queue_workers{queue=gpu}"] == 1
    assert 0 < seen["lipfarm_queue_oldest_ready_seconds{queue=cpu}"] < LONG_SECONDS
    assert seen["lipfarm_jobs{state=queued}"] == 3
    assert seen["lipfarm_jobs_created_total{}"] == 3
    assert seen["lipfarm_fenced_reports_total{stage=render}"] == 1
    assert seen["lipfarm_database_up{}"] == 1
    assert seen["lipfarm_step_seconds_bucket{le=+Inf,stage=render}"] == 0


def test_counts_are_there_before_their_first_event(client, sampled):
    seen = scrape(client)
    name = "lipfarm_attempts_total{error_class=death,outcome=lost,stage=render}"
    assert seen[name] == 0


def test_requests_are_counted_by_route_and_never_by_path(client):
    client.get("/v2/generate/7e4c0f2c-0000-4000-8000-000000000000")
    client.get("/never/heard/of")
    client.request("BREW", "/healthz")
    seen = scrape(client)
    route = "/v2/generate/{generation_id}"
    assert seen[f"lipfarm_http_requests_total{{method=GET,route={route},status=404}}"] == 1
    assert seen["lipfarm_http_requests_total{method=GET,route=none,status=404}"] == 1
    assert f"lipfarm_http_request_seconds_count{{method=GET,route={route}}}" in seen
    assert not any("never" in name or "7e4c0f2c" in name or "BREW" in name for name in seen)


def test_an_old_sample_is_not_told_as_if_it_were_now(client, database, sampled):
    with database.transaction() as session:
        vitals = read_vitals(session)
    for age, is_told in ((30.0, True), (90.0, False)):
        moved = replace(vitals, now=vitals.samples[0].at.timestamp() + age)
        told = {family.name for family in metrics.metrics_of(moved, 60.0)}
        assert ("lipfarm_queued_worker_seconds" in told) == is_told
        assert "lipfarm_sample_age_seconds" in told


def test_the_database_is_asked_no_more_often_than_the_cache_says(database, monkeypatch):
    monkeypatch.setattr(metrics, "CACHE_SECONDS", 60.0)
    looks = []
    monkeypatch.setattr(metrics, "read_vitals", lambda s: looks.append(1) or read_vitals(s))
    registry = CollectorRegistry()
    registry.register(FarmCollector(database, 15.0))
    for _ in range(3):
        list(registry.collect())
    assert len(looks) == 1


def test_without_a_database_the_process_still_tells_of_itself():
    away = Database("postgresql://nobody:nothing@127.0.0.1:9/none")
    registry = CollectorRegistry()
    registry.register(FarmCollector(away, 15.0))
    told = {f.name: f for f in registry.collect()}
    assert told["lipfarm_database_up"].samples[0].value == 0
    assert "lipfarm_jobs" not in told
    away.close()


def ask(app: FastAPI, host: str, headers: dict[str, str]) -> int:
    """The status of ``/metrics`` for a client at an address."""

    async def go() -> int:
        transport = httpx.ASGITransport(app, client=(host, 1234))
        async with httpx.AsyncClient(transport=transport, base_url="http://farm") as client:
            return (await client.get("/metrics", headers=headers)).status_code

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("10.1.2.3", {}, 403),
        ("testclient", {}, 403),
        *(
            ("127.0.0.1", {name: "127.0.0.1"}, 403)
            for name in ("x-forwarded-for", "forwarded", "via", "x-real-ip")
        ),
    ],
)
def test_without_a_token_this_machine_alone_is_answered(
    settings, database, store, host, headers, status
):
    assert ask(create_app(settings, database, store), host, headers) == status


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer {TOKEN}x", 401),
        (f"Basic {TOKEN}", 401),
        ("Bearer", 401),
        ("", 401),
    ],
)
def test_with_a_token_it_alone_counts(settings, database, store, sent, status):
    guarded = settings.model_copy(update={"metrics_token": SecretStr(TOKEN)})
    app = create_app(guarded, database, store)
    assert ask(app, "10.1.2.3", {"authorization": sent, "via": "a proxy"}) == status
    assert ask(app, "127.0.0.1", {"authorization": sent}) == status
