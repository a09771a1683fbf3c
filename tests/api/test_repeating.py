"""Every POST can be sent again with its Idempotency-Key: done once, answered as before."""

import secrets
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import pytest

from api import repeating
from api.app import create_app
from infra.db.session import Database
from infra.errors import ServiceUnavailableError
from infra.settings import Settings
from infra.storage.objects import ObjectStore
from tests.api.addresses import addresses
from tests.api.world import World

#: Addresses that keep no answers, and why they need not.
EXCEPTIONS: Final = {
    "/dashboard/sign-in": "no client's: a form of the pages, answered with a cookie",
    "/dashboard/sign-out": "no client's; the sign-in is gone, or was",
    "/v2/analyze/cost": "changes nothing",
    "/v2/generate": "the job has the key: test_generations",
    "/v2/generate/languages": "the batch has the key: test_languages",
    "/v2/batch": "the batch has the key: test_batch_reading",
}

_NEVER_SENT: Final = {"name": "film.mp4", "size": 10}
#: Of every other: two bodies that can be sent to it, in this order.
BODIES: Final[dict[str, tuple[Any, Any]]] = {
    "/v2/assets": ({"url": "https://a.example/f.mp4"}, {"url": "https://a.example/g.mp4"}),
    "/v2/assets/upload": (
        {"fileName": "f.mp4", "contentType": "video/mp4", "size": 9},
        {"fileName": "f.mp4", "contentType": "video/mp4", "size": 8},
    ),
    "/v2/assets/uploads": (_NEVER_SENT, {**_NEVER_SENT, "size": 11}),
    "/v2/assets/uploads/{upload_id}/complete": ({}, {"other": 1}),
    "/v2/batch/{batch_id}/cancel": ({}, {"other": 1}),
    "/v2/generate/{generation_id}/cancel": ({}, {"other": 1}),
    "/v2/generate/{generation_id}/pause": ({}, {"other": 1}),
    "/v2/generate/{generation_id}/priority": ({"priority": 3}, {"priority": 4}),
    "/v2/generate/{generation_id}/ranges/actions": (
        {"action": "priority", "start": 0, "end": 5, "priority": 2},
        {"action": "priority", "start": 0, "end": 6, "priority": 2},
    ),
    "/v2/generate/{generation_id}/resume": ({}, {"other": 1}),
    "/v2/generate/{generation_id}/retry": ({}, {"other": 1}),
    "/v2/generate/{generation_id}/steps/{step_id}/keep-original": ({}, {"other": 1}),
    "/v2/generate/{generation_id}/steps/{step_id}/retry": ({}, {"other": 1}),
    "/v2/generations/actions": (
        {"action": "priority", "priority": 1, "filter": {}},
        {"action": "priority", "priority": 2, "filter": {}},
    ),
    "/v2/keys": ({"name": "one"}, {"name": "two"}),
    "/v2/keys/{key_id}/rotate": ({}, {"graceHours": 2}),
    "/v2/views": ({"name": "a", "filter": {}}, {"name": "b", "filter": {}}),
    "/v2/webhooks/deliveries/{delivery_id}/replay": ({}, {"other": 1}),
    "/v2/webhooks/endpoints": ({"url": "https://a.example"}, {"url": "https://b.example"}),
    "/v2/webhooks/secret/rotate": ({}, {"other": 1}),
    "/v2/webhooks/test": ({"url": "https://a.example"}, {"url": "https://b.example"}),
}


def test_every_post_keeps_its_answer_or_says_why_not(
    settings: Settings, database: Database, store: ObjectStore
) -> None:
    app = create_app(settings, database, store)
    posts = {path for method, path in addresses(app) if method == "POST"}
    assert posts == set(EXCEPTIONS) | set(BODIES), "enter a new POST in one of the two"


@pytest.mark.parametrize("path", sorted(BODIES))
def test_a_request_sent_again_is_done_once(admin: httpx.Client, world: World, path: str) -> None:
    first, other = BODIES[path]
    address = _prepared(admin, world, path)
    key = {"idempotency-key": f"k-{uuid.uuid4().hex}"}
    done = admin.post(address, json=first, headers=key)
    assert done.status_code in (200, 201, 202), done.text
    before = _effects(world)
    again = admin.post(address, json=first, headers=key)
    assert again.status_code == (200 if done.status_code == 201 else done.status_code)
    assert again.json() == {k: v for k, v in done.json().items() if k != "key"}
    assert _effects(world) == before
    mistaken = admin.post(address, json=other, headers=key)
    assert mistaken.status_code == 409, mistaken.text
    assert mistaken.json()["error_code"] == "idempotency_key_conflict"
    assert _effects(world) == before


def test_a_key_is_one_projects_own(
    admin: httpx.Client, stranger: httpx.Client, world: World
) -> None:
    key = {"idempotency-key": "of-two-projects"}
    ours = admin.post("/v2/assets", json={"url": "https://a.example/f.mp4"}, headers=key)
    theirs = stranger.post("/v2/assets", json={"url": "https://a.example/h.mp4"}, headers=key)
    assert (ours.status_code, theirs.status_code) == (201, 201)
    assert ours.json()["id"] != theirs.json()["id"]


def test_a_file_sent_again_is_one_asset_whatever_the_form_looks_like(admin: httpx.Client) -> None:
    key = {"idempotency-key": "a-file"}
    content = secrets.token_bytes(1000)
    first, again = (
        admin.post("/v2/assets", files={"audio": ("a.wav", content)}, headers=key) for _ in range(2)
    )
    assert first.status_code == 201, first.text
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    other = admin.post("/v2/assets", files={"audio": ("a.wav", b"other")}, headers=key)
    assert other.json()["error_code"] == "idempotency_key_conflict"


