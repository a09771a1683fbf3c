"""Files that come from elsewhere: beside their place until they are whole, then there at once.

Not synced to the disk: what arrives lies in a folder that does not outlive its process.
"""

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from infra.errors import StoreFullError


@contextlib.contextmanager
def arriving(path: Path) -> Iterator[Path]:
    """Where to write what shall become ``path`` when the block ends well; else it is removed.

    The name is nobody else's: an abandoned transfer may still be writing to its own.
    """
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def full_disk_told(path: Path) -> Iterator[None]:
    """Raise StoreFullError where the block finds no room for ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFullError(f"no space left in {os.fspath(path.parent)}; free some") from error
        raise
