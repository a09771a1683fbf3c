"""What a run used: time per stage, peak memory of all its processes, peak disk."""

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

#: Often enough to see a batch's peak, seldom enough to cost nothing.
_MEMORY_LOOK_SECONDS = 0.25

#: Finding our child processes means reading about every process there is: 4 ms for 150 of them.
_CHILDREN_LOOKS_EVERY = 4

#: Disk grows slowly, and walking the folder costs more.
_DISK_LOOKS_EVERY = 8


class ResourceMeter:
    """Measures the block it wraps.

    Attributes:
        seconds: wall-clock seconds by stage.
        peak_memory: bytes resident, this process and its children together, highest seen.
        peak_disk: bytes in the work folder, highest seen.
    """

    def __init__(self, folder: Path) -> None:
        self.seconds: dict[str, float] = {}
        self.peak_memory = 0
        self.peak_disk = 0
        self._folder = folder
        self._processes = [psutil.Process()]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="resources", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the block's time to a stage."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - start
            self._look(children=True, disk=True)

    def _watch(self) -> None:
        looks = 0
        while not self._stop.is_set():
            self._look(
                children=looks % _CHILDREN_LOOKS_EVERY == 0, disk=looks % _DISK_LOOKS_EVERY == 0
            )
            looks += 1
            self._stop.wait(_MEMORY_LOOK_SECONDS)

    def _look(self, *, children: bool, disk: bool) -> None:
        if children:
            self._processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        self.peak_memory = max(self.peak_memory, _resident_bytes(self._processes))
        if disk:
            self.peak_disk = max(self.peak_disk, _bytes_below(self._folder))


def _resident_bytes(processes: Iterable[psutil.Process]) -> int:
    total = 0
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += each.memory_info().rss
    return total


def _bytes_below(folder: Path) -> int:
    # Not rglob: it raises when a folder goes away under it, as unpublished artifacts do.
    total = 0
    for below, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(below) / name).stat().st_size
    return total
