"""The folder a worker works in: stores that its slots share, and a cache of what they fetched.

Every project has a store of its own: what one has fetched or made, no other finds. What is in use
is pinned. The rest stays for the next step, least recently used goes first, as far as
``scratch_cache_bytes`` and the disk allow. Nothing survives the process: its folder is removed when
it ends, and what killed processes left is removed when the next one starts.
"""

import contextlib
import fcntl
import os
import shutil
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pipeline.artifacts import Store
from pipeline.errors import ParameterError
from pipeline.running.room import require_room

_PREFIX = "worker-"
_PROJECT = "project-"


class Workspace:
    """One process's folder.

    Args:
        scratch_dir: where it and those of other processes lie.
        cache_bytes: what nobody uses may take, at most.
        floor_bytes: so much of the disk should stay free.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, scratch_dir: Path, cache_bytes: int, floor_bytes: int) -> None:
        self._cache_bytes, self._floor_bytes = cache_bytes, floor_bytes
        scratch_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone_in(scratch_dir):
            _remove_leftovers(scratch_dir)
            root = scratch_dir / f"{_PREFIX}{uuid.uuid4().hex}"
            root.mkdir(mode=0o700)
            self.own = Store(root)
        self._stores: dict[uuid.UUID, Store] = {}
        self._pins: Counter[Path] = Counter()
        self._used_at: dict[Path, float] = {}
        self._steps = 0
        self._lock = threading.Lock()
        self._fetching: dict[Path, threading.Lock] = {}

    @property
    def root(self) -> Path:
        """The folder."""
        return self.own.root

    @contextlib.contextmanager
    def using(self, project_id: uuid.UUID) -> Iterator["Pins"]:
        """What one step of a project has in use; afterwards the rest is cut to the cache's size."""
        with self._lock:
            self._steps += 1
            if project_id not in self._stores:
                self._stores[project_id] = Store(self.root / f"{_PROJECT}{project_id}")
            store = self._stores[project_id]
        pins = Pins(self, store)
        try:
            yield pins
        finally:
            with self._lock:
                self._steps -= 1
                self._unpin(pins.paths)
            self.trim(self._cache_bytes)

    def pin(self, path: Path) -> None:
        """Keep it until it is unpinned; by :class:`Pins` alone."""
        with self._lock:
            self._pins[path] += 1

    @contextlib.contextmanager
    def fetching(self, path: Path) -> Iterator[None]:
        """Two slots do not fetch the same thing side by side."""
        with self._lock:
            lock = self._fetching.setdefault(path, threading.Lock())
        with lock:
            yield

    def free_bytes(self) -> int:
        """Of the disk."""
        return shutil.disk_usage(self.root).free

    def has_room(self) -> bool:
        """Whether enough of the disk is free to begin a step; the cache gives way to it."""
        if self.free_bytes() < self._floor_bytes:
            self.trim(0)
        return self.free_bytes() >= self._floor_bytes

    def make_room(self, size: int) -> None:
        """See that so many bytes fit, before they are fetched; the cache gives way to them.

        Raises:
            StorageFullError: they do not.
        """
        if self.free_bytes() < size:
            self.trim(0)
        require_room(self.root, size)

    def trim(self, most_bytes: int) -> None:
        """Remove what nobody uses until the rest is no larger; oldest first."""
        with self._lock:
            idle = sorted(
                filter(self._may_go, self.root.glob(f"{_PROJECT}*/*")),
                key=lambda path: self._used_at.get(path, 0.0),
            )
            sizes = {path: _size_of(path) for path in idle}
            total = sum(sizes.values())
            for path in idle:
                if total <= most_bytes and path in self._used_at:
                    break
                total -= sizes[path]
                self._used_at.pop(path, None)
                self._fetching.pop(path, None)
                _remove(path)

    def delete(self) -> None:
        """Remove the folder with everything in it."""
        for store in self._stores.values():
            store.close()
        self.own.delete()

    def _may_go(self, path: Path) -> bool:
        if path.name == ".lock" or path in self._pins:
            return False
        # What is unknown is being made, unless nobody is at work: then a killed runner left it.
        return path in self._used_at or not self._steps

    def _unpin(self, paths: list[Path]) -> None:
        now = time.monotonic()
        for path in paths:
            self._pins[path] -= 1
            self._used_at[path] = now
            if not self._pins[path]:
                del self._pins[path]


class Pins:
    """What one step keeps from being removed.

    Attributes:
        store: of its project.
        paths: of what is pinned.
    """

    def __init__(self, workspace: Workspace, store: Store) -> None:
        self._workspace = workspace
        self.store = store
        self.paths: list[Path] = []

    def add(self, key: str) -> Path:
        """Pin an entry of the store, there already or not; its path."""
        path = self.store.path(key)
        self._workspace.pin(path)
        self.paths.append(path)
        return path


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One process at a time sweeps, so that nobody's new folder is taken for a leftover."""
    with (folder / ".sweeping").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove_leftovers(scratch_dir: Path) -> None:
    for folder in scratch_dir.glob(f"{_PREFIX}*"):
        with contextlib.suppress(ParameterError):  # a living process is working in it
            Store(folder).delete()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _size_of(path: Path) -> int:
    if not path.is_dir():
        return path.stat().st_size
    return sum(
        (Path(folder) / name).stat().st_size for folder, _, names in os.walk(path) for name in names
    )
