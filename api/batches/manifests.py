"""A batch's file on its way in: kept on disk, counted, hashed, never whole in memory."""

import errno
import hashlib
import tempfile
from dataclasses import dataclass
from typing import IO, Final

from api.errors import RefusedError
from infra.errors import ServiceUnavailableError
from infra.settings import Settings

#: The one field of a batch's form that is a file.
FIELD: Final = "input"


@dataclass(slots=True)
class Manifest:
    """A file that came in. Whoever has it closes it; then it is gone."""

    name: str
    file: IO[bytes]
    sha256: str

    def close(self) -> None:
        """Free its room on the disk."""
        self.file.close()


class ManifestSink:
    """Takes the file of one batch."""

    def __init__(self, name: str, settings: Settings) -> None:
        """Begin a file."""
        self._name, self._settings = name, settings
        # Has no name on the disk, so it goes with the process however that ends.
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="lipfarm-batch-")  # noqa: SIM115
        self._hash = hashlib.sha256()
        self._size, self._line_ends = 0, {b"\n": 0, b"\r": 0}

    def write(self, block: bytes) -> None:
        """Take a block.

        Raises:
            RefusedError: the file is larger than the farm takes.
            ServiceUnavailableError: there is no room for it here.
        """
        self._size += len(block)
        for end in self._line_ends:
            self._line_ends[end] += block.count(end)
        if self._size > self._settings.max_batch_bytes:
            raise RefusedError(
                "batch_file_too_large",
                f"the file is larger than {self._settings.max_batch_bytes / 1e6:g} MB",
            )
        if max(self._line_ends.values()) > self._settings.max_batch_rows:
            raise RefusedError(
                "batch_too_many_requests",
                f"the file has more than {self._settings.max_batch_rows} lines",
            )
        self._hash.update(block)
        try:
            self._file.write(block)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            raise ServiceUnavailableError("the farm has no room for the file now") from error

    def finish(self) -> Manifest:
        """The file from its beginning."""
        self._file.seek(0)
        return Manifest(self._name, self._file, self._hash.hexdigest())

    def abort(self) -> None:
        """Forget it."""
        self._file.close()
