"""Generations over HTTP: ordered in every way, found again, by their own project alone."""

import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter
from sqlalchemy import text

from infra.db.models import Asset, Job
from infra.db.session import Database
from pipeline.options import DubOptions
from tests.patience import LONG_SECONDS

FILM = "https://media.example/films/A%20film.mov?signature=x"
DIALOGUE = "https://media.example/dialogue.wav"
INPUT = [{"type": "video", "url": FILM}, {"type": "audio", "url": DIALOGUE}]
FILES = {"video": ("film.mp4", b"frames"), "audio": ("dialogue.wav", b"samples")}


def order(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v2/generate", json={"model": "draft", "input": INPUT, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def job_of(database: Database, generation: dict[str, Any]) -> Job:
    with database.transaction() as session:
        job = session.get(Job, uuid.UUID(generation["id"]))
    assert job is not None
    return job


def asset_of(database: Database, asset_id: uuid.UUID) -> Asset:
    with database.transaction() as session:
        asset = session.get(Asset, asset_id)
    assert asset is not None
    return asset


def count(database: Database, table: str) -> int:
    with database.transaction() as session:
        return int(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608


def test_an_order_by_url_becomes_a_job_with_a_step_that_is_ready(client, database):
    made = order(client, options={"sync_mode": "loop"}, language="fra", priority=7, labels=["a"])
    assert made["status"] == "PENDING"
    assert made["state"] == "queued"
    assert made["progress"] == 0
    assert (made["priority"], made["labels"], made["language"]) == (7, ["a"], "fra")
    assert made["project"] == "ours"
    assert made["options"]["sync_mode"] == "loop"
    assert made["input"] == INPUT
    assert made["outputName"] == "A film.fra.mov"
    assert made["outputUrl"] is None
    job = job_of(database, made)
    assert job.params["network"] == "draft"
    (step,) = client.get(f"/v2/generate/{made['id']}/steps").json()
    assert (step["stage"], step["state"]) == ("prepare", "queued")
    assert asset_of(database, job.source_id).source_url == FILM
    assert client.get(f"/v2/generate/{made['id']}").json() == made


def test_the_sync_mode_nobody_chose_is_said(client):
    assert order(client)["options"]["sync_mode"] == "silence"


def test_what_has_no_effect_is_answered_with_a_warning(client):
    made = order(client, model="lipsync-2", options={"temperature": 0.5})
    assert made["model"] == "lipsync-2"
    assert made["network"] == "auto"
    assert "temperature" in made["warnings"][0]


def test_stored_options_are_those_the_pipeline_reads(client, database):
    options = {"box": [1, 2, 30, 40], "pads": [0, 10, 0, 0], "fps": "24000/1001", "crf": 12}
    job = job_of(database, order(client, options=options))
    read = TypeAdapter(DubOptions).validate_python(job.params["options"])
    assert (read.box.x1, read.box.y2, read.pads, read.crf) == (1, 40, (0, 10, 0, 0), 12.0)
    assert str(read.fps) == "24000/1001"


def test_uploaded_files_are_in_the_bucket_and_known_by_their_digest(client, database, store):
    answer = client.post(
        "/v2/generate", files=FILES, data={"model": "draft", "options": '{"faces": "all"}'}
    )
    assert answer.status_code == 201, answer.text
    job = job_of(database, answer.json())
    source = asset_of(database, job.source_id)
    assert (source.name, source.size_bytes) == ("film.mp4", 6)
    assert source.sha256 == hashlib.sha256(b"frames").hexdigest()
    assert store.head(source.object_key or "").size == 6
    assert job.params["options"]["faces"] == "all"
    assert answer.json()["outputName"] == "film.mp4"
    assert {i["type"]: i["assetId"] for i in answer.json()["input"]} == {
        "video": str(job.source_id),
        "audio": str(job.dialogue_id),
    }


def test_one_file_and_one_url_go_together(client, database):
    answer = client.post(
        "/v2/generate",
        files={"audio": FILES["audio"]},
        data={"model": "draft", "input": json.dumps(INPUT[:1])},
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["outputName"] == "A film.mov"


def test_an_asset_is_uploaded_once_and_used_twice(client, database, stranger):
    asset = client.post("/v2/assets", files={"video": FILES["video"]}).json()
    assert (asset["type"], asset["name"], asset["size"]) == ("VIDEO", "film.mp4", 6)
    assert httpx.get(asset["url"]).content == b"frames"
    inputs = [{"type": "video", "assetId": asset["id"]}, INPUT[1]]
    first, second = order(client, input=inputs), order(client, input=inputs)
    assert job_of(database, first).source_id == job_of(database, second).source_id
    refused = stranger.post("/v2/generate", json={"model": "draft", "input": inputs})
    assert refused.status_code == 400
    assert refused.json()["error_code"] == "generation_input_video_inaccessible"
    assert stranger.get(f"/v2/assets/{asset['id']}").status_code == 404
    assert stranger.get("/v2/assets").json()["items"] == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"model": "no-such"}, "generation_unsupported_model"),
        ({"input": INPUT[1:]}, "generation_video_missing"),
        ({"input": INPUT[:1]}, "generation_audio_missing"),
        ({"input": INPUT[:1] * 2 + INPUT[1:]}, "generation_input_too_many_visual"),
        ({"input": [*INPUT, {"type": "text"}]}, "generation_input_audio_invalid"),
        ({"input": [INPUT[0], {"type": "audio"}]}, "generation_input_validation_failed"),
        (
            {"segments": [{"startTime": 0, "endTime": 1, "audioInput": {"refId": "a"}}]},
            "generation_input_segments_invalid",
        ),
        (
            {"options": {"active_speaker_detection": {"coordinates": [1, 2]}}},
            "generation_input_face_selection_invalid",
        ),
        ({"options": {"sync_mod": "loop"}}, "generation_input_validation_failed"),
        ({"options": {"sync_mode": "backwards"}}, "generation_input_validation_failed"),
        ({"options": {"box": [5, 5, 5, 9]}}, "generation_input_validation_failed"),
        ({"options": {"fps": "0"}}, "generation_input_validation_failed"),
        ({"outputFileName": "film.avi"}, "generation_input_validation_failed"),
        ({"webhookUrl": "http://media.example/told"}, "request_invalid"),
        ({"options": {"crf": 1e999}}, "generation_input_validation_failed"),
        ({"priority": 10**30}, "generation_input_validation_failed"),
        ({"language": "x"}, "generation_input_validation_failed"),
        ({"name": "a\0b"}, "request_invalid"),
        *(
            ({"input": [{"type": "video", "url": url}, INPUT[1]]}, code)
            for code in ("generation_input_validation_failed",)
            for url in (
                "file:///etc/passwd",
                "s3://No-Bucket/film.mp4",
                "concat:a|b",
                "https://user:word@media.example/a.mp4",
                "https:///a.mp4",
                "http://[::1",
                "http://a:99999/",
                "http://a b/",
                "h" * 9000,
                "",
            )
        ),
    ],
)
def test_what_cannot_be_right_is_refused_with_a_reason(client, database, change, code):
    before = count(database, "jobs"), count(database, "assets")
    body = json.dumps({"model": "draft", "input": INPUT, **change}).replace("Infinity", "1e999")
    answer = client.post("/v2/generate", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    refused = answer.json()
    assert refused["error_code"] == code
    assert refused["statusCode"] == 400
    assert refused["message"]
    assert "\n" not in refused["message"]
    assert refused["suggestion"]
    assert (count(database, "jobs"), count(database, "assets")) == before


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"model": "\\ud800"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"", "application/json", 400),
        (b"x", "text/plain", 415),
        (b"x", "multipart/form-data; boundary=y", 400),
        (b"input=%7B", "application/x-www-form-urlencoded", 400),
        (b" " * (17 << 20), "application/json", 413),
    ],
)
def test_bodies_that_are_none_are_refused(client, body, kind, status):
    answer = client.post("/v2/generate", content=body, headers={"content-type": kind})
    assert answer.status_code == status, answer.text
    assert answer.json()["statusCode"] == status


