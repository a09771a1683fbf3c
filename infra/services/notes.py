"""Small files beside a running farm: for its owner alone, never half written."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

import psutil

_END_SECONDS = 5.0


def write_atomically(path: Path, text: str) -> None:
    """Write a file only its owner can read; a reader sees the old text or the new."""
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text(text)
    unfinished.replace(path)


def note_pids(path: Path, pids: Mapping[str, int]) -> None:
    """Note processes so that :func:`end_leftovers` can tell them from later ones of that number."""
    notes = {}
    for name, pid in pids.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            notes[name] = (pid, psutil.Process(pid).create_time())
    write_atomically(path, json.dumps(notes))


def end_leftovers(path: Path) -> None:
    """Kill what is left of the noted processes.

    On Linux the kernel ended them with the one that started them; elsewhere a killed ``up`` leaves
    them behind.
    """
    try:
        notes = json.loads(path.read_text())
    except (OSError, ValueError):
        return
    for pid, created in notes.values():
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.create_time() == created:
                process.kill()
                process.wait(_END_SECONDS)
    path.unlink(missing_ok=True)
