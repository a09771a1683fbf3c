"""Files of batches, sent and looked at."""

import csv
import io
import json
from typing import Any

import httpx
from sqlalchemy import text

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
