"""The output appears whole or not at all, under its own name, on the disk for good."""

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.artifacts import flush_to_disk
from pipeline.errors import OutputError, StorageFullError, one_line

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

#: Bytes of a file's name, on all the usual file systems.
LONGEST_NAME = 255

#: The names, as a pattern, of files on their way to becoming outputs, in the folder of these.
UNFINISHED = ".lipfarm-*"


@contextlib.contextmanager
def writing_errors(path: Path) -> Iterator[None]:
    """Turn what the system says while a file is written into our errors."""
    try:
        yield
    except OSError as error:  # PyAV's errors that carry an errno are OSErrors, too
        name = one_line(path)
        if error.errno in _NO_SPACE:
            raise StorageFullError(f"no space left on the device while writing {name}") from error
        raise OutputError(f"cannot write {name}: {error.strerror or error}") from error


def check_output(output: Path, inputs: Iterable[Path] = (), *, what: str = "output") -> None:
    """See, before hours of work, that a file can be written.

    Args:
        output: the file to come; one that is there will be replaced.
        inputs: files, and folders of frames, that must not be replaced.
        what: the file is, in messages.

    Raises:
        OutputError: it is a directory, a device or one of the inputs; or its folder is missing or
            cannot be written.
        StorageFullError: there is no room even for an empty file.
    """
    name = one_line(output)
    with writing_errors(output):  # a name that is too long, a folder nobody may look into
        if output.is_dir():
            raise OutputError(f"{name}: is a directory; give the name of a file in it")
        if output.exists() and not output.is_file():
            raise OutputError(f"{name}: is a pipe or device, not a file that can be replaced")
        for source in inputs:
            if are_one(output, source):
                raise OutputError(
                    f"{name}: is the input itself; choose another name for the {what}"
                )
            if output.exists() and source.is_dir() and are_one(output.parent, source):
                raise OutputError(
                    f"{name}: is among the frames; choose another name for the {what}"
                )
        folder = output.absolute().parent
        if not folder.is_dir():
            raise OutputError(f"{one_line(folder)}: no such folder for the {what}; create it first")
        with _temporary(output) as probe:
            probe.write_bytes(b"\0")


def are_one(first: Path, second: Path) -> bool:
    """Whether both names are of one file, or will be."""
    if first.exists() and second.exists():
        return first.samefile(second)
    return first.resolve() == second.resolve()


@contextlib.contextmanager
def publishing(output: Path) -> Iterator[Path]:
    """A temporary file beside the output; it becomes the output only when the block ends well.

    The file is flushed to disk before it gets its name. What killed runs left for the same output
    is removed first.

    Raises:
        OutputError, StorageFullError: as in :func:`check_output`.
    """
    with writing_errors(output):
        _remove_left_overs(output)
        with _temporary(output) as temporary:
            yield temporary
            flush_to_disk(temporary)
            temporary.replace(output)
            flush_to_disk(output.absolute().parent)


@contextlib.contextmanager
def _temporary(output: Path) -> Iterator[Path]:
    """An empty file, locked as long as the block lasts, so that it is known to be in use."""
    prefix = _prefix(output)
    path = output.absolute().with_name(f"{prefix}{secrets.token_hex(4)}{output.suffix}")
    # 0o666: the umask decides, as for any file a program writes.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield path
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def _prefix(output: Path) -> str:
    """Short, as the output's own name may already have all the length a file system allows."""
    digest = hashlib.sha256(os.fsencode(output.name)).hexdigest()[:12]
    return f"{UNFINISHED[:-1]}{digest}-"


def _remove_left_overs(output: Path) -> None:
    for path in output.absolute().parent.glob(f"{_prefix(output)}*"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