def test_a_refused_form_leaves_nothing_in_the_bucket(client, store):
    before = {found["Key"] for found in store.list_objects()}
    answer = client.post("/v2/generate", files=FILES, data={"model": "draft", "options": "{"})
    assert answer.status_code == 400
    assert {found["Key"] for found in store.list_objects()} == before


def test_the_same_order_with_the_same_key_is_one_job(client, database):
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"model": "draft", "input": INPUT}
    first = client.post("/v2/generate", json=body, headers=headers)
    before = count(database, "jobs"), count(database, "assets")
    again = client.post("/v2/generate", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
    assert (count(database, "jobs"), count(database, "assets")) == before
    other = client.post("/v2/generate", json={**body, "priority": 1}, headers=headers)
    assert other.status_code == 409
    assert other.json()["error_code"] == "idempotency_key_conflict"


def test_the_same_files_with_the_same_key_are_one_job_and_stored_once(client, database, store):
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    first = client.post("/v2/generate", files=FILES, headers=headers)
    before = len(list(store.list_objects())), count(database, "assets")
    again = client.post("/v2/generate", files=FILES, headers=headers)
    assert again.json()["id"] == first.json()["id"]
    assert (len(list(store.list_objects())), count(database, "assets")) == before
    other = {**FILES, "audio": ("dialogue.wav", b"other samples")}
    assert client.post("/v2/generate", files=other, headers=headers).status_code == 409
    assert (len(list(store.list_objects())), count(database, "assets")) == before


def test_one_key_in_two_projects_is_two_jobs(client, stranger):
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"model": "draft", "input": INPUT}
    mine = client.post("/v2/generate", json=body, headers=headers)
    theirs = stranger.post("/v2/generate", json=body, headers=headers)
    assert theirs.status_code == 201
    assert mine.json()["id"] != theirs.json()["id"]


