"""Keys over HTTP: made, listed, replaced, revoked, by those that may administer."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from infra.db.session import Database
from tests.api.world import World, make_world


@pytest.fixture(scope="module")
def world(database: Database) -> World:
    return make_world(database, "keyed")


@pytest.fixture
def admin(url: str, world: World) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"x-api-key": world.key("admin")}) as client:
        yield client


def status(admin: httpx.Client, key: str, path: str = "/v2/generations") -> int:
    return httpx.get(f"{admin.base_url}{path}", headers={"x-api-key": key}).status_code


def test_new_key_has_its_scope_and_is_shown_once(admin: httpx.Client) -> None:
    made = admin.post("/v2/keys", json={"name": "a reader", "scope": "read"}).json()
    assert made["key"].startswith(made["prefix"])
    assert made["scopes"] == ["read"]
    assert status(admin, made["key"]) == 200
    assert status(admin, made["key"], "/v2/keys") == 403
    listed = admin.get("/v2/keys")
    assert made["id"] in listed.text
    assert made["key"] not in listed.text
    assert [key["isOwn"] for key in listed.json()].count(True) == 1


def test_revoked_key_is_worthless_at_once(admin: httpx.Client) -> None:
    made = admin.post("/v2/keys", json={"name": "short"}).json()
    assert admin.delete(f"/v2/keys/{made['id']}").status_code == 204
    assert status(admin, made["key"]) == 401
    assert admin.delete(f"/v2/keys/{made['id']}").status_code == 204  # again


def test_key_expires(admin: httpx.Client, world: World) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    made = admin.post("/v2/keys", json={"name": "for an hour", "expiresAt": soon}).json()
    assert status(admin, made["key"]) == 200
    world.hands.run("UPDATE api_keys SET expires_at = now() WHERE id = :key", key=made["id"])
    assert status(admin, made["key"]) == 401


def test_replaced_key_works_for_its_grace_and_no_longer(admin: httpx.Client) -> None:
    former = admin.post("/v2/keys", json={"name": "ingest", "scope": "read"}).json()
    new = admin.post(f"/v2/keys/{former['id']}/rotate").json()
    assert (new["name"], new["scopes"]) == ("ingest", ["read"])
    assert status(admin, former["key"]) == status(admin, new["key"]) == 200
    (listed,) = [k for k in admin.get("/v2/keys").json() if k["id"] == former["id"]]
    ends = datetime.fromisoformat(listed["expiresAt"]) - datetime.now(UTC)
    assert timedelta(hours=23) < ends < timedelta(hours=25)
    last = admin.post(f"/v2/keys/{new['id']}/rotate", json={"graceHours": 0}).json()
    assert (status(admin, new["key"]), status(admin, last["key"])) == (401, 200)
    assert admin.post(f"/v2/keys/{new['id']}/rotate").status_code == 404


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"name": ""},
        {"name": "x", "scope": "root"},
        {"name": "a\nb"},
        {"name": "x", "expiresAt": "2020-01-01T00:00:00Z"},
        {"name": "x", "expiresAt": "2099-01-01T00:00:00"},
        {"name": "x", "extra": 1},
    ],
)
def test_requests_that_cannot_be_right_are_refused(
    admin: httpx.Client, asked: dict[str, object]
) -> None:
    assert admin.post("/v2/keys", json=asked).status_code == 400
