"""The metrics port of processes that are no web servers."""

import contextlib
import socket

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from pydantic import SecretStr

from infra.errors import ServiceUnavailableError
from infra.metrics_port import MetricsPort
from infra.settings import Settings


@pytest.fixture
def settings():
    return Settings(database_url="postgresql://here", redis_url="redis://here", metrics_port=0)


@pytest.fixture
def registry():
    registry = CollectorRegistry()
    Counter("things", "Of this test.", registry=registry).inc(3)
    return registry


def test_it_tells_what_is_registered_and_how_the_process_is(settings, registry):
    with contextlib.closing(MetricsPort(settings, registry)) as port:
        answer = httpx.get(f"http://127.0.0.1:{port.port}/metrics")
        assert "things_total 3.0" in answer.text
        assert "process_resident_memory_bytes" in answer.text
        assert httpx.get(f"http://127.0.0.1:{port.port}/").status_code == 404


def test_with_a_token_it_wants_that(settings, registry):
    guarded = settings.model_copy(update={"metrics_token": SecretStr("a-token-of-the-farm")})
    with contextlib.closing(MetricsPort(guarded, registry)) as port:
        url = f"http://127.0.0.1:{port.port}/metrics"
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={"authorization": "Bearer nearly"}).status_code == 401
        right = {"authorization": "Bearer a-token-of-the-farm"}
        assert httpx.get(url, headers=right).status_code == 200


def test_without_a_port_nothing_listens(settings, registry):
    quiet = settings.model_copy(update={"metrics_port": None})
    with contextlib.closing(MetricsPort(quiet, registry)) as port:
        assert port.port is None


def test_a_port_that_is_taken_is_one_line(settings, registry):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        wanted = settings.model_copy(update={"metrics_port": number})
        with pytest.raises(ServiceUnavailableError, match=f"LIPFARM_METRICS_PORT {number}"):
            MetricsPort(wanted, registry)
