"""Every address × every kind of key: who gets in, who does not, and who sees nothing of others."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from api.app import create_app
from infra.db.session import Database
from infra.settings import Settings
from infra.storage.objects import ObjectStore
from tests.api.addresses import NEEDS, addresses
from tests.api.world import World, make_world
from tests.patience import LONG_SECONDS

KINDS = ("none", "wrong", "expired", "revoked", "read", "submit", "unsaid", "admin", "other")
ALLOWED = {
    "read": {"read", "submit", "unsaid", "admin", "other"},
    "submit": {"submit", "unsaid", "admin", "other"},
    "admin": {"admin", "other"},
}


@pytest.fixture(scope="module")
def other(database: Database) -> World:
    return make_world(database, "rival")


@pytest.fixture(scope="module")
def ask(url: str, world: World, other: World) -> Iterator[Callable[..., httpx.Response]]:
    keys: dict[str, str | None] = {
        "none": None,
        "wrong": "lf_" + "x" * 43,
        "expired": world.expired_key(),
        "revoked": world.revoked_key(),
        "read": world.key("read"),
        "submit": world.key("submit"),
        "unsaid": world.key(),
        "admin": world.key("admin"),
        "other": other.key("admin"),
    }
    with httpx.Client(base_url=url, timeout=LONG_SECONDS) as client:

        def ask(kind: str, method: str, path: str, **given: Any) -> httpx.Response:
            key = keys[kind]
            headers = {} if key is None else {"x-api-key": key}
            # A stream never ends by itself; its head is enough.
            with client.stream(method, path, headers=headers, **given) as answer:
                if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                    answer.read()
            return answer

        yield ask


def test_every_address_says_who_may(
    settings: Settings, database: Database, store: ObjectStore
) -> None:
    found = addresses(create_app(settings, database, store))
    assert sorted(found - set(NEEDS)) == [], "enter these in tests/api/addresses.py"
    assert sorted(set(NEEDS) - found) == []


@pytest.mark.parametrize("kind", KINDS)
def test_keys_get_in_where_they_may_and_nowhere_else(
    ask: Callable[..., httpx.Response], kind: str
) -> None:
    # Nothing is there, so that nothing is changed by those who may.
    nowhere = {name: str(uuid.uuid4()) for name in _names()}
    mistakes = []
    for (method, path), needs in NEEDS.items():
        answer = ask(kind, method, path.format(**nowhere), **_body(method, path))
        expected: Callable[[int], bool]
        if needs == "anyone":
            expected = lambda status: status not in (401, 403)  # noqa: E731
        elif needs == "page":  # by cookie alone
            expected = lambda status: status == 303  # noqa: E731
        elif kind in ("none", "wrong", "expired", "revoked"):
            expected = lambda status: status == 401  # noqa: E731
        elif kind in ALLOWED[needs]:
            expected = lambda status: status not in (401, 403) and status < 500  # noqa: E731
        else:
            expected = lambda status: status == 403  # noqa: E731
        if not expected(answer.status_code):
            mistakes.append(f"{kind}: {method} {path} ({needs}): {answer.status_code}")
    assert mistakes == []


def test_another_projects_things_are_not_there(
    ask: Callable[..., httpx.Response], world: World, database: Database
) -> None:
    before = _snapshot(world)
    mistakes = []
    for (method, path), needs in NEEDS.items():
        if "{" in path and needs != "page":
            answer = ask("other", method, world.path(path), **_body(method, path))
            if answer.status_code != 404:
                mistakes.append(f"{method} {path}: {answer.status_code} {answer.text[:100]}")
    assert mistakes == []
    assert _snapshot(world) == before


def test_lists_hold_nothing_of_another_project(
    ask: Callable[..., httpx.Response], world: World
) -> None:
    for (method, path), needs in NEEDS.items():
        if method == "GET" and "{" not in path and needs not in ("anyone", "page"):
            given = {"params": {"format": "json"}} if path == "/v2/events" else {}
            text = ask("other", method, path, **given).text
            leaked = [name for name, value in world.ids.items() if value in text]
            # Steps have small numbers, which may stand for anything.
            assert not set(leaked) - {"step_id"}, path


def test_bulk_actions_touch_nothing_of_another_project(
    ask: Callable[..., httpx.Response], world: World
) -> None:
    before = _snapshot(world)
    wanted = {"action": "cancel", "ids": [world.ids["generation_id"]]}
    answer = ask("other", "POST", "/v2/generations/actions", json=wanted)
    assert answer.json()["succeeded"] == 0
    everything = {"action": "delete", "filter": {}}
    answer = ask("other", "POST", "/v2/generations/actions", json=everything)
    assert world.ids["generation_id"] not in answer.text
    assert _snapshot(world) == before


def test_another_projects_asset_is_no_input(
    ask: Callable[..., httpx.Response], world: World
) -> None:
    inputs = [
        {"type": "video", "assetId": world.ids["asset_id"]},
        {"type": "audio", "url": "https://studio.example/dub.wav"},
    ]
    answer = ask("other", "POST", "/v2/generate", json={"model": "auto", "input": inputs})
    assert answer.status_code in (400, 404), answer.text


def _snapshot(world: World) -> list[Any]:
    tables = (
        "jobs",
        "batches",
        "assets",
        "webhook_endpoints",
        "webhook_deliveries",
        "steps",
        "saved_views",
    )
    rows = []
    for table in tables:
        query = f"SELECT t::text FROM {table} t WHERE project_id = :project ORDER BY 1"  # noqa: S608
        rows.append([row[0] for row in world.hands.rows(query, project=world.project)])
    keys = "SELECT id, revoked_at, expires_at FROM api_keys WHERE project_id = :project ORDER BY 1"
    return [*rows, [tuple(row) for row in world.hands.rows(keys, project=world.project)]]


def _names() -> set[str]:
    return {part[1:-1] for _, path in NEEDS for part in path.split("/") if part.startswith("{")}


def _body(method: str, path: str) -> dict[str, Any]:
    if method in ("GET", "DELETE") or path == "/dashboard/sign-out":
        return {}
    if path == "/dashboard/sign-in":
        return {"data": {"key": "lf_wrong"}}
    bodies: dict[str, dict[str, Any]] = {
        "/v2/generate/{generation_id}/priority": {"priority": 1},
        "/v2/generate/{generation_id}": {"name": "another"},
        "/v2/generate/{generation_id}/ranges/actions": {
            "action": "pause",
            "start": 0,
            "end": 5,
        },
    }
    return {"json": bodies.get(path, {})}
