"""Inputs in buckets over HTTP: verified when ordered, refused where the project may not look."""

import httpx
import pytest

from infra.settings import Settings
from infra.storage.objects import ObjectStore

AUDIO = {"type": "audio", "url": "https://media.example/dub.wav"}


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """Of a farm that may read one bucket, and another for one project."""
    buckets = "media-in-test,theirs=vault-in-test/dubs"
    return settings.model_copy(update={"s3_input_buckets": buckets})


@pytest.fixture(scope="module", autouse=True)
def buckets(store: ObjectStore) -> None:
    """What lies in both."""
    for bucket in ("media-in-test", "vault-in-test"):
        store.client.create_bucket(Bucket=bucket)
        store.client.put_object(Bucket=bucket, Key="dubs/film.mov", Body=b"frames")


def order(client: httpx.Client, place: str) -> httpx.Response:
    film = {"type": "video", "url": place}
    return client.post("/v2/generate", json={"model": "draft", "input": [film, AUDIO]})


def test_what_is_there_and_allowed_becomes_an_input(client, stranger):
    made = order(client, "s3://media-in-test/dubs/film.mov")
    assert made.status_code == 201, made.text
    assert made.json()["outputName"] == "film.mov"
    asset = client.post("/v2/assets", json={"url": "s3://media-in-test/dubs/film.mov"}).json()
    assert (asset["type"], asset["inputType"], asset["format"]) == ("VIDEO", "URL", "mov")
    assert order(stranger, "s3://vault-in-test/dubs/film.mov").status_code == 201


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("s3://media-in-test/dubs/none.mov", "no such object"),
        ("s3://vault-in-test/dubs/film.mov", "may not name"),
        ("s3://vault-in-test/film.mov", "may not name"),
        ("s3://lipfarm/projects/00000000-0000-0000-0000-000000000000/a.mov", "may not name"),
        ("s3://elsewhere/film.mov", "may not name"),
    ],
)
def test_what_is_not_there_or_not_allowed_is_said_when_it_is_ordered(client, place, says):
    for answer in (order(client, place), client.post("/v2/assets", json={"url": place})):
        assert (answer.status_code, answer.json()["error_code"]) == (400, "asset_inaccessible")
        assert says in answer.json()["message"]


def test_a_batchs_rows_are_held_to_the_same_list(client):
    manifest = "title,video,audio\na,s3://vault-in-test/dubs/film.mov,https://media.example/a.wav\n"
    answer = client.post("/v2/batch", files={"input": ("titles.csv", manifest)}).json()
    (refused,) = answer["errors"]
    assert (answer["status"], refused["error_code"]) == ("FAILED", "asset_inaccessible")


def test_a_webhook_is_no_place_in_a_bucket(client):
    film = {"type": "video", "url": "https://media.example/film.mov"}
    answer = client.post(
        "/v2/generate",
        json={"model": "draft", "input": [film, AUDIO], "webhookUrl": "s3://media-in-test/x"},
    )
    assert answer.status_code == 400
