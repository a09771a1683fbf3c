"""Files on their way from a client to the bucket: counted, kept within limits, never held whole."""

import queue
import threading
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from uuid import UUID, uuid4

from api.errors import RefusedError
from api.output_names import safe_name
from infra.db.assets import AssetKind
from infra.errors import InfraError, ServiceUnavailableError
from infra.logs import get_logger
from infra.storage.names import asset_key
from infra.storage.objects import ObjectStore, StoredObject

#: Of still pictures, which a dub takes as films of one frame. A GIF may as well be a film.
PICTURE_EXTENSIONS: Final = (
    "png jpg jpeg jpe jfif webp bmp dib tif tiff avif heic heif jp2 j2k jls psd qoi"
    " exr dpx hdr pfm phm ppm pgm pbm pnm pam sgi ras"
)
_PICTURES: Final = frozenset(f".{extension}" for extension in PICTURE_EXTENSIONS.split())

#: Blocks of an upload that wait for the bucket.
_WAITING_BLOCKS: Final = 4

_LOOK_SECONDS: Final = 0.5

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with a request and lies in the bucket."""

    asset_id: UUID
    kind: AssetKind
    name: str
    object_key: str
    size_bytes: int
    sha256: str


class Uploads:
    """All files of one request.

    Attributes:
        stored: those that are in the bucket.
    """

    def __init__(self, store: ObjectStore, project_id: UUID, kinds: dict[str, AssetKind]) -> None:
        """Take files for a project.

        Args:
            store: where they go.
            project_id: whose they are.
            kinds: what a file is, by the form's field; other fields take no file.
        """
        self._store, self._project_id, self._kinds = store, project_id, kinds
        self.stored: list[Upload] = []

    def open(self, field: str, file_name: str, limit: int) -> "UploadSink":
        """Begin a file; several may follow one another.

        Raises:
            RefusedError: the field takes no file, or had one already.
        """
        if field not in self._kinds:
            raise RefusedError(
                "request_invalid", f"{field}: files come as {' and '.join(self._kinds)}"
            )
        kind = self._kinds[field]
        name = safe_name(file_name, default=field)
        if kind == "video" and PurePosixPath(name).suffix.lower() in _PICTURES:
            kind = "image"
        return UploadSink(self._store, self, _Start(self._project_id, kind, name), limit)

    def discard(self) -> None:
        """Delete what was stored; what cannot be deleted now is collected later."""
        stored, self.stored = self.stored, []
        try:
            self._store.delete([upload.object_key for upload in stored])
        except InfraError as error:
            _log.warning("uploads.left_behind", reason=str(error), count=len(stored))


@dataclass(frozen=True, slots=True)
class _Start:
    project_id: UUID
    kind: AssetKind
    name: str


class UploadSink:
    """One file. A thread of its own feeds the bucket with what is written here."""

    def __init__(self, store: ObjectStore, uploads: Uploads, start: _Start, limit: int) -> None:
        self._uploads, self._start, self._limit = uploads, start, limit
        self._asset_id = uuid4()
        self._key = asset_key(start.project_id, self._asset_id, start.name)
        self._stream = _BlockStream()
        self._size = 0
        self._stored: StoredObject | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._upload, args=(store,), daemon=True)
        self._thread.start()

    def write(self, block: bytes) -> None:
        """Hand a block on; waits for a slow bucket.

        Raises:
            RefusedError: the file is larger than the farm takes.
            ServiceUnavailableError: the bucket does not take it.
        """
        self._size += len(block)
        if self._size > self._limit:
            raise RefusedError(
                "request_too_large",
                f"{self._start.name} is larger than the {self._limit / 1e9:g} GB the farm takes",
            )
        while not self._stream.put(block):
            if not self._thread.is_alive():
                self._raise()

    def finish(self) -> Upload:
        """The file is whole; returns when it is in the bucket.

        Raises:
            RefusedError: there is nothing in it.
            ServiceUnavailableError: the bucket did not take it.
        """
        self._end(self._stream.END)
        if self._stored is None:
            self._raise()
            raise ServiceUnavailableError("the bucket did not take the upload")
        start, stored = self._start, self._stored
        upload = Upload(
            self._asset_id, start.kind, start.name, stored.key, stored.size, stored.sha256
        )
        self._uploads.stored.append(upload)
        if not stored.size:
            raise RefusedError("generation_input_validation_failed", f"{start.name} is empty")
        return upload

    def abort(self) -> None:
        """Forget the file; nothing of it stays in the bucket."""
        self._end(self._stream.BROKEN)

    def _end(self, mark: bytes) -> None:
        while not self._stream.put(mark) and self._thread.is_alive():
            pass
        self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _upload(self, store: ObjectStore) -> None:
        try:
            self._stored = store.put_stream(self._stream, self._key)  # type: ignore[arg-type]
        except Exception as error:
            self._error = error


class BrokenUploadError(Exception):
    """The client went away, or was refused; what was sent is to be forgotten."""


class _BlockStream:
    """Blocks put in by one thread, read as a stream by another."""

    END = b""
    BROKEN = bytes(16)  # told from data by identity

    def __init__(self) -> None:
        self._blocks: queue.Queue[bytes] = queue.Queue(_WAITING_BLOCKS)
        self._rest = memoryview(b"")
        self._ended = False

    def put(self, block: bytes) -> bool:
        """Put a block in; False if there is still no room after a moment."""
        try:
            self._blocks.put(block, timeout=_LOOK_SECONDS)
        except queue.Full:
            return False
        return True

    def read(self, size: int = -1) -> bytes:
        """As a file's: fewer bytes than asked for only at the end.

        Raises:
            BrokenUploadError: there will be no end.
        """
        out = bytearray()
        while not self._ended and (size < 0 or len(out) < size):
            if not self._rest:
                self._take()
            wanted = len(self._rest) if size < 0 else size - len(out)
            out += self._rest[:wanted]
            self._rest = self._rest[wanted:]
        return bytes(out)

    def _take(self) -> None:
        block = self._blocks.get()
        if block is self.BROKEN:
            raise BrokenUploadError
        self._ended = not block
        self._rest = memoryview(block)
