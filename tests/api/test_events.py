"""Streams of events: complete, in order, resumable, and each project's own."""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from api import event_hub, event_streams
from api.errors import RefusedError
from api.event_hub import EventHub
from api.event_streams import Wants
from api.routes import events
from infra.db.keys import revoke_api_key
from infra.db.models import Event
from infra.db.projects import create_api_key, create_project
from infra.db.session import Database
from tests.patience import LONG_SECONDS


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.3)
    monkeypatch.setattr(events, "RECHECK_SECONDS", 0.5)


class Reader:
    """A client of one stream, as a browser's EventSource reads it."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer, self._lines = answer, answer.iter_lines()
        self.comments = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        fields: dict[str, str] = {}
        for line in self._lines:
            if line.startswith(":"):
                self.comments += 1
            elif line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                yield {
                    **json.loads(fields["data"]),
                    "name": fields["event"],
                    "at": fields.get("id"),
                }
                fields = {}

    def read(self, number: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for event in self:
            found.append(event)
            if len(found) == number:
                break
        return found


@contextlib.contextmanager
def listening(client: httpx.Client, path: str = "/v2/events", **given: Any) -> Iterator[Reader]:
    with client.stream("GET", path, timeout=LONG_SECONDS, **given) as answer:
        assert answer.status_code == 200, answer.read()
        reader = Reader(answer)
        assert next(reader._lines).startswith("retry: ")
        yield reader


@pytest.fixture
def tell(database: Database) -> Callable[..., None]:
    def tell(project: str, *kinds: str) -> None:
        with database.transaction() as session:
            owner = create_project(session, project)
            for kind in kinds:
                session.add(Event(project_id=owner, job_id=uuid.uuid4(), kind=kind, data={}))
                session.flush()

    return tell


def names(found: list[dict[str, Any]]) -> list[str]:
    return [event["name"] for event in found]


def test_stream_tells_what_happens(client: httpx.Client, tell: Callable[..., None]) -> None:
    with listening(client) as reader:
        assert reader.answer.headers["content-type"].startswith("text/event-stream")
        tell("ours", "job.created", "step.claimed")
        tell("ours", "job.completed")
        found = reader.read(3)
    assert names(found) == ["generation.created", "step.claimed", "generation.completed"]
    assert all(event["at"] == event["id"] for event in found)


def test_nothing_is_missed_from_the_first_bytes_on(
    client: httpx.Client, tell: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    join = EventHub.join

    def join_late(*args: Any) -> Any:
        time.sleep(0.5)
        return join(*args)

    monkeypatch.setattr(EventHub, "join", join_late)
    with listening(client) as reader:
        tell("ours", "job.at_once")
        time.sleep(1)
        tell("ours", "job.later")
        assert names(reader.read(1)) == ["generation.at_once"]
        assert names(reader.read(1)) == ["generation.later"]


def test_stream_goes_on_after_the_last_event_seen(
    client: httpx.Client, tell: Callable[..., None]
) -> None:
    with listening(client) as reader:
        tell("ours", "job.a", "job.b")
        (first, second) = reader.read(2)
    tell("ours", "job.c")
    tell("ours", "job.d")
    with listening_at_once(client, headers={"last-event-id": first["id"]}) as reader:
        tell("ours", "job.e")
        found = reader.read(4)
    assert names(found) == [f"generation.{n}" for n in "bcde"]
    # What the browser noted is newer than the page's own address.
    given = {"params": {"after": "0-0"}, "headers": {"last-event-id": second["id"]}}
    with listening_at_once(client, **given) as reader:
        assert names(reader.read(3)) == [f"generation.{n}" for n in "cde"]


@contextlib.contextmanager
def listening_at_once(client: httpx.Client, **given: Any) -> Iterator[Reader]:
    with client.stream("GET", "/v2/events", timeout=LONG_SECONDS, **given) as answer:
        yield Reader(answer)


def test_what_is_known_is_not_told_again_though_the_hub_is_behind(
    client: httpx.Client, tell: Callable[..., None]
) -> None:
    with listening(client):  # the hub looks once a second
        tell("ours", "job.known")
        asked = {"format": "json", "limit": 1000}
        (*_, known) = client.get("/v2/events", params=asked).json()["items"]
        assert known["kind"] == "generation.known"
        with listening_at_once(client, params={"after": known["id"]}) as reader:
            tell("ours", "job.new")
            assert names(reader.read(1)) == ["generation.new"]


def test_id_of_another_life_of_the_database_begins_now(
    client: httpx.Client, tell: Callable[..., None]
) -> None:
    with listening(client, params={"after": "999999999999-1"}) as reader:
        tell("ours", "job.new")
        assert names(reader.read(1)) == ["generation.new"]


def test_late_commit_reaches_the_stream_in_order(client: httpx.Client, database: Database) -> None:
    with database.transaction() as session:
        ours = create_project(session, "ours")

    def event(kind: str) -> Event:
        return Event(project_id=ours, job_id=uuid.uuid4(), kind=kind, data={})

    with listening(client) as reader:
        with database.transaction() as slow:
            slow.add(event("job.slow"))
            slow.flush()
            with database.transaction() as quick:
                quick.add(event("job.quick"))
            time.sleep(1.5)  # the hub looks meanwhile
        assert names(reader.read(2)) == ["generation.slow", "generation.quick"]


def test_stream_is_the_projects_own(
    client: httpx.Client, stranger: httpx.Client, tell: Callable[..., None]
) -> None:
    with listening(client) as ours, listening(stranger) as theirs:
        tell("ours", "job.of_ours")
        tell("theirs", "job.of_theirs")
        assert names(ours.read(1)) == ["generation.of_ours"]
        assert names(theirs.read(1)) == ["generation.of_theirs"]


def test_kinds_are_chosen(client: httpx.Client, tell: Callable[..., None]) -> None:
    with listening(client, params={"kind": ["generation.completed", "step"]}) as reader:
        tell("ours", "job.created", "step.claimed", "job.completed")
        assert names(reader.read(2)) == ["step.claimed", "generation.completed"]


def test_silence_has_a_heartbeat(client: httpx.Client) -> None:
    with listening(client) as reader:
        while reader.comments < 3:
            if next(reader._lines).startswith(":"):
                reader.comments += 1


def test_stream_ends_with_its_key(url: str, database: Database) -> None:
    with database.transaction() as session:
        project = create_project(session, "ours")
        key = create_api_key(session, project, "short")
    with (
        httpx.Client(base_url=url, headers={"x-api-key": key.secret}) as client,
        listening(client) as reader,
    ):
        with database.transaction() as session:
            revoke_api_key(session, project, key.id)
        assert list(reader) == []


def test_who_reads_too_slowly_misses_nothing(
    client: httpx.Client, tell: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_streams, "_MOST_WAITING", 5)
    with listening(client) as reader:
        tell("ours", *(f"job.n{n}" for n in range(40)))
        assert names(reader.read(40)) == [f"generation.n{n}" for n in range(40)]


def test_page_is_the_same_list(client: httpx.Client, tell: Callable[..., None]) -> None:
    start = client.get("/v2/events", params={"format": "json", "limit": 1000}).json()["items"]
    tell("ours", "job.p", "job.q", "step.r")
    asked = {"format": "json", "limit": 2, "after": start[-1]["id"] if start else "0-0"}
    page = client.get("/v2/events", params=asked).json()
    assert [event["kind"] for event in page["items"]] == ["generation.p", "generation.q"]
    rest = client.get("/v2/events", params=asked | {"after": page["nextCursor"]}).json()
    assert [event["kind"] for event in rest["items"]] == ["step.r"]
    assert rest["nextCursor"] is None


@pytest.mark.parametrize("after", ["x", "1", "1-", "-1-1", "9" * 30 + "-1", "1-1 ", "१-१"])
def test_only_our_own_ids_are_taken(client: httpx.Client, after: str) -> None:
    for asked in ({"params": {"after": after}}, {"params": {"after": after, "format": "json"}}):
        assert client.get("/v2/events", **asked).status_code == 400


def test_generation_must_be_ones_own(client: httpx.Client) -> None:
    answer = client.get(f"/v2/generate/{uuid.uuid4()}/events")
    assert (answer.status_code, answer.json()["error_code"]) == (404, "generation_not_found")


async def _nobody_looks_while_nobody_listens(database: Database) -> None:
    hub, loop = EventHub(database, look_seconds=0.02), asyncio.get_running_loop()
    wants = Wants(uuid.uuid4())
    assert not hub.is_looking
    streams = [await asyncio.to_thread(hub.join, wants, loop) for _ in range(3)]
    assert hub.is_looking
    for stream in streams:
        stream.leave()
    while hub.is_looking:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(hub.join, wants, loop)
    hub.stop()
    while hub.is_looking:
        await asyncio.sleep(0.01)


def test_nobody_looks_while_nobody_listens(database: Database) -> None:
    asyncio.run(asyncio.wait_for(_nobody_looks_while_nobody_listens(database), LONG_SECONDS))


async def _stream_ends_with_the_process(database: Database) -> None:
    hub, loop = EventHub(database, look_seconds=0.02), asyncio.get_running_loop()
    stream = await asyncio.to_thread(hub.join, Wants(uuid.uuid4()), loop)
    hub.stop()
    while not stream.is_ended:
        assert await stream.take(10) == []
    with pytest.raises(RefusedError, match="stops"):
        await asyncio.to_thread(hub.join, Wants(uuid.uuid4()), loop)


def test_stream_ends_with_the_process(database: Database) -> None:
    asyncio.run(asyncio.wait_for(_stream_ends_with_the_process(database), LONG_SECONDS))


def test_project_has_so_many_streams(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_hub, "MOST_STREAMS", 1)
    with listening(client):
        refused = client.get("/v2/events")
    assert (refused.status_code, refused.json()["error_code"]) == (429, "rate_limit_exceeded")
