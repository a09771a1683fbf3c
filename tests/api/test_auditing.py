"""Every request that changes something is in the audit log: who, what, which, from where."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import structlog

from api.app import create_app
from infra.db.control import pause_job
from infra.db.session import Database
from infra.settings import Settings
from infra.storage.objects import ObjectStore
from tests.api.addresses import addresses
from tests.api.world import ADDRESS, World
from tests.patience import LONG_SECONDS

INPUTS = [
    {"type": "video", "url": "https://studio.example/film.mp4"},
    {"type": "audio", "url": "https://studio.example/dub.wav"},
]
ORDER = {"model": "auto", "input": INPUTS}
SAME_ORIGIN = {"sec-fetch-site": "same-origin"}

Ask = Callable[..., httpx.Response]


def do_range(ask: Ask, world: World) -> httpx.Response:
    job, _ = world.failed_step()
    wanted = {"action": "retry", "start": 0, "end": 10}
    return ask("POST", f"/v2/generate/{job}/ranges/actions", json=wanted)


def do_retry_step(ask: Ask, world: World) -> httpx.Response:
    job, step = world.failed_step()
    return ask("POST", f"/v2/generate/{job}/steps/{step}/retry")


def do_keep_step(ask: Ask, world: World) -> httpx.Response:
    job, step = world.failed_step()
    return ask("POST", f"/v2/generate/{job}/steps/{step}/keep-original")


def do_resume(ask: Ask, world: World) -> httpx.Response:
    job = world.job()
    with world.database.transaction() as session:
        pause_job(session, world.project, world.hands.value(f"SELECT '{job}'::uuid"))
    return ask("POST", f"/v2/generate/{job}/resume")


def do_bulk(ask: Ask, world: World) -> httpx.Response:
    wanted = {"action": "pause", "ids": [world.job()]}
    return ask("POST", "/v2/generations/actions", json=wanted)


def do_batch(ask: Ask, world: World) -> httpx.Response:
    line = {"request_id": "one", "endpoint": "/v2/generate", "payload": ORDER}
    return ask("POST", "/v2/batch", files={"input": ("rows.jsonl", json.dumps(line))})


def do_cancel_batch(ask: Ask, world: World) -> httpx.Response:
    batch = do_batch(ask, world).json()["id"]
    return ask("POST", f"/v2/batch/{batch}/cancel")


def do_languages(ask: Ask, _world: World) -> httpx.Response:
    dialogues = [{"language": "fra", "url": "https://studio.example/fra.wav"}]
    order = {"input": INPUTS[:1], "dialogues": dialogues}
    return ask("POST", "/v2/generate/languages", json=order)


def do_asset(ask: Ask, _world: World) -> httpx.Response:
    return ask("POST", "/v2/assets", json={"url": "https://studio.example/film.mp4"})


def do_delete_asset(ask: Ask, world: World) -> httpx.Response:
    return ask("DELETE", f"/v2/assets/{do_asset(ask, world).json()['id']}")


def do_one_put(ask: Ask, _world: World) -> httpx.Response:
    wanted = {"fileName": "film.mp4", "contentType": "video/mp4", "size": 3}
    return ask("POST", "/v2/assets/upload", json=wanted)


def do_parts(ask: Ask, _world: World) -> httpx.Response:
    return ask("POST", "/v2/assets/uploads", json={"name": "film.mov", "size": 3})


def do_abort_parts(ask: Ask, world: World) -> httpx.Response:
    return ask("DELETE", f"/v2/assets/uploads/{do_parts(ask, world).json()['id']}")


def do_complete_parts(ask: Ask, world: World) -> httpx.Response:
    begun = do_parts(ask, world).json()
    httpx.put(begun["missing"][0]["url"], content=b"abc").raise_for_status()
    return ask("POST", f"/v2/assets/uploads/{begun['id']}/complete")


def do_key(ask: Ask, _world: World) -> httpx.Response:
    return ask("POST", "/v2/keys", json={"name": "for a test"})


def do_revoke(ask: Ask, world: World) -> httpx.Response:
    return ask("DELETE", f"/v2/keys/{do_key(ask, world).json()['id']}")


def do_rotate(ask: Ask, world: World) -> httpx.Response:
    return ask("POST", f"/v2/keys/{do_key(ask, world).json()['id']}/rotate")


def do_endpoint(ask: Ask, _world: World) -> httpx.Response:
    return ask("POST", "/v2/webhooks/endpoints", json={"url": ADDRESS})


def do_delete_endpoint(ask: Ask, world: World) -> httpx.Response:
    return ask("DELETE", f"/v2/webhooks/endpoints/{do_endpoint(ask, world).json()['id']}")


def do_view(ask: Ask, world: World) -> httpx.Response:
    count = world.hands.value("SELECT count(*) FROM saved_views")
    return ask("POST", "/v2/views", json={"name": f"view {count}", "filter": {}})


def do_change_view(ask: Ask, world: World) -> httpx.Response:
    path = f"/v2/views/{do_view(ask, world).json()['id']}"
    return ask("PATCH", path, json={"filter": {"show": "failed"}})


def do_delete_view(ask: Ask, world: World) -> httpx.Response:
    return ask("DELETE", f"/v2/views/{do_view(ask, world).json()['id']}")


def do_sign_in(ask: Ask, world: World) -> httpx.Response:
    return ask("POST", "/dashboard/sign-in", json={"key": world.key("admin")})


def do_sign_out(ask: Ask, world: World) -> httpx.Response:
    cookies = do_sign_in(ask, world).cookies
    return ask("POST", "/dashboard/sign-out", cookies=dict(cookies), headers=SAME_ORIGIN)


def on_a_job(method: str, path: str, **given: Any) -> Callable[[Ask, World], httpx.Response]:
    return lambda ask, world: ask(method, path.replace("{generation_id}", world.job()), **given)


def on_the_world(method: str, path: str, **given: Any) -> Callable[[Ask, World], httpx.Response]:
    return lambda ask, world: ask(method, world.path(path), **given)


#: What each changing request does, and the action it is written down as.
CHANGES: dict[tuple[str, str], tuple[str, Callable[[Ask, World], httpx.Response]]] = {
    ("POST", "/v2/generate"): (
        "generation.create",
        on_the_world("POST", "/v2/generate", json=ORDER),
    ),
    ("POST", "/v2/generate/languages"): ("batch.create", do_languages),
    ("POST", "/v2/batch"): ("batch.create", do_batch),
    ("POST", "/v2/batch/{batch_id}/cancel"): ("batch.cancel", do_cancel_batch),
    ("POST", "/v2/generate/{generation_id}/ranges/actions"): ("generation.range", do_range),
    ("POST", "/v2/generate/{generation_id}/resume"): ("generation.resume", do_resume),
    ("POST", "/v2/generate/{generation_id}/steps/{step_id}/retry"): ("step.retry", do_retry_step),
    ("POST", "/v2/generate/{generation_id}/steps/{step_id}/keep-original"): (
        "step.keep",
        do_keep_step,
    ),
    ("POST", "/v2/generations/actions"): ("generation.pause", do_bulk),
    ("POST", "/v2/assets"): ("asset.create", do_asset),
    ("DELETE", "/v2/assets/{asset_id}"): ("asset.delete", do_delete_asset),
    ("POST", "/v2/assets/upload"): ("upload.begin", do_one_put),
    ("POST", "/v2/assets/uploads"): ("upload.begin", do_parts),
    ("DELETE", "/v2/assets/uploads/{upload_id}"): ("upload.abort", do_abort_parts),
    ("POST", "/v2/assets/uploads/{upload_id}/complete"): ("asset.create", do_complete_parts),
    ("POST", "/v2/keys"): ("key.create", do_key),
    ("DELETE", "/v2/keys/{key_id}"): ("key.revoke", do_revoke),
    ("POST", "/v2/keys/{key_id}/rotate"): ("key.rotate", do_rotate),
    ("POST", "/v2/webhooks/endpoints"): ("webhook_endpoint.create", do_endpoint),
    ("DELETE", "/v2/webhooks/endpoints/{endpoint_id}"): (
        "webhook_endpoint.delete",
        do_delete_endpoint,
    ),
    ("POST", "/v2/webhooks/test"): (
        "webhook.test",
        on_the_world("POST", "/v2/webhooks/test", json={"url": ADDRESS}),
    ),
    ("POST", "/v2/webhooks/secret/rotate"): (
        "webhook_secret.rotate",
        on_the_world("POST", "/v2/webhooks/secret/rotate"),
    ),
    ("POST", "/v2/webhooks/deliveries/{delivery_id}/replay"): (
        "webhook.replay",
        on_the_world("POST", "/v2/webhooks/deliveries/{delivery_id}/replay"),
    ),
    ("POST", "/v2/views"): ("view.create", do_view),
    ("PATCH", "/v2/views/{view_id}"): ("view.change", do_change_view),
    ("DELETE", "/v2/views/{view_id}"): ("view.delete", do_delete_view),
    ("POST", "/dashboard/sign-in"): ("dashboard.sign_in", do_sign_in),
    ("POST", "/dashboard/sign-out"): ("dashboard.sign_out", do_sign_out),
    ("PATCH", "/v2/generate/{generation_id}"): (
        "generation.change",
        on_a_job("PATCH", "/v2/generate/{generation_id}", json={"name": "x"}),
    ),
    ("DELETE", "/v2/generate/{generation_id}"): (
        "generation.delete",
        on_a_job("DELETE", "/v2/generate/{generation_id}"),
    ),
    ("POST", "/v2/generate/{generation_id}/priority"): (
        "generation.priority",
        on_a_job("POST", "/v2/generate/{generation_id}/priority", json={"priority": 3}),
    ),
    ("POST", "/v2/generate/{generation_id}/retry"): (
        "generation.retry",
        lambda ask, world: ask("POST", f"/v2/generate/{world.failed_step()[0]}/retry"),
    ),
    **{
        ("POST", f"/v2/generate/{{generation_id}}/{act}"): (
            f"generation.{act}",
            on_a_job("POST", f"/v2/generate/{{generation_id}}/{act}"),
        )
        for act in ("cancel", "pause")
    },
}

#: Requests that are no GET and change nothing all the same.
CHANGE_NOTHING = {("POST", "/v2/analyze/cost")}


@pytest.fixture(scope="module")
def ask(url: str, world: World) -> Iterator[Ask]:
    with httpx.Client(base_url=url, headers={"x-api-key": world.key("admin")}) as client:

        def ask(method: str, path: str, cookies: Any = None, **given: Any) -> httpx.Response:
            if cookies is None:
                answer = client.request(method, path, timeout=LONG_SECONDS, **given)
            else:
                answer = httpx.request(method, f"{url}{path}", cookies=cookies, **given)
            assert answer.status_code < 400, answer.text
            client.cookies.clear()
            return answer

        yield ask


def test_every_change_is_listed_here(
    settings: Settings, database: Database, store: ObjectStore
) -> None:
    app = create_app(settings, database, store)
    changing = {(method, path) for method, path in addresses(app) if method != "GET"}
    assert changing - CHANGE_NOTHING == set(CHANGES)


@pytest.mark.parametrize(("change", "expected"), [(c, a) for c, (a, _) in CHANGES.items()])
def test_change_is_written_down(
    ask: Ask, world: World, change: tuple[str, str], expected: str
) -> None:
    answer = CHANGES[change][1](ask, world)
    (row,) = world.hands.rows(
        "SELECT * FROM audit_log WHERE request_id = :request",
        request=answer.headers["x-request-id"],
    )
    assert (row.action, row.object_kind) == (expected, expected.partition(".")[0])
    assert row.project_id == world.project
    assert row.actor.startswith("lf_")
    assert row.actor.endswith("… of a test")
    assert row.address == "127.0.0.1"


def test_what_fails_is_not_written_down(ask: Ask, world: World) -> None:
    job = world.job()
    ask("POST", f"/v2/generate/{job}/cancel")
    before = world.hands.value("SELECT count(*) FROM audit_log")
    with pytest.raises(AssertionError, match="state_conflict"):
        ask("POST", f"/v2/generate/{job}/pause")
    assert world.hands.value("SELECT count(*) FROM audit_log") == before


def test_log_is_read_page_by_page_and_by_object(ask: Ask, world: World) -> None:
    job = world.job()
    for act in ("pause", "resume", "cancel"):
        ask("POST", f"/v2/generate/{job}/{act}")
    page = ask("GET", "/v2/audit", params={"objectId": job, "limit": 2}).json()
    assert [e["action"] for e in page["items"]] == ["generation.cancel", "generation.resume"]
    given = {"objectId": job, "cursor": page["nextCursor"]}
    rest = ask("GET", "/v2/audit", params=given).json()
    assert [e["action"] for e in rest["items"]] == ["generation.pause"]
    assert rest["nextCursor"] is None
    keys = ask("GET", "/v2/audit", params={"action": "key"}).json()["items"]
    assert {entry["objectKind"] for entry in keys} <= {"key"}


def test_no_secret_is_kept_or_logged(
    ask: Ask, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keys, cookies, webhooks' secrets, signed addresses; the log at its most talkative."""
    former = structlog.get_config()
    structlog.reset_defaults()  # everything, to stdout
    try:
        made = do_key(ask, world).json()
        rotated = ask("POST", f"/v2/keys/{made['id']}/rotate").json()
        signing = ask("POST", "/v2/webhooks/secret/rotate").json()["secret"]
        cookie = do_sign_in(ask, world).cookies["lipfarm_sign_in"]
        upload = do_one_put(ask, world).json()["uploadUrl"]
        signed = upload.partition("X-Amz-Signature=")[2].partition("&")[0]
        with pytest.raises(AssertionError):
            ask("POST", "/dashboard/sign-in", json={"key": "lf_mistyped_by_somebody"})
        ask("GET", "/v2/generations", params={"text": "what-is-in-a-query"})
    finally:
        structlog.configure(**former)
    said = capsys.readouterr()
    log = said.out + said.err
    assert "request.answered" in log
    kept = "\n".join(
        row[0] for row in world.hands.rows("SELECT a::text FROM audit_log a")
    ) + "\n".join(row[0] for row in world.hands.rows("SELECT k::text FROM api_keys k"))
    for secret in (made["key"], rotated["key"], signing, cookie, signed):
        assert len(secret) > 40
        assert secret not in log
        assert secret not in kept
    assert "lf_mistyped_by_somebody" not in log
    assert "what-is-in-a-query" not in log
