"""Nothing that happens on the way to the bucket passes for a success, or holds anybody up."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.errors import ObjectDamagedError, ServiceUnavailableError
from infra.services.seaweed import SeaweedFS
from infra.storage import objects
from infra.storage.objects import ObjectStore, TransferStoppedError
from tests.farm.faulty_proxy import FaultyProxy
from tests.infra.storage.buckets import store_at

#: In one piece, and in parts.
SIZES = pytest.mark.parametrize("size", [1 << 20, 40 << 20])


class TreacherousProxy(FaultyProxy):
    """Also: changes a byte of what passes, once, or falls silent in the midst of it."""

    damaged = False
    _silent = threading.Event()

    def _pass(self, from_: socket.socket, to: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := from_.recv(1 << 16):
                if len(block) > 10_000 and b"HTTP/1.1" not in block:
                    if self._how == "damage" and not self.damaged:
                        self.damaged = True
                        block = block[:99] + bytes([block[99] ^ 1]) + block[100:]
                    while self._how == "silence":
                        time.sleep(0.05)
                to.sendall(block)
        for end in (from_, to):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def way(seaweed: SeaweedFS, store: ObjectStore) -> Iterator[TreacherousProxy]:
    proxy = TreacherousProxy(seaweed.ports["s3"])
    yield proxy
    proxy.close()


@pytest.fixture
def far(seaweed: SeaweedFS, way: TreacherousProxy) -> ObjectStore:
    """The same bucket, by way of the proxy."""
    return store_at(seaweed, way.url)


def file_of(folder: Path, size: int) -> Path:
    path = folder / "in"
    path.write_bytes(os.urandom(size))
    return path


@SIZES
def test_a_byte_changed_on_the_way_in_is_sent_again(
    store: ObjectStore, far: ObjectStore, way: TreacherousProxy, tmp_path: Path, size: int
) -> None:
    path = file_of(tmp_path, size)
    way.misbehave("damage")
    stored = far.put_file(path, f"in/{size}")
    assert way.damaged
    store.get_file(stored.key, tmp_path / "out", sha256=stored.sha256)


def test_a_byte_of_a_stream_changed_on_the_way_in_is_no_success(
    far: ObjectStore, way: TreacherousProxy, tmp_path: Path
) -> None:
    way.misbehave("damage")
    with file_of(tmp_path, 1 << 20).open("rb") as stream, pytest.raises(ServiceUnavailableError):
        far.put_stream(stream, "in/stream")


def test_a_byte_changed_on_the_way_out_is_noticed(
    store: ObjectStore, far: ObjectStore, way: TreacherousProxy, tmp_path: Path
) -> None:
    stored = store.put_file(file_of(tmp_path, 1 << 20), "out")
    way.misbehave("damage")
    with pytest.raises(ObjectDamagedError):
        far.get_file("out", tmp_path / "out", sha256=stored.sha256)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


# Shorter than the time a socket may be silent: nobody waits for it.
@pytest.mark.timeout(20)
@SIZES
def test_silence_does_not_keep_a_transfer_from_being_broken_off(
    store: ObjectStore, far: ObjectStore, way: TreacherousProxy, tmp_path: Path, size: int
) -> None:
    path = file_of(tmp_path, size)
    store.put_file(path, f"heard/{size}")
    way.misbehave("silence")
    asked: list[float] = []

    def after_a_moment() -> bool:
        asked.append(time.monotonic())
        return asked[-1] - asked[0] > 0.3

    with pytest.raises(TransferStoppedError):
        far.put_file(path, f"unheard/{size}", should_stop=after_a_moment)
    asked.clear()
    with pytest.raises(TransferStoppedError):
        far.get_file(f"heard/{size}", tmp_path / "out", should_stop=after_a_moment)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_bucket_that_comes_back_is_waited_for(
    far: ObjectStore, way: TreacherousProxy, tmp_path: Path
) -> None:
    way.misbehave("503")
    threading.Timer(3, way.misbehave, ["ok"]).start()
    stored = far.put_file(file_of(tmp_path, 1 << 20), "late")
    way.misbehave("503")
    threading.Timer(3, way.misbehave, ["ok"]).start()
    far.get_file("late", tmp_path / "out", sha256=stored.sha256)


def test_a_bucket_that_stays_away_is_said_so(
    far: ObjectStore, way: TreacherousProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_PATIENCE_SECONDS", 0.5)
    way.misbehave("503")
    with pytest.raises(ServiceUnavailableError, match="refuses"):
        far.put_file(file_of(tmp_path, 1000), "never")
