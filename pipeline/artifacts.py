"""Content-addressed artifacts: what a stage wrote, named by the hash of what determines it.

A stage first asks whether its artifact exists; so a killed run continues where it stopped, a second
language finds the faces of the first, and a changed parameter renders only what it changed.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pipeline.errors import OutputError, ParameterError, PipelineError

_READ_BYTES = 1 << 20

#: Anything a key may be made of: what JSON writes in one way only.
KeyPart = str | int | float | bool | None | list["KeyPart"] | dict[str, "KeyPart"]


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def artifact_key(stage: str, version: int, **determinants: KeyPart) -> str:
    """The name of an artifact: sha256 over the stage, its version and all that determines it.

    Args:
        stage: the name of the stage.
        version: raised whenever the stage's code changes what it writes.
        determinants: digests of inputs, ranges and parameters, as JSON values.
    """
    text = json.dumps([stage, version, determinants], sort_keys=True, separators=(",", ":"))
    return f"{stage}-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


@dataclass(frozen=True, slots=True)
class Read:
    """Files of one artifact that a step reads: ``names`` in the folder that ``key`` names."""

    key: str
    names: tuple[str, ...]


class MissingArtifactsError(PipelineError):
    """A step was called without the files it reads; bring ``reads`` into the store, call again."""

    code = "artifacts_missing"
    retryable = True

    def __init__(self, reads: Iterable[Read]) -> None:
        self.reads = tuple(reads)
        super().__init__(f"artifacts are not in the store: {', '.join(r.key for r in self.reads)}")


class Store:
    """A folder of artifacts on this machine. One process tree at a time works in it.

    Raises:
        OutputError: the folder cannot be made or written.
        ParameterError: another run is working in it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._lock = (root / ".lock").open("w")
        except OSError as error:
            raise OutputError(
                f"cannot work in {root}: {error.strerror}; choose another folder",
                field="work_dir",
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise ParameterError(
                f"another run is working in {root}; wait for it or choose another folder",
                field="work_dir",
            ) from None
        for left_over in root.glob(".tmp-*"):
            _remove(left_over)

    def path(self, key: str) -> Path:
        return self.root / key

    def holds(self, read: Read) -> bool:
        """Whether all those files are here; of a fetched artifact only some may be."""
        return all((self.path(read.key) / name).exists() for name in read.names)

    def require(self, *reads: Read) -> None:
        """Raise MissingArtifactsError that names all of them that are not here."""
        missing = [read for read in reads if not self.holds(read)]
        if missing:
            raise MissingArtifactsError(missing)

    @contextlib.contextmanager
    def writing_folder(self, key: str) -> Iterator[Path]:
        """A temporary folder for an artifact's files; it gets its name when the block ends well.

        Where some of its files are here already, fetched or by somebody faster, each is replaced
        by its equal.
        """
        with self.temporary() as temporary:
            yield temporary
            for file in temporary.iterdir():
                flush_to_disk(file)
            try:
                temporary.replace(self.path(key))
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                for file in temporary.iterdir():
                    file.replace(self.path(key) / file.name)

    @contextlib.contextmanager
    def temporary(self) -> Iterator[Path]:
        """A folder for what is needed only inside the block; a killed run's are removed later."""
        folder = self.root / f".tmp-{secrets.token_hex(8)}"
        # Not mkdtemp: that shuts others out, and this may become an artifact that they are to read.
        folder.mkdir()
        try:
            yield folder
        finally:
            _remove(folder)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Store) and other.root == self.root

    def __hash__(self) -> int:
        return hash(self.root)

    def __getstate__(self) -> Path:
        """Sent to another process without the lock: that stays with the one who opened it."""
        return self.root

    def __setstate__(self, root: Path) -> None:
        self.root = root

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder; what is in it stays."""
        self._lock.close()

    def delete(self) -> None:
        """Remove the folder and all in it."""
        self.close()
        shutil.rmtree(self.root, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Have a file's content, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
