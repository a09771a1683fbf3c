"""One film in several languages with one call."""

import uuid
from typing import Any

import httpx

from tests.api.manifests import count

FILM = {"type": "video", "url": "https://media.example/film.mp4"}


def dialogue(language: str, **fields: Any) -> dict[str, Any]:
    return {"language": language, "url": f"https://media.example/{language}.wav"} | fields


def order(client: httpx.Client, *dialogues: dict[str, Any], **fields: Any) -> httpx.Response:
    headers = {"Idempotency-Key": fields.pop("key")} if "key" in fields else {}
    body = {"input": [FILM], "dialogues": dialogues} | fields
    return client.post("/v2/generate/languages", json=body, headers=headers)


def test_each_dialogue_becomes_a_generation_of_the_same_film(client, database):
    answer = order(
        client,
        dialogue("fra", outputFileName="French.mkv", priority=9),
        dialogue("pt-BR"),
        model="draft",
        options={"crf": 12},
        labels=["a"],
        name="A film",
    )
    assert answer.status_code == 201, answer.text
    batch, (french, portuguese) = answer.json()["batch"], answer.json()["generations"]
    assert (batch["kind"], batch["name"], batch["status"]) == (
        "languages",
        "A film",
        "JOBS_CREATED",
    )
    assert batch["languages"] == ["fra", "pt-BR"]
    assert (french["language"], french["outputName"], french["priority"]) == (
        "fra",
        "French.mkv",
        9,
    )
    assert (portuguese["outputName"], portuguese["labels"]) == ("film.pt-BR.mp4", ["a"])
    assert (portuguese["options"]["crf"], portuguese["model"]) == (12, "draft")
    films = "(SELECT DISTINCT source_id FROM jobs WHERE batch_id = :batch) AS films"
    assert count(database, films, batch=batch["id"]) == 1
    matrix = client.get(f"/v2/batch/{batch['id']}/matrix").json()
    assert [row["title"] for row in matrix["titles"]] == ["A film"]


def test_all_languages_or_none(client, database):
    before = count(database, "jobs"), count(database, "batches"), count(database, "assets")
    strange = {"language": "deu", "assetId": str(uuid.uuid4())}
    answer = order(client, dialogue("fra"), strange)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "generation_input_audio_inaccessible"
    assert answer.json()["message"].startswith("deu: ")
    twice = order(client, dialogue("fra"), dialogue("fra"))
    assert twice.json()["error_code"] == "batch_duplicate_request_id"
    assert order(client).status_code == 400
    assert order(client, {"language": "fra"}).status_code == 400
    assert order(client, dialogue("fra"), model="nope").status_code == 400
    after = count(database, "jobs"), count(database, "batches"), count(database, "assets")
    assert after == before


def test_the_same_key_is_one_order(client):
    key = uuid.uuid4().hex
    first, again = (order(client, dialogue("fra"), key=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["batch"]["id"] == first.json()["batch"]["id"]
    assert [g["id"] for g in again.json()["generations"]] == [
        g["id"] for g in first.json()["generations"]
    ]
    other = order(client, dialogue("deu"), key=key)
    assert (other.status_code, other.json()["error_code"]) == (409, "idempotency_key_conflict")
