"""Signs of life from work that counts no frames: as long as it writes, it is not stuck."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from pipeline.running.processes import Advance

#: Far below any deadline for progress, and a look at a folder costs next to nothing.
_LOOK_SECONDS = 2.0


@contextlib.contextmanager
def telling_growth(folder: Path, advance: Advance) -> Iterator[None]:
    """While the block runs and files in the folder grow, say so: ``advance(0)``, from a thread."""
    finished = threading.Event()

    def watch() -> None:
        before = _sizes(folder)
        while not finished.wait(_LOOK_SECONDS):
            after = _sizes(folder)
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


def _sizes(folder: Path) -> dict[Path, int]:
    sizes = {}
    for file in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            sizes[file] = file.stat().st_size
    return sizes
