"""Webhooks over HTTP: addresses, secrets, messages and their tries, replay."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import structlog

from api.app import create_app
from api.webhook_sender import WebhookSender
from infra.db.control import cancel_job
from infra.db.session import Database
from infra.settings import Settings
from infra.storage.objects import ObjectStore
from tests.api.receiver import Receiver
from tests.api.world import ADDRESS, World, make_world


@pytest.fixture(scope="module")
def world(database: Database) -> World:
    return make_world(database, "told")


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    allowed = {"webhook_private_addresses": True, "webhook_http": True}
    return settings.model_copy(update=allowed)


@pytest.fixture
def admin(url: str, world: World) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"x-api-key": world.key("admin")}) as client:
        yield client


@pytest.fixture
def receiver(world: World) -> Iterator[Receiver]:
    world.hands.run("TRUNCATE webhook_endpoints, webhook_deliveries CASCADE")
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def send(
    settings: Settings, database: Database, store: ObjectStore
) -> Iterator[Callable[[], None]]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    sender = WebhookSender(create_app(settings, database, store).state.farm, database)

    def send() -> None:
        while started := sender.start_due():
            for each in started:
                each.result()
            time.sleep(0.01)

    yield send
    sender.close()


def test_address_hears_of_what_it_chose(
    admin: httpx.Client, world: World, receiver: Receiver, send: Callable[[], None]
) -> None:
    asked = {"url": receiver.url, "events": ["generation.created"], "description": "mine"}
    made = admin.post("/v2/webhooks/endpoints", json=asked)
    assert made.status_code == 201
    assert admin.get("/v2/webhooks/endpoints").json() == [made.json()]
    job = world.job()
    send()
    ((headers, _),) = receiver.taken
    (message,) = admin.get("/v2/webhooks/deliveries").json()["items"]
    assert message["id"] == headers["webhook-id"]
    assert (message["generationId"], message["state"]) == (job, "delivered")
    whole = admin.get(f"/v2/webhooks/deliveries/{message['id']}").json()
    assert whole["payload"]["id"] == job
    assert [each["status"] for each in whole["attemptList"]] == [200]
    assert admin.delete(f"/v2/webhooks/endpoints/{made.json()['id']}").status_code == 204
    world.job()
    send()
    assert len(receiver.taken) == 1


def test_replayed_message_is_the_same_once_more(
    admin: httpx.Client, world: World, receiver: Receiver, send: Callable[[], None]
) -> None:
    job = world.hands.job(world.project, webhook_url=receiver.url)
    with world.database.transaction() as session:
        cancel_job(session, world.project, job)
    send()
    (message,) = admin.get("/v2/webhooks/deliveries").json()["items"]
    again = admin.post(f"/v2/webhooks/deliveries/{message['id']}/replay")
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    send()
    first, second = receiver.taken
    assert first[0]["webhook-id"] == second[0]["webhook-id"] == message["id"]
    assert first[1] == second[1]
    whole = admin.get(f"/v2/webhooks/deliveries/{message['id']}").json()
    assert [each["number"] for each in whole["attemptList"]] == [1, 2]


def test_messages_are_listed_page_by_page_and_by_state(
    admin: httpx.Client, world: World, receiver: Receiver, send: Callable[[], None]
) -> None:
    jobs = [world.hands.job(world.project, webhook_url=receiver.url) for _ in range(5)]
    for job in jobs:
        with world.database.transaction() as session:
            cancel_job(session, world.project, job)
    listed: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = admin.get("/v2/webhooks/deliveries", params={"limit": 2, **cursor}).json()
        listed += [each["generationId"] for each in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert listed == [str(job) for job in reversed(jobs)]
    given = {"state": "pending", "generationId": str(jobs[0])}
    assert len(admin.get("/v2/webhooks/deliveries", params=given).json()["items"]) == 1
    send()
    assert admin.get("/v2/webhooks/deliveries", params=given).json()["items"] == []


def test_address_can_be_tried(
    admin: httpx.Client, receiver: Receiver, send: Callable[[], None]
) -> None:
    asked = admin.post("/v2/webhooks/test", json={"url": receiver.url})
    assert asked.status_code == 202
    send()
    whole = admin.get(f"/v2/webhooks/deliveries/{asked.json()['id']}").json()
    assert (whole["event"], whole["state"]) == ("webhook.test", "delivered")
    assert len(receiver.taken) == 1


def test_secret_stays_until_it_is_replaced(admin: httpx.Client) -> None:
    first = admin.get("/v2/webhooks/secret").json()
    assert first["secret"].startswith("whsec_")
    assert admin.get("/v2/webhooks/secret").json() == first
    second = admin.post("/v2/webhooks/secret/rotate").json()
    assert second["secret"] != first["secret"]
    assert len(second["former"]) == 1
    assert first["secret"] not in str(second)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"url": "ftp://studio.example"},
        {"url": "file:///etc/passwd"},
        {"url": "https://user:word@studio.example"},
        {"url": ADDRESS, "events": ["generation.exploded"]},
        {"url": ADDRESS, "extra": 1},
    ],
)
def test_addresses_that_cannot_be_right_are_refused(
    admin: httpx.Client, asked: dict[str, object]
) -> None:
    assert admin.post("/v2/webhooks/endpoints", json=asked).status_code == 400
