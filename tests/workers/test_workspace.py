"""What a worker keeps on its disk, and for how long."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.errors import StorageFullError
from workers.workspace import Workspace

ONE, OTHER = uuid.uuid4(), uuid.uuid4()


@pytest.fixture
def make(scratch: Path) -> Iterator[Callable[..., Workspace]]:
    made = []

    def start(cache_bytes: int = 1000, floor_bytes: int = 0) -> Workspace:
        made.append(Workspace(scratch, cache_bytes, floor_bytes))
        return made[-1]

    yield start
    for workspace in made:
        workspace.delete()


def put(workspace: Workspace, key: str, size: int = 400, project: uuid.UUID = ONE) -> Path:
    with workspace.using(project) as pins:
        folder = pins.add(key)
        folder.mkdir(exist_ok=True)
        (folder / "file").write_bytes(bytes(size))
    return folder


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


def test_the_least_recently_used_goes_first(make, scratch):
    workspace = make()
    first, second = put(workspace, "first"), put(workspace, "second")
    put(workspace, "first")
    third = put(workspace, "third")
    assert (first.exists(), second.exists(), third.exists()) == (True, False, True)


def test_what_is_fetched_has_room_or_is_refused_before_it(make, monkeypatch):
    workspace = make(cache_bytes=10_000)
    idle = put(workspace, "idle")
    workspace.make_room(1)
    assert idle.exists()
    with pytest.raises(StorageFullError, match="are needed in"):
        workspace.make_room(10**18)
    assert not idle.exists(), "the cache gives way first"


def test_what_a_step_uses_stays_whatever_others_do(make, scratch):
    workspace = make(cache_bytes=0)
    with workspace.using(ONE) as pins:
        folder = pins.add("used")
        folder.mkdir()
        (folder / "file").write_bytes(b"used")
        put(workspace, "used by both", project=ONE)
        assert folder.exists()
    assert not folder.exists()


def test_what_is_being_made_stays_until_nobody_works(make, scratch):
    workspace = make()
    with workspace.using(ONE) as pins:
        half_made = pins.store.path(".tmp-half")
        half_made.mkdir()
        put(workspace, "another's")
        assert half_made.exists()
    assert not half_made.exists()


def test_a_project_does_not_find_what_another_fetched(make, scratch):
    workspace = make()
    put(workspace, "key", project=ONE)
    with workspace.using(OTHER) as pins:
        assert not pins.store.path("key").exists()


def test_the_cache_gives_way_before_a_full_disk_stops_the_work(make, scratch):
    workspace = make(floor_bytes=1 << 60)
    folder = put(workspace, "cached")
    assert not workspace.has_room()
    assert not folder.exists()


def test_a_dead_workers_folder_is_removed_and_a_living_ones_is_not(make, scratch):
    living = make()
    dead = scratch / "worker-dead"
    shutil.copytree(living.root, dead)
    make()
    assert living.root.exists()
    assert not dead.exists()


def test_nothing_is_left_at_the_end(make, scratch):
    workspace = make()
    put(workspace, "key")
    workspace.delete()
    assert not list(scratch.glob("worker-*"))


def test_others_cannot_look_into_it(make, scratch):
    workspace = make()
    assert scratch.stat().st_mode & 0o077 == 0
    assert workspace.root.stat().st_mode & 0o077 == 0
