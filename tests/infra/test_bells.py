"""Bells reach every worker of a class, and losing the broker costs nothing but bells."""

import os
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from infra.bells import TASK, Bell, Listener, Ringer, make_app
from infra.services.ports import free_port
from infra.services.programs import running
from infra.services.valkey import Valkey
from tests.patience import LONG_SECONDS, until


class Ears:
    """A listener and what it heard."""

    def __init__(self, url: str, *bells: Bell) -> None:
        self.heard: queue.Queue[Bell] = queue.Queue()
        self.listener = Listener(url, bells, self.heard.put)
        self.listener.start()

    def wait_until_listening(self) -> None:
        assert self.listener.listening.wait(LONG_SECONDS)

    def forget(self) -> None:
        while not self.heard.empty():
            self.heard.get()

    def next(self) -> Bell:
        return self.heard.get(timeout=LONG_SECONDS)


@pytest.fixture
def listen() -> Iterator[Callable[..., Ears]]:
    ears: list[Ears] = []

    def start(url: str, *bells: Bell) -> Ears:
        ears.append(Ears(url, *bells))
        ears[-1].wait_until_listening()
        ears[-1].forget()
        return ears[-1]

    yield start
    for each in ears:
        each.listener.stop()


@pytest.fixture
def ringer(redis_url: str) -> Iterator[Ringer]:
    ringer = Ringer(redis_url)
    yield ringer
    ringer.close()


def test_every_worker_of_a_class_hears_each_bell(redis_url, listen, ringer):
    both = [listen(redis_url, "gpu") for _ in range(2)]
    other = listen(redis_url, "cpu", "changes")
    ringer.ring("gpu")
    assert [ears.next() for ears in both] == ["gpu", "gpu"]
    ringer.ring_for_changes()
    assert other.next() == "changes"
    assert all(ears.heard.empty() for ears in both)


def test_who_begins_to_listen_looks_once_for_all_that_was_missed(redis_url):
    ears = Ears(redis_url, "cpu", "stitch")
    assert {ears.next(), ears.next()} == {"cpu", "stitch"}
    ears.listener.stop()


def test_an_emptied_broker_is_a_non_event(redis_url, listen, ringer):
    ears = listen(redis_url, "cpu")
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    ringer.ring("cpu")
    assert ears.next() == "cpu"


def test_ringing_without_a_broker_neither_raises_nor_waits():
    # A place that takes whatever comes and never answers: whoever waits for it waits for ever.
    silent = socket.create_server(("127.0.0.1", 0))
    ringer = Ringer(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
    rung = threading.Event()

    def ring() -> None:
        for _ in range(1000):
            ringer.ring("cpu")
        rung.set()

    threading.Thread(target=ring, daemon=True).start()
    assert rung.wait(LONG_SECONDS)
    ringer.close()
    silent.close()


def test_listening_resumes_when_the_broker_is_back(tmp_path: Path, listen):
    valkey = Valkey(tmp_path / "valkey", free_port(), "secret")
    with running(valkey.program(), valkey.is_ready, tmp_path / "log"):
        ears, ringer = listen(valkey.url, "cpu"), Ringer(valkey.url)
        ringer.ring("cpu")
        assert ears.next() == "cpu"
    until(lambda: not ears.listener.listening.is_set())
    ringer.ring("cpu")
    with running(valkey.program(), valkey.is_ready, tmp_path / "log"):
        ears.wait_until_listening()
        ears.forget()
        until(lambda: ringer.ring("cpu") or not ears.heard.empty())
        ears.listener.stop()
        ringer.close()


def test_a_broker_that_stands_still_is_left_and_found_again(tmp_path: Path, listen):
    valkey = Valkey(tmp_path / "valkey", free_port(), "secret")
    with running(valkey.program(), valkey.is_ready, tmp_path / "log") as process:
        ears = listen(valkey.url, "cpu")
        os.kill(process.pid, signal.SIGSTOP)
        until(lambda: not ears.listener.listening.is_set())
        os.kill(process.pid, signal.SIGCONT)
        ears.wait_until_listening()
        ears.listener.stop()


@pytest.mark.parametrize(
    "forged",
    [b"", b"garbage", b"\x80\x04]", b"[]", b"{}", b'{"body": 1, "properties": {}}'],
    ids=["empty", "text", "pickle", "list", "object", "half"],
)
def test_a_forged_bell_does_nothing_worse_than_a_bell(redis_url, listen, ringer, forged):
    ears = listen(redis_url, "cpu")
    with redis.Redis.from_url(redis_url) as client:
        client.publish("/0.lipfarm.cpu", forged)
    until(lambda: ringer.ring("cpu") or not ears.heard.empty())
    assert ears.next() == "cpu"


def test_a_task_of_another_name_is_only_a_bell(redis_url, listen):
    ears = listen(redis_url, "cpu")
    app = make_app(redis_url)
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        from kombu import Exchange  # noqa: PLC0415 -- for this forgery alone

        exchange = Exchange("lipfarm.cpu", "fanout", durable=False)
        app.send_task(
            "os.system",
            ["true"],
            producer=producer,
            exchange=exchange.name,
            exchange_type="fanout",
            routing_key=TASK,
            declare=[exchange],
            retry=False,
        )
    assert ears.next() == "cpu"
