"""Webhooks arrive: once by id, in order per job, signed, whatever the receiver does for an hour."""

import hashlib
import hmac
import itertools
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook

from api import webhook_sender
from api.event_hub import EventHub
from api.farm import Farm
from api.limits import Limits
from api.webhook_sender import RETRY_SECONDS, WebhookSender
from infra.db.control import cancel_job, pause_job, resume_job
from infra.db.session import Database
from infra.db.webhooks import create_endpoint, rotate_secret, signing_secrets
from infra.settings import Settings
from infra.storage.objects import ObjectStore
from tests.api.receiver import Receiver
from tests.infra.db.hands import Hands
from tests.patience import LONG_SECONDS

TOLD = ["generation.created", "generation.paused", "generation.resumed", "generation.canceled"]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC) + timedelta(seconds=60)  # what tests enter meanwhile is due

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hands(database: Database) -> Hands:
    hands = Hands(database)
    hands.clear()
    return hands


@pytest.fixture
def make_sender(
    settings: Settings, database: Database, clock: Clock
) -> Iterator[Callable[..., WebhookSender]]:
    made = []

    def make(**given: Any) -> WebhookSender:
        allowed = {"webhook_private_addresses": True, "webhook_http": True} | given
        changed = settings.model_copy(update=allowed)
        limits, hub = Limits(settings.redis_url), EventHub(database)
        farm = Farm(changed, database, ObjectStore(settings), limits, hub)
        made.append(WebhookSender(farm, database, clock))
        return made[-1]

    yield make
    for sender in made:
        sender.close()


def send_all(sender: WebhookSender, clock: Clock, seconds: float, step: float = 20) -> None:
    """Everything that falls due within so many seconds of the simulated clock."""
    ends = clock.now + timedelta(seconds=seconds)
    while clock.now <= ends:
        while started := sender.start_due():
            wait(started)
        clock.pass_seconds(step)


def live(hands: Hands, project: uuid.UUID, **order: Any) -> uuid.UUID:
    """A job that is paused, resumed and canceled."""
    job = hands.job(project, **order)
    for act in (pause_job, resume_job, cancel_job):
        with hands.database.transaction() as session:
            act(session, project, job)
    return job


def test_receiver_that_fails_for_an_hour_gets_everything_once_and_in_order(
    receiver: Receiver, hands: Hands, clock: Clock, make_sender: Callable[..., WebhookSender]
) -> None:
    project, sender = hands.project(), make_sender()
    for path in ("a", "b"):
        with hands.database.transaction() as session:
            create_endpoint(session, project, f"{receiver.url}/{path}", TOLD)
    jobs = [live(hands, project) for _ in range(6)]
    works_from = clock.now + timedelta(hours=1)
    receiver.answer = lambda path, message: 200 if clock.now >= works_from else 500
    send_all(sender, clock, 3 * 3600)
    ids = [headers["webhook-id"] for headers, _ in receiver.taken]
    assert len(ids) == len(set(ids)) == 6 * len(TOLD) * 2
    for job, path in itertools.product(jobs, ("/a", "/b")):
        bodies = [json.loads(body) for headers, body in receiver.taken if headers["path"] == path]
        assert [body["event"] for body in bodies if body["id"] == str(job)] == TOLD
    for number, (headers, body) in enumerate(receiver.seen):
        same = {b for h, b in receiver.seen[number:] if h["webhook-id"] == headers["webhook-id"]}
        assert same == {body}
    assert hands.value("SELECT count(*) FROM webhook_deliveries WHERE state <> 'delivered'") == 0
    tries = hands.value("SELECT max(attempts) FROM webhook_deliveries")
    assert 7 <= tries <= 10  # it backs off


def test_each_address_hears_of_a_job_in_order(
    receiver: Receiver, hands: Hands, clock: Clock, make_sender: Callable[..., WebhookSender]
) -> None:
    project, sender = hands.project(), make_sender()
    with hands.database.transaction() as session:
        create_endpoint(session, project, receiver.url, TOLD)
    jobs = [live(hands, project) for _ in range(5)]
    refused: set[str] = set()

    def refuse_each_once(_path: str, message: str) -> int:
        is_new = message not in refused
        refused.add(message)
        return 503 if is_new else 204

    receiver.answer = refuse_each_once
    send_all(sender, clock, 600)
    bodies = [json.loads(body) for _, body in receiver.taken]
    for job in jobs:
        assert [body["event"] for body in bodies if body["id"] == str(job)] == TOLD


def test_messages_are_signed_both_ways_with_every_live_secret(
    receiver: Receiver, hands: Hands, clock: Clock, make_sender: Callable[..., WebhookSender]
) -> None:
    project, sender = hands.project(), make_sender()
    with hands.database.transaction() as session:
        (former,) = signing_secrets(session, project)
    with hands.database.transaction() as session:
        newer = rotate_secret(session, project)
    live(hands, project, webhook_url=receiver.url)
    send_all(sender, clock, 1)
    ((headers, body),) = receiver.taken
    stamp, *ours = headers["sync-signature"].split(",")
    for secret in (former.secret, newer.secret):
        assert secret.startswith("whsec_")
        Webhook(secret).verify(body, headers)
        signed = stamp.removeprefix("t=").encode() + b"." + body
        expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        assert f"v1={expected}" in ours
    assert json.loads(body)["status"] == "FAILED"
    assert json.loads(body)["error_code"] == "generation_canceled"


