"""Batches that are sent twice, break off, are called off, or end."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from sqlalchemy import text

from api.batches import canceling, submitting
from infra.batch_results import close_ended_batches
from infra.db.garbage import keys_that_count
from infra.db.projects import get_project
from infra.db.session import Database
from infra.errors import ServiceUnavailableError
from tests.api.manifests import (
    accepted,
    catalogue,
    count,
    jobs_of,
    jsonl,
    line,
    results,
    send,
    title,
)
from tests.patience import LONG_SECONDS


def test_the_same_key_and_file_are_one_batch_and_another_file_a_conflict(client, database):
    file, key = catalogue(title("one", "fra"), title("two", "x" * 50)), uuid.uuid4().hex
    first = send(client, file, "films.csv", key)
    again = send(client, file, "films.csv", key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert jobs_of(database, first.json()) == 1
    other = send(client, catalogue(title("three", "fra")), "films.csv", key)
    assert (other.status_code, other.json()["error_code"]) == (409, "idempotency_key_conflict")
    elsewhere = send(client, file, "films.csv", key, webhook_url="https://hooks.example/")
    assert elsewhere.status_code == 409


def test_a_batch_read_half_is_read_on(client, database, monkeypatch):
    monkeypatch.setattr("api.batches.submitting.CHUNK_ROWS", 2)
    file = catalogue(*(title(f"film-{number}", "fra") for number in range(7)))
    broken, entered = uuid.uuid4().hex, []

    def enter(*args: Any) -> None:
        if len(entered) == 2:
            raise ServiceUnavailableError("the database dies")
        entered.append(args)
        whole(*args)

    whole = submitting._enter
    monkeypatch.setattr(submitting, "_enter", enter)
    assert send(client, file, "films.csv", broken).status_code == 503
    (half,) = client.get("/v2/batch", params={"status": "PENDING"}).json()
    assert (half["rows"], half["metrics"]["pending_count"]) == (4, 4)
    monkeypatch.setattr(submitting, "_enter", whole)
    batch = accepted(send(client, file, "films.csv", broken))
    assert (batch["id"], batch["rows"], batch["status"]) == (half["id"], 7, "JOBS_CREATED")
    assert [row["title"] for row in results(client, batch)] == [f"film-{n}" for n in range(7)]
    assert jobs_of(database, batch) == 7


def test_a_batch_stops_at_the_limit_of_unfinished_jobs_and_goes_on_later(
    url, make_key, database, monkeypatch
):
    monkeypatch.setattr("api.batches.submitting.CHUNK_ROWS", 2)
    file, key = catalogue(*(title(f"film-{number}", "fra") for number in range(7))), "limited"
    with httpx.Client(base_url=url, headers={"x-api-key": make_key("limited")}) as client:
        _limit(database, "limited", 5)
        refused = send(client, file, "films.csv", key)
        assert (refused.status_code, refused.json()["error_code"]) == (
            429,
            "concurrency_limit_reached",
        )
        assert refused.headers["retry-after"]
        (half,) = client.get("/v2/batch").json()
        assert (half["status"], half["rows"], jobs_of(database, half)) == ("PENDING", 4, 4)
        assert send(client, file, "films.csv", key).status_code == 429
        assert jobs_of(database, half) == 4
        jobs = [job["id"] for job in client.get("/v2/generations").json()]
        client.post("/v2/generations/actions", json={"action": "cancel", "ids": jobs})
        batch = accepted(send(client, file, "films.csv", key))
        assert (batch["id"], batch["rows"], jobs_of(database, batch)) == (half["id"], 7, 7)


def _limit(database: Database, project: str, live_jobs: int) -> None:
    with database.transaction() as session:
        get_project(session, project).live_jobs = live_jobs


def test_a_batch_is_the_project_s_own(client, stranger):
    batch = accepted(send(client, jsonl(line("a"))))
    for path in ("", "/result", "/matrix"):
        answer = stranger.get(f"/v2/batch/{batch['id']}{path}")
        assert (answer.status_code, answer.json()["error_code"]) == (404, "batch_not_found")
    assert stranger.post(f"/v2/batch/{batch['id']}/cancel").status_code == 404
    assert stranger.get("/v2/batch").json() == []


def test_a_canceled_batch_ends_with_its_jobs(client, database, store):
    batch = accepted(send(client, jsonl(line("a"), line("b"))))
    canceled = client.post(f"/v2/batch/{batch['id']}/cancel").json()
    assert canceled["states"] == {"canceled": 2}
    close_ended_batches(database, store)
    ended = client.get(f"/v2/batch/{batch['id']}").json()
    assert (ended["status"], ended["error_code"]) == ("FAILED", "batch_canceled")
    assert ended["metrics"]["failed_count"] == 2
    again = client.post(f"/v2/batch/{batch['id']}/cancel")
    assert (again.status_code, again.json()["status"]) == (200, "FAILED")


def test_canceling_that_broke_off_is_finished(client, database, store, monkeypatch):
    batch = accepted(send(client, jsonl(line("a"), line("b"))))
    monkeypatch.setattr(canceling, "cancel_jobs_of", lambda *_: None)
    half = client.post(f"/v2/batch/{batch['id']}/cancel").json()
    assert half["states"] == {"queued": 2}
    close_ended_batches(database, store)
    ended = client.get(f"/v2/batch/{batch['id']}").json()
    assert (ended["status"], ended["states"]) == ("FAILED", {"canceled": 2})


def test_a_batch_that_was_canceled_while_it_was_read_takes_no_more_rows(
    client, database, monkeypatch
):

    monkeypatch.setattr("api.batches.submitting.CHUNK_ROWS", 1)
    whole, key = submitting._enter, uuid.uuid4().hex

    def enter(farm: Any, caller: Any, batch_id: uuid.UUID, rows: Any) -> None:
        whole(farm, caller, batch_id, rows)
        client.post(f"/v2/batch/{batch_id}/cancel")

    monkeypatch.setattr(submitting, "_enter", enter)
    answer = send(client, catalogue(title("one", "fra"), title("two", "fra")), "f.csv", key)
    assert (answer.status_code, answer.json()["error_code"]) == (409, "batch_canceled")


def complete(database: Database, job_id: str, output_key: str) -> None:
    """Move a job to its end, as workers would."""
    with database.transaction() as session:
        for state in ("preparing", "detecting", "tracking", "rendering", "stitching", "completed"):
            session.execute(
                text("UPDATE jobs SET state = :state WHERE id = :job"),
                {"job": job_id, "state": state},
            )
        session.execute(
            text(
                "UPDATE jobs SET finished_at = now(), output_key = :key, output_name = 'dub.mp4' "
                "WHERE id = :job"
            ),
            {"job": job_id, "key": output_key},
        )


def test_a_batch_ends_with_its_last_job_and_leaves_a_result(
    client, database, store, tmp_path, url, make_key
):
    with httpx.Client(
        base_url=url, headers={"x-api-key": make_key("ends")}, timeout=LONG_SECONDS
    ) as other:
        rows = [title("one", "fra"), title("one", "deu"), title("two", "fra", crf="99")]
        file, hook = catalogue(*rows), "https://hooks.example/batch"
        batch = accepted(send(other, file, "films.csv", webhook_url=hook))
        close_ended_batches(database, store)
        first, second, _ = results(other, batch)
        (tmp_path / "dub.mp4").write_bytes(b"frames")
        key = f"projects/x/outputs/{uuid.uuid4().hex}"
        store.put_file(tmp_path / "dub.mp4", key)
        complete(database, first["id"], key)
        assert close_ended_batches(database, store) == 0
        assert other.get(f"/v2/batch/{batch['id']}").json()["status"] == "PROCESSING"
        other.post(f"/v2/generate/{second['id']}/cancel")
        assert close_ended_batches(database, store) == 1
        assert close_ended_batches(database, store) == 0
        ended = other.get(f"/v2/batch/{batch['id']}").json()
        assert (ended["status"], ended["progress"]) == ("COMPLETED", 1.0)
        assert ended["metrics"] == {
            "total_generations": 3,
            "success_count": 1,
            "failed_count": 2,
            "pending_count": 0,
        }
        answer = httpx.get(ended["outputUrl"])
        done, canceled, refused = (json.loads(each) for each in answer.text.splitlines())
        assert httpx.get(done["output_url"]).content == b"frames"
        assert (done["status"], done["output_path"]) == (
            "COMPLETED",
            f"/v2/generate/{first['id']}/output",
        )
        assert (canceled["status"], canceled["error_code"]) == ("FAILED", "generation_canceled")
        assert (refused["status"], refused["row"], refused["id"]) == ("REJECTED", 4, None)
        assert count(
            database,
            "webhook_deliveries WHERE batch_id = :batch AND kind = 'batch.completed' "
            "AND url = :url",
            batch=batch["id"],
            url=hook,
        )
        with database.transaction() as session:
            key = session.scalar(
                text("SELECT result_key FROM batches WHERE id = :batch"), {"batch": batch["id"]}
            )
            assert keys_that_count(session, [key, "projects/x"]) == {key}


def test_deleting_a_generation_leaves_its_row(client, database, store):
    batch = accepted(send(client, jsonl(line("a"))))
    (row,) = results(client, batch)
    client.delete(f"/v2/generate/{row['id']}")
    (row,) = results(client, batch)
    assert (row["request_id"], row["status"], row["id"]) == ("a", "DELETED", None)
    close_ended_batches(database, store)
    ended = client.get(f"/v2/batch/{batch['id']}").json()
    assert (ended["status"], ended["metrics"]["failed_count"]) == ("COMPLETED", 1)


def test_two_who_send_the_same_file_at_once_make_one_batch(client, database, monkeypatch):
    monkeypatch.setattr("api.batches.submitting.CHUNK_ROWS", 5)
    file, key = catalogue(*(title(f"film-{n}", "fra") for n in range(100))), uuid.uuid4().hex
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(send, client, file, "films.csv", key) for _ in range(4)]
        answers = [each.result() for each in sent]
    assert {answer.status_code for answer in answers} <= {200, 201}
    (batch_id,) = {answer.json()["id"] for answer in answers}
    batch = client.get(f"/v2/batch/{batch_id}").json()
    assert (batch["rows"], batch["status"]) == (100, "JOBS_CREATED")
    assert [row["title"] for row in results(client, batch)] == [f"film-{n}" for n in range(100)]
    assert jobs_of(database, batch) == 100
