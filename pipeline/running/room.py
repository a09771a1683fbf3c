"""Room on a disk, asked for before it is filled."""

import os
from pathlib import Path

from pipeline.errors import StorageFullError, one_line


def require_room(folder: Path, size: int, *, field: str | None = None) -> None:
    """See that so many more bytes fit.

    Args:
        folder: where they go; it need not exist yet.
        size: the least that they will be.
        field: by which another folder is chosen, if by any.

    Raises:
        StorageFullError: they do not, with both figures.
    """
    free = free_bytes(folder)
    if free is not None and size > free:
        raise StorageFullError(
            f"at least {_shown(size)} are needed in {one_line(folder)}, {_shown(free)} are free; "
            "free some, or choose a folder on a larger disk",
            field=field,
        )


def free_bytes(folder: Path) -> int | None:
    """Of the disk a folder is on; None where it does not tell."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    # What has no blocks counts none: some network and memory file systems.
    return disk.f_bavail * disk.f_frsize if disk.f_blocks else None


def _shown(size: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"