def test_given_up_after_a_day(
    receiver: Receiver, hands: Hands, clock: Clock, make_sender: Callable[..., WebhookSender]
) -> None:
    project, sender = hands.project(), make_sender()
    live(hands, project, webhook_url=receiver.url)
    receiver.answer = lambda path, message: 500
    began = clock.now
    send_all(sender, clock, 36 * 3600, step=300)
    assert len(receiver.seen) == len(RETRY_SECONDS) + 1
    last = hands.value("SELECT max(at) FROM webhook_attempts")
    assert timedelta(hours=19) < last - began < timedelta(hours=30)
    (row,) = hands.rows("SELECT state, last_status, last_error FROM webhook_deliveries")
    assert tuple(row) == ("failed", 500, "the receiver answered 500")


def test_address_that_is_gone_hears_nothing_more(
    receiver: Receiver, hands: Hands, clock: Clock, make_sender: Callable[..., WebhookSender]
) -> None:
    project, sender = hands.project(), make_sender()
    with hands.database.transaction() as session:
        create_endpoint(session, project, receiver.url, TOLD)
    live(hands, project)
    receiver.answer = lambda path, message: 410
    send_all(sender, clock, 3600)
    live(hands, project)
    send_all(sender, clock, 3600)
    assert len(receiver.seen) == 1
    assert hands.value("SELECT disabled_at IS NOT NULL FROM webhook_endpoints")
    assert hands.value("SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'") == 0


def test_receiver_that_asks_for_time_gets_it(
    receiver: Receiver, hands: Hands, clock: Clock, make_sender: Callable[..., WebhookSender]
) -> None:
    project, sender = hands.project(), make_sender()
    live(hands, project, webhook_url=receiver.url)
    receiver.answer = lambda path, message: 429
    receiver.headers = {"retry-after": "1000"}
    send_all(sender, clock, 900)
    assert len(receiver.seen) == 1
    send_all(sender, clock, 200)
    assert len(receiver.seen) == 2


@pytest.mark.parametrize(
    ("given", "address", "complaint"),
    [
        ({"webhook_private_addresses": False}, None, "not a public address"),
        ({"webhook_http": False}, None, "only https"),
        ({"webhook_private_addresses": False}, "http://localhost:1/", "not a public address"),
        ({"webhook_private_addresses": False}, "http://[::ffff:127.0.0.1]:1/", "public address"),
        ({"webhook_private_addresses": False}, "http://169.254.169.254/", "public address"),
        ({}, "file:///etc/passwd", "rotocol"),
    ],
)
def test_nothing_goes_inside(
    receiver: Receiver,
    hands: Hands,
    clock: Clock,
    make_sender: Callable[..., WebhookSender],
    given: dict[str, Any],
    address: str | None,
    complaint: str,
) -> None:
    live(hands, hands.project(), webhook_url=address or receiver.url)
    sender = make_sender(**given)
    send_all(sender, clock, 1)
    (row,) = hands.rows("SELECT state, last_status, last_error FROM webhook_deliveries")
    assert complaint in row.last_error
    assert receiver.seen == []


def test_redirect_is_not_followed(
    receiver: Receiver, hands: Hands, clock: Clock, make_sender: Callable[..., WebhookSender]
) -> None:
    live(hands, hands.project(), webhook_url=receiver.url)
    receiver.answer = lambda path, message: 307
    receiver.headers = {"location": f"{receiver.url}/elsewhere"}
    send_all(make_sender(), clock, 1)
    assert len(receiver.seen) == 1
    assert hands.value("SELECT last_status FROM webhook_deliveries") == 307


def test_slow_receiver_does_not_hold_up_others(
    receiver: Receiver, hands: Hands, clock: Clock, make_sender: Callable[..., WebhookSender]
) -> None:
    slow, sender = Receiver(), make_sender()
    answers = threading.Event()
    slow.answer = lambda path, message: answers.wait(LONG_SECONDS) and 200
    project = hands.project()
    for _ in range(40):
        live(hands, project, webhook_url=slow.url)
    for _ in range(5):
        live(hands, project, webhook_url=receiver.url)
    while len(receiver.taken) < 5:
        sender.start_due()
        time.sleep(0.05)
    assert slow.taken == []  # while it had not answered even once
    answers.set()
    sender.close()
    slow.close()


def test_two_senders_send_nothing_twice(
    receiver: Receiver, hands: Hands, clock: Clock, make_sender: Callable[..., WebhookSender]
) -> None:
    project = hands.project()
    for _ in range(30):
        live(hands, project, webhook_url=receiver.url)
    senders = [make_sender(), make_sender()]
    while started := [each for sender in senders for each in sender.start_due()]:
        wait(started)
    ids = [headers["webhook-id"] for headers, _ in receiver.seen]
    assert len(ids) == len(set(ids)) == 30


def test_another_sender_goes_on_where_one_died(
    receiver: Receiver,
    hands: Hands,
    clock: Clock,
    make_sender: Callable[..., WebhookSender],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live(hands, hands.project(), webhook_url=receiver.url)
    with monkeypatch.context() as dying:
        dying.setattr(WebhookSender, "_deliver", lambda self, delivery: None)
        wait(make_sender().start_due())
    other = make_sender()
    assert other.start_due() == []  # it may still be under way
    clock.pass_seconds(121)
    wait(other.start_due())
    assert len(receiver.taken) == 1


def test_drip_of_bytes_ends(
    hands: Hands,
    clock: Clock,
    make_sender: Callable[..., WebhookSender],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook_sender, "_TOTAL_SECONDS", 0.5)
    receiver = Receiver()
    answers = threading.Event()
    receiver.answer = lambda path, message: answers.wait(LONG_SECONDS) and 200
    live(hands, hands.project(), webhook_url=receiver.url)
    send_all(make_sender(), clock, 1)
    with hands.database.transaction() as session:
        status, error = session.execute(
            text("SELECT last_status, last_error FROM webhook_deliveries")
        ).one()
    assert status is None
    assert error
    answers.set()
    receiver.close()
