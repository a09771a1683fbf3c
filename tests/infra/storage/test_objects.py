"""Files in and out of a real bucket."""

import ctypes
import io
import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from infra.db.orders import ArtifactRef
from infra.errors import (
    ObjectDamagedError,
    ObjectMissingError,
    ServiceUnavailableError,
    StoreFullError,
)
from infra.services.ports import free_port
from infra.services.seaweed import SeaweedFS
from infra.storage import objects
from infra.storage.artifacts import fetch_artifact, upload_artifact
from infra.storage.names import safe_name
from infra.storage.objects import ObjectStore, TransferStoppedError
from tests.infra.storage.buckets import store_at


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """With room for next to nothing."""
    disk, libc = tmp_path / "disk", ctypes.CDLL(None)
    disk.mkdir()
    if libc.mount(b"tmpfs", str(disk).encode(), b"tmpfs", 0, b"size=64k"):
        pytest.skip("needs the right to mount a small tmpfs")
    yield disk
    libc.umount2(str(disk).encode(), 2)


@pytest.mark.parametrize("size", [0, 1, 5 << 20, 40 << 20])
def test_what_goes_in_comes_out(store: ObjectStore, tmp_path: Path, size: int) -> None:
    path, back = tmp_path / "in", tmp_path / "out"
    path.write_bytes(os.urandom(size))
    stored = store.put_file(path, f"a/{size}")
    store.get_file(f"a/{size}", back, size=stored.size, sha256=stored.sha256)
    assert back.read_bytes() == path.read_bytes()
    assert [left.name for left in tmp_path.iterdir() if left.name.startswith(".")] == []


def test_a_bucket_may_be_ensured_by_many_at_once(seaweed: SeaweedFS) -> None:
    stores = [store_at(seaweed, seaweed.url, bucket="by-many") for _ in range(4)]
    with ThreadPoolExecutor() as pool:
        assert list(pool.map(ObjectStore.ensure_bucket, stores)) == [None] * 4


def test_unfinished_uploads_are_found_and_aborted(store: ObjectStore) -> None:
    begun = store.client.create_multipart_upload(Bucket=store.bucket, Key="u/begun")
    part = {"Bucket": store.bucket, "Key": "u/begun", "UploadId": begun["UploadId"]}
    store.client.upload_part(**part, PartNumber=1, Body=b"x" * 1000)
    (found,) = store.list_unfinished("u/")
    assert (found.key, found.size) == ("u/begun", 1000)
    store.abort(found)
    store.abort(found)
    assert list(store.list_unfinished("u/")) == []


def test_a_stream_is_hashed_on_its_way(store: ObjectStore, tmp_path: Path) -> None:
    content = os.urandom(20 << 20)
    stored = store.put_stream(io.BytesIO(content), "stream")
    assert stored.size == len(content)
    store.get_file("stream", tmp_path / "out", sha256=stored.sha256)


def test_other_bytes_than_expected_are_refused(store: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"right")
    right = store.put_file(path, "right")
    path.write_bytes(b"wrong")
    store.put_file(path, "wrong")
    with pytest.raises(ObjectDamagedError):
        store.get_file("wrong", tmp_path / "out", sha256=right.sha256)
    with pytest.raises(ObjectDamagedError):
        store.get_file("wrong", tmp_path / "out", size=6)
    assert not (tmp_path / "out").exists()


def test_a_missing_object_is_said_to_be_missing(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(ObjectMissingError):
        store.get_file("nothing", tmp_path / "out")
    assert not store.exists("nothing")


def test_a_transfer_is_broken_off_when_asked(store: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(os.urandom(20 << 20))
    with pytest.raises(TransferStoppedError):
        store.put_file(path, "stopped", should_stop=lambda: True)
    store.put_file(path, "whole")
    with pytest.raises(TransferStoppedError):
        store.get_file("whole", tmp_path / "out", should_stop=lambda: True)
    assert not (tmp_path / "out").exists()


def test_a_bucket_that_does_not_answer_is_said_so(
    seaweed: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_PATIENCE_SECONDS", 1.0)
    nowhere = store_at(seaweed, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ServiceUnavailableError):
        nowhere.get_file("any", tmp_path / "out")


def test_no_room_is_said_so_and_leaves_nothing(
    store: ObjectStore, tmp_path: Path, small_disk: Path
) -> None:
    path = tmp_path / "in"
    path.write_bytes(os.urandom(1 << 20))
    store.put_file(path, "big")
    with pytest.raises(StoreFullError):
        store.get_file("big", small_disk / "out")
    assert list(small_disk.iterdir()) == []


def test_a_presigned_url_gives_the_file_under_its_name(store: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"film")
    store.put_file(path, "film")
    answer = httpx.get(store.presigned_get("film", "Mein Film ü.mp4"))
    assert answer.content == b"film"
    assert "Mein%20Film%20%C3%BC.mp4" in answer.headers["content-disposition"]
    assert httpx.put(store.presigned_put("put"), content=b"more").is_success
    assert store.head("put").size == 4


def test_objects_are_listed_and_deleted(store: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"x")
    for name in ("l/1", "l/2"):
        store.put_file(path, name)
    assert sorted(each["Key"] for each in store.list_objects("l/")) == ["l/1", "l/2"]
    store.delete(["l/1", "l/2", "l/never"])
    assert list(store.list_objects("l/")) == []


def test_two_attempts_of_an_artifact_do_not_meet(store: ObjectStore, tmp_path: Path) -> None:
    project, files = uuid.uuid4(), {"a": tmp_path / "a", "b": tmp_path / "b"}
    for name, path in files.items():
        path.write_text(name)
    one = upload_artifact(store, project, "detect-1", files)
    two = upload_artifact(store, project, "detect-1", files)
    assert one.prefix != two.prefix
    artifact = ArtifactRef(uuid.uuid4(), one.key, one.prefix, one.files)
    fetch_artifact(store, artifact, tmp_path / "back", names=["b"])
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["b"]
    fetch_artifact(store, artifact, tmp_path / "back")
    assert (tmp_path / "back" / "a").read_text() == "a"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("film.mp4", "film.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\films\\a b.mp4", "a b.mp4"),
        ("映画 ü.mkv", "映画 ü.mkv"),
        ("a\nb?.mp4", "a_b_.mp4"),
        ("...", "unnamed"),
        ("", "unnamed"),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_long_names_keep_their_extension() -> None:
    name = safe_name("ü" * 400 + ".mp4")
    assert name.endswith(".mp4")
    assert len(name.encode()) <= 180
