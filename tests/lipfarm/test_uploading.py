"""Large files go in parts, and what broke off goes on: against a real API and a real bucket."""

import hashlib
import os
from pathlib import Path

import httpx
import pytest

from infra.storage import direct_uploads
from lipfarm import submit_command, uploading
from lipfarm.farm_client import FarmClient, FarmUnreachableError
from lipfarm.submit_command import send_order
from lipfarm.uploading import fingerprint_of, upload_file
from pipeline.errors import UnreadableMediaError
from tests.api.conftest import (  # noqa: F401 -- fixtures
    database,
    make_key,
    seaweed,
    settings,
    store,
    url,
)

MEBIBYTE = 1 << 20


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large and long is small and short here."""
    monkeypatch.setattr(direct_uploads, "_LEAST_PART_BYTES", 5 * MEBIBYTE)
    monkeypatch.setattr(submit_command, "PARTS_FROM_BYTES", MEBIBYTE)
    monkeypatch.setattr(uploading, "_TRIES", 2)
    monkeypatch.setattr(uploading, "_LONGEST_PAUSE_SECONDS", 0.0)


@pytest.fixture
def client(url, make_key):  # noqa: F811
    with FarmClient(url, make_key("uploaders"), patience=1) as client:
        yield client


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mov"
    path.write_bytes(os.urandom(22 * MEBIBYTE))
    return path


class Told:
    """What a display was told."""

    def __init__(self) -> None:
        self.size = self.arrived = 0

    def __call__(self, size: int):
        self.size = size
        return self.advance

    def advance(self, arrived: int) -> None:
        self.arrived += arrived


def digest_at(address: str) -> str:
    return hashlib.sha256(httpx.get(address).content).hexdigest()


def test_a_file_arrives_whole_and_all_of_it_is_told(client, film):
    told = Told()
    asset = client.get(f"/v2/assets/{upload_file(client, 'video', film, told)}")
    assert (asset["name"], asset["type"], asset["size"]) == ("film.mov", "VIDEO", 22 * MEBIBYTE)
    assert digest_at(asset["url"]) == hashlib.sha256(film.read_bytes()).hexdigest()
    assert (told.size, told.arrived) == (22 * MEBIBYTE, 22 * MEBIBYTE)


def test_what_broke_off_goes_on_with_the_parts_that_are_missing(client, film, monkeypatch):
    put, sent = httpx.Client.put, []

    def put_two(self, address, **more):
        if len(sent) == 2:
            raise httpx.ConnectError("the line is cut")
        sent.append(address)
        return put(self, address, **more)

    monkeypatch.setattr(uploading, "_AT_ONCE", 1)
    monkeypatch.setattr(httpx.Client, "put", put_two)
    with pytest.raises(FarmUnreachableError, match="goes on"):
        upload_file(client, "video", film, Told())
    (under_way,) = client.get("/v2/assets/uploads")["items"]

    def put_the_rest(self, address, **more):
        sent.append(address)
        return put(self, address, **more)

    monkeypatch.setattr(httpx.Client, "put", put_the_rest)
    asset = client.get(f"/v2/assets/{upload_file(client, 'video', film, Told())}")
    assert asset["id"] == under_way["id"]
    assert len(sent) == 5
    assert digest_at(asset["url"]) == hashlib.sha256(film.read_bytes()).hexdigest()


def test_a_file_that_changes_meanwhile_becomes_no_asset(client, film, monkeypatch):
    def change(_arrived: int) -> None:
        with film.open("r+b") as file:
            file.write(b"other")

    before = client.get("/v2/assets")["totalCount"]
    with pytest.raises(UnreadableMediaError, match="changed"):
        upload_file(client, "video", film, lambda _size: change)
    assert client.get("/v2/assets")["totalCount"] == before


def test_another_file_of_the_same_size_is_another_upload(client, film, tmp_path):
    other = tmp_path / "other.mov"
    other.write_bytes(os.urandom(22 * MEBIBYTE))
    assert fingerprint_of(film) == fingerprint_of(film) != fingerprint_of(other)


def test_an_order_names_its_large_file_as_an_asset_and_sends_the_small_one(client, film, tmp_path):
    dub = tmp_path / "dub.wav"
    dub.write_bytes(b"samples")
    told = Told()
    made = send_order(
        client,
        {"model": "draft"},
        {"video": str(film), "audio": str(dub)},
        lambda _name, size: told(size),
    )
    assert [given["type"] for given in made["input"]] == ["video", "audio"]
    assert made["outputName"] == "film.mov"
    assert told.arrived == 22 * MEBIBYTE
