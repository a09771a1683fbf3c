"""Signs of life from work that counts no frames: as long as it writes, it is not stuck."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from pipeline.running.processes import Advance

#: Far below any deadline for progress, and a look at a folder costs next to nothing.
_LOOK_SECONDS = 2.0


@contextlib.contextmanager
def telling_growth(folder: Path, advance: Advance, pattern: str = "**/*") -> Iterator[None]:
    """While files in the folder change, say so from a thread: ``advance(0)``."""
    finished = threading.Event()

    def watch() -> None:
        before = _look(folder, pattern)
        while not finished.wait(_LOOK_SECONDS):
            after = _look(folder, pattern)
            if after != before:
                advance(0)
            before = after

    thread = threading.Thread(target=watch, name="growth", daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def _look(folder: Path, pattern: str) -> dict[Path, tuple[int, int]]:
    seen = {}
    for file in folder.glob(pattern):
        with contextlib.suppress(FileNotFoundError):
            status = file.stat()
            seen[file] = (status.st_size, status.st_mtime_ns)
    return seen