def test_many_at_once_with_one_key_are_one_job(client):
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    ids: list[str] = []

    def send() -> None:
        answer = client.post("/v2/generate", json={"input": INPUT}, headers=headers)
        ids.append(answer.json()["id"])

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1


def test_pages_hold_each_job_once_newest_first(stranger):
    made = [order(stranger)["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        answer = stranger.get("/v2/generations", params=query)
        seen += [generation["id"] for generation in answer.json()]
        cursor = answer.headers.get("x-next-cursor")
        if cursor is None:
            break
    assert seen[:5] == made[::-1]
    assert len(seen) == len(set(seen))


def test_lists_are_filtered_by_status_and_id(stranger):
    first, second = order(stranger)["id"], order(stranger)["id"]
    stranger.post(f"/v2/generate/{first}/cancel")

    def ids(**query: Any) -> set[str]:
        return {g["id"] for g in stranger.get("/v2/generations", params=query).json()}

    assert first in ids(status="FAILED") - ids(status="PENDING")
    assert second in ids(status="PENDING,PROCESSING") - ids(status="FAILED")
    assert ids(ids=[first, second]) == {first, second}
    assert ids(ids=f"{first},{second}", status="PENDING") == {second}


@pytest.mark.parametrize(
    "query", ["cursor=x", "cursor=%F0", "limit=0", "limit=x", "status=DONE", "ids=7"]
)
def test_lists_refuse_what_they_cannot_read(client, query):
    answer = client.get(f"/v2/generations?{query}")
    assert answer.status_code in (400, 404)
    assert answer.json()["message"]


def addresses(generation: str) -> Iterator[tuple[str, str]]:
    for path in ("", "/steps", "/output", "/report"):
        yield "GET", f"/v2/generate/{generation}{path}"
    for action in ("cancel", "pause", "resume", "retry", "steps/1/retry", "steps/1/keep-original"):
        yield "POST", f"/v2/generate/{generation}/{action}"
    yield "DELETE", f"/v2/generate/{generation}"


def test_another_project_sees_and_touches_nothing(client, stranger):
    made = order(client)
    (step,) = client.get(f"/v2/generate/{made['id']}/steps").json()
    for method, address in addresses(made["id"]):
        answer = stranger.request(method, address.replace("steps/1/", f"steps/{step['id']}/"))
        assert answer.status_code == 404, address
        assert answer.json()["error_code"] == "generation_not_found"
    mine = order(stranger)
    for action in ("retry", "keep-original"):
        answer = stranger.post(f"/v2/generate/{mine['id']}/steps/{step['id']}/{action}")
        assert answer.json()["error_code"] == "step_not_found"
    assert made["id"] not in {g["id"] for g in stranger.get("/v2/generations").json()}
    assert stranger.get("/v2/generations", params={"ids": made["id"]}).json() == []
    assert client.get(f"/v2/generate/{made['id']}").json()["state"] == "queued"


@pytest.mark.parametrize("generation", ["x", "0", str(uuid.UUID(int=0)), "%00", "a" * 300])
def test_unknown_ids_are_not_found(client, generation):
    for method, address in addresses(generation):
        assert client.request(method, address).status_code == 404, address


def test_without_a_key_nothing_but_the_catalogue_and_health_answers(url):
    with httpx.Client(base_url=url) as nobody:
        for path in ("/v2/generations", "/v2/models", "/v2/assets", f"/v2/generate/{uuid.uuid4()}"):
            answer = nobody.get(path)
            assert (answer.status_code, answer.json()["error_code"]) == (401, "unauthorized")
        assert nobody.post("/v2/generate", json={}).status_code == 401
        assert nobody.get("/v2/models", headers={"x-api-key": "lf_wrong"}).status_code == 401
        assert nobody.get("/healthz").json() == {"status": "ok"}
        codes = {entry["code"] for entry in nobody.get("/v2/errors").json()}
        assert {"generation_video_missing", "rate_limit_exceeded"} <= codes


def test_a_key_does_what_its_scope_says_and_no_more(url, make_key):
    with httpx.Client(base_url=url, headers={"x-api-key": make_key("ours", "read")}) as reader:
        assert reader.get("/v2/generations").status_code == 200
        refused = reader.post("/v2/generate", json={"input": INPUT})
        assert (refused.status_code, refused.json()["error_code"]) == (403, "forbidden")
    with httpx.Client(base_url=url, headers={"x-api-key": make_key("ours", "submit")}) as both:
        assert both.get(f"/v2/generate/{order(both)['id']}").status_code == 200


def test_cancel_pause_resume_do_what_they_say(client):
    made = order(client)["id"]
    assert client.post(f"/v2/generate/{made}/pause").json()["desired"] == "pause"
    assert client.post(f"/v2/generate/{made}/resume").json()["desired"] == "run"
    canceled = client.post(f"/v2/generate/{made}/cancel").json()
    assert (canceled["state"], canceled["status"]) == ("canceled", "FAILED")
    assert canceled["error_code"] == "generation_canceled"
    refused = client.post(f"/v2/generate/{made}/resume")
    assert (refused.status_code, refused.json()["error_code"]) == (409, "state_conflict")
    assert client.post(f"/v2/generate/{made}/cancel").json()["state"] == "canceled"
    assert client.delete(f"/v2/generate/{made}").status_code == 204
    assert client.get(f"/v2/generate/{made}").status_code == 404


def test_a_waiting_request_is_answered_when_the_job_ends(client, monkeypatch):
    monkeypatch.setattr("api.routes.generations.WAIT_SECONDS", LONG_SECONDS)
    made = order(client)["id"]
    answers: list[httpx.Response] = []
    waiting = threading.Thread(
        target=lambda: answers.append(client.get(f"/v2/generate/{made}", params={"wait": "true"}))
    )
    waiting.start()
    waiting.join(1.0)
    assert not answers
    client.post(f"/v2/generate/{made}/cancel")
    waiting.join()
    assert answers[0].json()["state"] == "canceled"


def test_waiting_requests_keep_nobody_else_waiting(client, url, monkeypatch):
    monkeypatch.setattr("api.routes.generations.WAIT_SECONDS", LONG_SECONDS)
    made = order(client)["id"]
    with httpx.Client(base_url=url, headers=client.headers, timeout=LONG_SECONDS) as many:
        waiting = [
            threading.Thread(target=many.get, args=(f"/v2/generate/{made}?wait=true",))
            for _ in range(60)
        ]
        for thread in waiting:
            thread.start()
        assert client.get("/v2/generations").status_code == 200
        assert all(thread.is_alive() for thread in waiting)
        client.post(f"/v2/generate/{made}/cancel")
        for thread in waiting:
            thread.join()


def test_an_output_is_had_by_redirect_and_by_a_fresh_address(client, database, store, tmp_path):
    made = order(client, outputFileName="Le film")
    early = client.get(f"/v2/generate/{made['id']}/output")
    assert (early.status_code, early.json()["error_code"]) == (404, "output_not_ready")
    path = tmp_path / "out"
    path.write_bytes(b"dubbed")
    stored = store.put_file(path, f"outputs/{made['id']}")
    with database.transaction() as session:
        for state in ("preparing", "detecting", "tracking", "rendering", "stitching", "completed"):
            session.execute(
                text("UPDATE jobs SET state = :s WHERE id = :j"), {"s": state, "j": made["id"]}
            )
        session.execute(
            text("UPDATE jobs SET output_key = :k, output_sha256 = :d, report = :r WHERE id = :j"),
            {"k": stored.key, "d": stored.sha256, "j": made["id"], "r": '{"frames": {"out": 3}}'},
        )
    done = client.get(f"/v2/generate/{made['id']}").json()
    assert (done["status"], done["progress"]) == ("COMPLETED", 1.0)
    fetched = httpx.get(done["outputUrl"])
    assert fetched.content == b"dubbed"
    assert "Le%20film.mp4" in fetched.headers["content-disposition"]
    redirect = client.get(f"/v2/generate/{made['id']}/output")
    assert redirect.status_code == 307
    assert httpx.get(redirect.headers["location"]).content == b"dubbed"
    assert client.get(f"/v2/generate/{made['id']}/report").json() == {"frames": {"out": 3}}


def test_what_was_left_out_is_in_the_short_report(client, database):
    made = order(client)
    report = {
        "frames": {"out": 3},
        "left_out": [
            {"reason": "MP4 cannot hold vorbis", "note": "sound stream 1 (vorbis) is left out: …"},
            {"reason": "original sound is not wanted", "note": None},
        ],
        "picture": {
            "kept": [],
            "left_out": [{"what": "alpha", "note": "left out of the picture: alpha; …"}],
            "other_colors": {"frames": 2, "first": 1, "note": "2 frames are tagged …"},
        },
    }
    with database.transaction() as session:
        session.execute(
            text("UPDATE jobs SET report = :r WHERE id = :j"),
            {"r": json.dumps(report), "j": made["id"]},
        )
    assert client.get(f"/v2/generate/{made['id']}").json()["report"] == {
        "frames": {"out": 3},
        "leftOut": ["sound stream 1 (vorbis) is left out: …", "left out of the picture: alpha; …"],
        "notes": ["2 frames are tagged …"],
    }


@pytest.mark.parametrize(
    ("way", "told"),
    [
        (("canceled",), "the generation was canceled and has no {}"),
        (("preparing", "rejected"), "the generation was rejected and has no {}: no face there"),
        (("preparing", "failed"), "the generation failed and has no {}: no face there"),
    ],
)
def test_of_what_ended_without_an_output_none_is_promised(client, database, way, told):
    made = order(client)
    for what in ("output", "report", "preview"):
        early = client.get(f"/v2/generate/{made['id']}/{what}").json()
        assert early["error_code"] == "output_not_ready"
        assert early["message"] == f"the generation has no {what} yet"
    with database.transaction() as session:
        for state in way:
            session.execute(
                text(
                    "UPDATE jobs SET state = :s, error_code = :c, error_message = :m WHERE id = :j"
                ),
                {
                    "s": state,
                    "c": None if state == "canceled" else "no_face",
                    "m": None if state == "canceled" else "no face there",
                    "j": made["id"],
                },
            )
    for what in ("output", "report", "preview"):
        late = client.get(f"/v2/generate/{made['id']}/{what}")
        assert (late.status_code, late.json()["error_code"]) == (404, "output_missing")
        assert late.json()["message"] == told.format(what)
        assert "Wait" not in late.json()["suggestion"]


def test_readiness_names_what_is_away(client, database, settings, url):
    ready = httpx.get(f"{url}/readyz")
    assert (ready.status_code, ready.json()["database"], ready.json()["bucket"]) == (
        200,
        "ok",
        "ok",
    )


def test_what_no_route_takes_has_the_same_shape(client):
    for answer, status in ((client.get("/v3"), 404), (client.put("/v2/generate"), 405)):
        assert answer.status_code == status
        assert answer.json()["statusCode"] == status
