"""Parts go from a client straight into the bucket, and the bucket says which have arrived."""

import uuid

import httpx
import pytest

from infra.errors import ObjectMissingError
from infra.settings import Settings
from infra.storage import direct_uploads
from infra.storage.objects import ObjectStore

MEBIBYTE = 1 << 20


@pytest.fixture
def store(farm_settings: Settings) -> ObjectStore:
    return ObjectStore(farm_settings)


def _put(store: ObjectStore, key: str, upload: str, number: int, body: bytes) -> None:
    url = direct_uploads.part_url(store, key, upload, number, 60)
    httpx.put(url, content=body).raise_for_status()


def test_parts_arrive_in_any_order_and_twice_and_become_one_object(store: ObjectStore) -> None:
    key = f"projects/p/assets/{uuid.uuid4()}/film.mp4"
    upload = direct_uploads.begin(store, key)
    assert direct_uploads.arrived_parts(store, key, upload) == {}
    _put(store, key, upload, 2, b"tail")
    _put(store, key, upload, 1, b"a" * 5 * MEBIBYTE)  # as one does whose answer was lost
    _put(store, key, upload, 1, b"a" * 5 * MEBIBYTE)
    arrived = direct_uploads.arrived_parts(store, key, upload)
    assert [(n, p.size) for n, p in sorted(arrived.items())] == [(1, 5 * MEBIBYTE), (2, 4)]
    direct_uploads.finish(store, key, upload, arrived)
    assert store.head(key).size == 5 * MEBIBYTE + 4
    assert httpx.get(store.presigned_get(key, "film.mp4")).content[-6:] == b"aatail"
    with pytest.raises(ObjectMissingError):
        direct_uploads.arrived_parts(store, key, upload)


def test_an_aborted_upload_leaves_nothing_and_takes_nothing(store: ObjectStore) -> None:
    key = f"projects/p/assets/{uuid.uuid4()}/film.mp4"
    upload = direct_uploads.begin(store, key)
    _put(store, key, upload, 1, b"x")
    for _ in range(2):
        direct_uploads.abort(store, key, upload)
    assert key not in {each.key for each in store.list_unfinished()}
    url = direct_uploads.part_url(store, key, upload, 1, 60)
    assert httpx.put(url, content=b"x").status_code == 404


@pytest.mark.parametrize(
    ("size", "part"), [(1, 16), (200 << 30, 23), (16 * 9000 << 20, 16), ((16 * 9000 << 20) + 1, 17)]
)
def test_parts_are_whole_mebibytes_and_not_too_many(size: int, part: int) -> None:
    bytes_of_one = direct_uploads.part_bytes(size)
    assert bytes_of_one == part * MEBIBYTE
    assert -(-size // bytes_of_one) <= 10_000