def test_what_was_refused_is_tried_again(admin: httpx.Client) -> None:
    key, wanted = {"idempotency-key": "refused"}, {"name": "twice", "filter": {}}
    view = admin.post("/v2/views", json=wanted).json()["id"]
    refused = admin.post("/v2/views", json=wanted, headers=key)
    assert refused.json()["error_code"] == "view_conflict"
    admin.delete(f"/v2/views/{view}")
    assert admin.post("/v2/views", json=wanted, headers=key).status_code == 201


def test_sent_ten_times_at_once_it_is_done_once(admin: httpx.Client, world: World) -> None:
    key, name = {"idempotency-key": "at-once"}, uuid.uuid4().hex
    together = threading.Barrier(10)

    def send(_: int) -> dict[str, Any]:
        together.wait()
        answer = admin.post("/v2/keys", json={"name": name}, headers=key)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(send, range(10)))
    assert len({each["id"] for each in answers}) == 1
    assert sum("key" in each for each in answers) == 1
    assert len([k for k in admin.get("/v2/keys").json() if k["name"] == name]) == 1


def test_a_keys_secret_is_kept_nowhere(admin: httpx.Client, world: World) -> None:
    made = admin.post("/v2/keys", json={"name": "s"}, headers={"idempotency-key": "secret"})
    rows = world.hands.rows("SELECT body FROM kept_answers WHERE key = 'secret'")
    assert made.json()["key"] not in rows[0].body


def test_a_key_of_other_characters_is_refused(admin: httpx.Client) -> None:
    answer = admin.post("/v2/keys", json={"name": "s"}, headers={"idempotency-key": "a b"})
    assert answer.json()["error_code"] == "request_invalid"


def _prepared(admin: httpx.Client, world: World, path: str) -> str:
    """The address, with things that it can be done to."""
    if "{step_id}" in path or path.endswith("{generation_id}/retry") or "ranges" in path:
        world.ids["generation_id"], world.ids["step_id"] = world.failed_step()
    elif "{upload_id}" in path:
        begun = admin.post("/v2/assets/uploads", json=_NEVER_SENT).json()
        httpx.put(begun["missing"][0]["url"], content=b"0123456789").raise_for_status()
        world.ids["upload_id"] = begun["id"]
    elif "{generation_id}" in path:
        world.ids["generation_id"] = world.job()
        if path.endswith("/resume"):
            admin.post(world.path(path).replace("resume", "pause")).raise_for_status()
    elif path == "/v2/views":
        for view in admin.get(path).json():
            admin.delete(f"{path}/{view['id']}")
    return world.path(path)


def _effects(world: World) -> int:
    """What was written into the log that tells of everything that is done."""
    query = "SELECT id FROM audit_log WHERE project_id = :project"
    return len(world.hands.rows(query, project=world.project))


@pytest.fixture
def nobody_audits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every route forgets to write into the audit log."""
    monkeypatch.setattr("api.auditing.note_action", lambda *_: None)


@pytest.fixture
def answers_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies when all is done, before the answer is kept."""

    def die(*_: Any) -> bool:
        raise ServiceUnavailableError("the process died")

    monkeypatch.setattr(repeating.Repeatable, "keep", die)
    monkeypatch.setattr(repeating, "_WAIT_SECONDS", 0.0)  # nothing is under way


#: Done in several transactions; sent again after a crash they go on, and do nothing twice.
GO_ON: Final = frozenset(
    path for path in BODIES if repeating._GOES_ON.fullmatch(path.replace("{", "").replace("}", ""))
)


@pytest.mark.usefixtures("nobody_audits", "answers_are_lost")
@pytest.mark.parametrize("path", sorted(set(BODIES) - GO_ON))
def test_a_route_that_forgets_to_audit_is_done_once_all_the_same(
    admin: httpx.Client, world: World, path: str
) -> None:
    address, key = _prepared(admin, world, path), f"k-{uuid.uuid4().hex}"
    lost = admin.post(address, json=BODIES[path][0], headers={"idempotency-key": key})
    assert lost.status_code == 503, lost.text
    assert len(world.hands.rows("SELECT key FROM kept_answers WHERE key = :key", key=key)) == 1
    again = admin.post(address, json=BODIES[path][0], headers={"idempotency-key": key})
    assert (again.status_code, again.json()["error_code"]) == (409, "idempotency_key_conflict")
    assert "its answer was lost" in again.json()["message"]


@pytest.mark.usefixtures("nobody_audits")
@pytest.mark.parametrize("path", sorted(BODIES))
def test_its_answer_is_kept_as_well(admin: httpx.Client, world: World, path: str) -> None:
    address, key = _prepared(admin, world, path), {"idempotency-key": f"k-{uuid.uuid4().hex}"}
    done, again = (admin.post(address, json=BODIES[path][0], headers=key) for _ in range(2))
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == {k: v for k, v in done.json().items() if k != "key"}


#: Methods that do the same however often they are sent, by what HTTP says of them or we do.
REPEATABLE_BY_NATURE: Final = {
    "DELETE": "what is gone is gone",
    "PATCH": "sets fields to what is said; nothing counts up",
}


def test_every_other_change_may_be_repeated_by_nature(
    settings: Settings, database: Database, store: ObjectStore
) -> None:
    methods = {method for method, _ in addresses(create_app(settings, database, store))}
    assert methods - {"GET", "POST"} == set(REPEATABLE_BY_NATURE)
