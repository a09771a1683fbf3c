"""Batches over HTTP: lip-sync clients' files and catalogues, read whole, in part, or on and on."""

import csv
import io
import json
import uuid
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from infra.batch_results import close_ended_batches
from infra.db.session import Database

FILM = "https://media.example/film.mp4"
DIALOGUE = "https://media.example/dialogue.wav"
INPUT = [{"type": "video", "url": FILM}, {"type": "audio", "url": DIALOGUE}]


def line(request_id: str, **payload: Any) -> dict[str, Any]:
    order = {"model": "draft", "input": INPUT} | payload
    return {"request_id": request_id, "endpoint": "/v2/generate", "payload": order}


def jsonl(*lines: Any) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in lines)


def catalogue(*rows: dict[str, str]) -> bytes:
    file = io.StringIO()
    table = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
    table.writeheader()
    table.writerows(rows)
    return file.getvalue().encode()


def title(name: str, language: str, **cells: str) -> dict[str, str]:
    urls = {
        "video": f"https://media.example/{name}.mp4",
        "audio": f"https://media.example/{name}.{language}.wav",
    }
    return {"title": name, "language": language} | urls | cells


def send(
    client: httpx.Client,
    file: bytes,
    name: str = "batch.jsonl",
    key: str | None = None,
    **fields: str,
) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post("/v2/batch", files={"input": (name, file)}, data=fields, headers=headers)


def accepted(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    batch: dict[str, Any] = answer.json()
    return batch


def results(client: httpx.Client, batch: dict[str, Any]) -> list[dict[str, Any]]:
    answer = client.get(f"/v2/batch/{batch['id']}/result")
    assert answer.status_code == 200, answer.text
    return [json.loads(each) for each in answer.text.splitlines()]


def count(database: Database, what: str, **values: Any) -> int:
    with database.transaction() as session:
        return int(session.execute(text(f"SELECT count(*) FROM {what}"), values).scalar_one())  # noqa: S608


def jobs_of(database: Database, batch: dict[str, Any]) -> int:
    return count(database, "jobs WHERE batch_id = :batch", batch=batch["id"])


def test_a_clients_file_becomes_generations(client, database):
    batch = accepted(send(client, jsonl(line("a"), line("b", priority=3, name="Film B"))))
    assert batch["status"] == "JOBS_CREATED"
    assert batch["metrics"] == {
        "total_generations": 2,
        "success_count": 0,
        "failed_count": 0,
        "pending_count": 2,
    }
    first, second = results(client, batch)
    assert (first["request_id"], first["row"], first["status"]) == ("a", 1, "PENDING")
    made = client.get(f"/v2/generate/{second['id']}").json()
    assert (made["name"], made["priority"], made["model"]) == ("Film B", 3, "draft")
    (step,) = client.get(f"/v2/generate/{second['id']}/steps").json()
    assert (step["stage"], step["state"]) == ("prepare", "queued")
    assert count(database, "steps s JOIN jobs j ON j.id = s.job_id WHERE s.ready AND j.rank = -3")


def test_a_clients_file_is_taken_whole_or_not_at_all(client, database):
    before = count(database, "batches"), count(database, "jobs")
    answer = send(client, jsonl(line("a"), line("b", model="nope"), line("a")))
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "generation_unsupported_model"
    assert answer.json()["message"].startswith("line 2: model: 'nope' is none of")
    assert "line 3: an earlier row has the request_id 'a'" in answer.json()["message"]
    assert (count(database, "batches"), count(database, "jobs")) == before


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (b"", "batch_insufficient_records"),
        (b"\n \n", "batch_insufficient_records"),
        (b"no json\n", "batch_invalid_jsonl"),
        (b'{"request_id": "a"}\n', "batch_invalid_jsonl"),
        (jsonl(line("a") | {"endpoint": "/v2/other"}), "batch_invalid_endpoint"),
        (jsonl(line("a"), line("a")), "batch_duplicate_request_id"),
        (jsonl(line("a", input=INPUT[:1])), "generation_audio_missing"),
        (
            jsonl(line("a", input=[INPUT[0], {"type": "audio", "assetId": str(uuid.uuid4())}])),
            "generation_input_audio_inaccessible",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_code(client, file, code):
    answer = send(client, file)
    assert (answer.status_code, answer.json()["error_code"]) == (400, code)


def test_a_dry_run_orders_nothing(client, database):
    before = count(database, "batches"), count(database, "jobs"), count(database, "assets")
    answer = send(client, jsonl(line("a"), line("b")), dry_run="true")
    assert answer.status_code == 200
    assert answer.json() == {"status": "VALIDATED", "rows": 2, "refusedRows": 0, "errors": []}
    table = catalogue(title("one", "fra"), title("one", "fra"), title("two", "x" * 50))
    checked = send(client, table, "films.csv", dry_run="true").json()
    assert (checked["rows"], checked["refusedRows"]) == (3, 2)
    assert [(e["row"], e["error_code"]) for e in checked["errors"]] == [
        (3, "batch_duplicate_request_id"),
        (4, "generation_input_validation_failed"),
    ]
    assert (
        count(database, "batches"),
        count(database, "jobs"),
        count(database, "assets"),
    ) == before
