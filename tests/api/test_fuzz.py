"""The running API against its own document: no 5xx, and no answer that is not as documented.

A few hundred cases with a fixed seed run with all tests, and thousands with the slow ones. What
streams for ever is left to the tests of events.
"""

import socket
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch
from zlib import crc32

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import FailureGroup

from api.routes import generations
from infra.settings import Settings
from tests.infra.db.hands import Hands
from tests.patience import LONG_SECONDS

load_all_checks()

#: What must hold of every answer.
CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
    schemathesis.checks.response_headers_conformance,
]

#: Endless streams; and what would take the key away that everything is asked with.
LEFT_OUT = {
    ("GET", "/v2/events"),
    ("GET", "/v2/generate/{generation_id}/events"),
    ("POST", "/dashboard/sign-out"),
}

SMALL, LARGE = 8, 100

INPUT = [
    {"type": "video", "url": "https://media.example/film.mov"},
    {"type": "audio", "url": "https://media.example/dub.wav"},
]


@pytest.fixture(scope="module", autouse=True)
def names_lead_nowhere() -> Iterator[None]:
    """At once: asking the world for each name that is thought up takes seconds."""
    resolve = socket.getaddrinfo

    def resolve_here(host: Any, *more: Any, **named: Any) -> Any:
        if host in {None, "127.0.0.1", "localhost", "::1"}:
            return resolve(host, *more, **named)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with patch.object(socket, "getaddrinfo", resolve_here):
        yield


@pytest.fixture(scope="module", autouse=True)
def long_polls_are_short() -> Iterator[None]:
    with patch.object(generations, "WAIT_SECONDS", 0.1):
        yield


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """Of a farm that lets a key ask as often as it likes."""
    return settings.model_copy(update={"requests_per_minute": 0})


@pytest.fixture(scope="module")
def key(make_key: Any) -> str:
    return str(make_key("fuzzed", "admin"))


_ALL_THERE = """
SELECT (SELECT count(*) FROM jobs WHERE id::text = ANY (:generation_id)
        AND state IN ('queued', 'rendering')) = 2
   AND EXISTS (SELECT FROM assets WHERE id::text = ANY (:asset_id))
   AND EXISTS (SELECT FROM asset_uploads WHERE id::text = ANY (:upload_id))
"""


class Known:
    """Ids of things that are there, by the name paths have for them.

    Some cases end or delete them, so each address finds new ones.
    """

    def __init__(self, url: str, key: str, hands: Hands) -> None:
        self._url, self._headers, self._hands = url, {"x-api-key": key}, hands
        self.ids: dict[str, list[str]] = {}

    def refresh(self) -> None:
        if not self.ids or not self._hands.value(_ALL_THERE, **self.ids):
            headers = self._headers
            with httpx.Client(base_url=self._url, headers=headers, timeout=LONG_SECONDS) as client:
                self._make(client)

    def _make(self, client: httpx.Client) -> None:
        self._hands.run("DELETE FROM jobs")
        order = {"model": "draft", "input": INPUT}
        rendering = client.post("/v2/generate", json=order).json()["id"]
        worker = self._hands.worker()
        self._hands.reach(worker, uuid.UUID(rendering), "render", segments=4)
        queued = client.post("/v2/generate", json=order).json()["id"]
        asset = client.post("/v2/assets", files={"audio": ("a.wav", b"x")}).json()
        upload = client.post("/v2/assets/uploads", json={"name": "a.mov", "size": 5}).json()
        dialogues = [{"language": "fra", "url": INPUT[1]["url"]}]
        title = {"model": "draft", "input": INPUT[:1], "dialogues": dialogues}
        batch = client.post("/v2/generate/languages", json=title).json()["batch"]
        steps = client.get(f"/v2/generate/{rendering}/steps").json()
        self.ids = {
            "generation_id": [rendering, rendering, queued],
            "step_id": [step["id"] for step in steps],
            "asset_id": [asset["id"]],
            "upload_id": [upload["id"]],
            "batch_id": [batch["id"]],
        }


@pytest.fixture(scope="module")
def known(url: str, key: str, database: Any) -> Known:
    return Known(url, key, Hands(database))


@pytest.fixture(scope="module")
def document(url: str) -> Any:
    return schemathesis.openapi.from_url(f"{url}/v2/openapi.json")


class Tally:
    """Cases asked and answers given, over all addresses."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.failures: dict[str, str] = {}

    @property
    def cases(self) -> int:
        return sum(self.statuses.values())


def _crc(case: Any) -> int:
    return crc32(f"{case.path_parameters}{case.query}{case.body}".encode(errors="replace"))


def _put_known(case: Any, known: Known) -> None:
    """Two of three cases are of things that are there; the others of whatever was thought up."""
    for name in case.path_parameters or {}:
        ids, chosen = known.ids.get(name, []), _crc(case)
        if ids and chosen % 3:
            case.path_parameters[name] = ids[chosen % len(ids)]


def _fuzz(document: Any, key: str, known: Known, examples: int) -> Tally:
    tally = Tally()
    for result in document.get_all_operations():
        operation = result.ok()
        if (operation.method.upper(), operation.path) in LEFT_OUT:
            continue
        known.refresh()
        _fuzz_one(operation, key, known, examples, tally)
    return tally


def _fuzz_one(operation: Any, key: str, known: Known, examples: int, tally: Tally) -> None:
    @seed(20_240_229)
    @hypothesis_settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        _put_known(case, known)
        answer = case.call(headers={"x-api-key": key}, timeout=LONG_SECONDS, allow_redirects=False)
        tally.statuses[answer.status_code] += 1
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            where = f"{operation.method.upper()} {operation.path} {answer.status_code}"
            first = group.exceptions[0]
            tally.failures.setdefault(where, f"{first}\n{_told(case)}\n{answer.text[:300]}")

    ask()
    # Seen where a test fails, or is run with -s.
    print(f"{operation.method.upper()} {operation.path}: {tally.cases}")  # noqa: T201


def _told(case: Any) -> str:
    return f"{case.path_parameters} {case.query} {case.body!r}"[:600]


def _assert_sound(tally: Tally, least: int) -> None:
    assert not tally.failures, "\n\n".join(f"{k}: {v}" for k, v in tally.failures.items())
    assert tally.cases >= least, tally.statuses
    # Not all of them at the door.
    assert sum(n for status, n in tally.statuses.items() if status < 300) > tally.cases / 10


@pytest.mark.timeout(600)
def test_every_answer_is_as_documented(document, key, known) -> None:
    _assert_sound(_fuzz(document, key, known, SMALL), 400)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_answer_is_as_documented_five_thousand_times(document, key, known) -> None:
    _assert_sound(_fuzz(document, key, known, LARGE), 5000)


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_looked_up(request: pytest.FixtureRequest) -> Iterator[None]:
    """Made-up hosts are not asked of a resolver that may take seconds to say no."""
    look_up = socket.getaddrinfo

    def resolve(host: Any, *how: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name not in {"127.0.0.1", "localhost", "::1", "None"}:
            raise socket.gaierror(f"{name}: no such name")
        return look_up(host, *how, **more)

    socket.getaddrinfo = resolve
    yield
    socket.getaddrinfo = look_up
