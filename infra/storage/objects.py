"""Files in and out of the bucket: whole, checked, in bounded memory, on any S3 endpoint.

An object is written once, under a name nobody else writes; a file that is fetched appears only when
its size and digest are right.
"""

import contextlib
import hashlib
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar, cast
from urllib.parse import quote

from botocore.exceptions import ClientError

from infra.crash_points import crash_point
from infra.errors import ObjectDamagedError, ObjectMissingError, ServiceUnavailableError
from infra.settings import Settings
from infra.storage.arriving import arriving, full_disk_told
from infra.storage.endpoint import MISSING, code_of, connect, translated
from infra.storage.stopping import ShouldStop, TransferStoppedError, never, pause, run_stoppable

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

__all__ = [
    "ObjectStore",
    "ShouldStop",
    "StoredObject",
    "TransferStoppedError",
    "UnfinishedUpload",
]

_Answer = TypeVar("_Answer")

_BLOCK: Final = 1 << 20
_PART: Final = 16 << 20

#: A stream's length is not known beforehand; ten thousand of these are more than any film.
STREAM_PART: Final = 24 << 20

#: Parts under way at once; each holds its bytes in memory.
_PARTS_AT_ONCE: Final = 4

#: How often an upload is asked whether it is done.
_LOOK_SECONDS: Final = 0.005

#: Beyond botocore's own retries of one call, seconds, before the step is given back.
_PATIENCE_SECONDS: Final = 60.0
_LONGEST_PAUSE_SECONDS: Final = 5.0

#: Metadata that carries the digest of an object's bytes.
_DIGEST: Final = "sha256"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as it was stored."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """Parts that never became an object: their sender died, or was stopped."""

    key: str
    upload_id: str
    size: int
    started_at: datetime


class ObjectStore:
    """The farm's bucket. Threads may share it."""

    def __init__(self, settings: Settings) -> None:
        self.bucket = settings.s3_bucket
        self._settings = settings

    @cached_property
    def client(self) -> "S3Client":
        """For this package: the endpoint as the farm reaches it."""
        return connect(self._settings, self._settings.s3_endpoint_url)

    @cached_property
    def public_client(self) -> "S3Client":
        """For this package: the endpoint as the farm's clients reach it; only to sign with."""
        settings = self._settings
        return connect(settings, settings.s3_public_endpoint_url or settings.s3_endpoint_url)

    def ensure_bucket(self) -> None:
        """Make the bucket unless it is there.

        Raises:
            ServiceUnavailableError: the endpoint does not answer, or refuses our keys.
        """
        with translated(self.bucket):
            try:
                self.client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if code_of(error) not in MISSING | {"NoSuchBucket"}:
                    raise
                self._create_bucket()

    def _create_bucket(self) -> None:
        region = self._settings.s3_region
        # Amazon wants to be told the region, except its first.
        where: Any = {} if region == "us-east-1" else {"LocationConstraint": region}
        extra: Any = {"CreateBucketConfiguration": where} if where else {}
        try:
            self.client.create_bucket(Bucket=self.bucket, **extra)
        except self.client.exceptions.BucketAlreadyOwnedByYou:
            return  # another process was faster

    def put_file(self, path: Path, key: str, *, should_stop: ShouldStop = never) -> StoredObject:
        """Upload a file, in parts when it is large; it is there whole or not at all.

        An upload that was broken off may still arrive: keys are never used twice.

        Raises:
            ServiceUnavailableError: the bucket did not take it within a minute's tries.
            ObjectDamagedError: what arrived is not as long as what was sent.
            TransferStoppedError: ``should_stop`` said so.
        """
        return run_stoppable(lambda stop: self._put(path, key, stop), should_stop)

    def _put(self, path: Path, key: str, should_stop: ShouldStop) -> StoredObject:
        digest = _sha256_of(path, should_stop)
        size = path.stat().st_size

        def send() -> StoredObject:
            crash_point("step.mid_upload")
            if size <= _PART:
                self._send_whole(path, key, digest)
            else:
                self._send_parts(path, key, digest, should_stop)
            stored = self.head(key)
            if (stored.size, stored.sha256) != (size, digest):
                raise ObjectDamagedError(f"{key}: stored {stored.size} of {size} bytes")
            return stored

        return _persistently(key, send, should_stop)

    def _send_whole(self, path: Path, key: str, digest: str) -> None:
        with path.open("rb") as file:
            self.client.put_object(
                Bucket=self.bucket, Key=key, Body=file, Metadata={_DIGEST: digest}
            )

    def _send_parts(self, path: Path, key: str, digest: str, should_stop: ShouldStop) -> None:
        from boto3.s3.transfer import TransferConfig, create_transfer_manager  # noqa: PLC0415

        config = TransferConfig(
            multipart_threshold=_PART,
            multipart_chunksize=_part_size(path.stat().st_size),
            max_concurrency=_PARTS_AT_ONCE,
        )
        with create_transfer_manager(self.client, config) as transfers:
            sending = transfers.upload(
                str(path), self.bucket, key, extra_args={"Metadata": {_DIGEST: digest}}
            )
            while not sending.done():
                if should_stop():
                    sending.cancel()
                    raise TransferStoppedError(f"upload of {path.name} broken off")
                time.sleep(_LOOK_SECONDS)
            sending.result()

    def put_stream(self, stream: IO[bytes], key: str) -> StoredObject:
        """Upload what a stream gives, of any length, in bounded memory; hashed on the way.

        Its digest is known only at the end, so it is told, not kept with the object. Not tried
        again: a stream is read once.
        """
        from boto3.s3.transfer import TransferConfig  # noqa: PLC0415 -- as in endpoint.connect

        reader = _HashingReader(stream)
        config = TransferConfig(
            multipart_threshold=_PART, multipart_chunksize=STREAM_PART, max_concurrency=2
        )
        # Of a stream, parts wait in memory; ten would, if nothing were said.
        config.max_in_memory_upload_chunks = 2
        with translated(key):
            self.client.upload_fileobj(cast("IO[bytes]", reader), self.bucket, key, Config=config)
        return StoredObject(key, reader.size, reader.digest)

    def get_file(
        self,
        key: str,
        path: Path,
        *,
        bucket: str | None = None,
        size: int | None = None,
        sha256: str | None = None,
        should_stop: ShouldStop = never,
    ) -> None:
        """Download an object; the file appears when it is whole and what was expected.

        ``bucket`` is another than the farm's own, at the same endpoint.

        Raises:
            ObjectMissingError: there is no such object.
            ObjectDamagedError: its bytes are not the expected ones.
            ServiceUnavailableError: the bucket did not give it within a minute's tries.
            StoreFullError: no room for it here.
            TransferStoppedError: ``should_stop`` said so.
        """
        with arriving(path) as part:
            source = (bucket or self.bucket, key)
            digest = run_stoppable(
                lambda stop: _persistently(key, lambda: self._receive(source, part, stop), stop),
                should_stop,
                clear_away=lambda: part.unlink(missing_ok=True),
            )
            if size is not None and part.stat().st_size != size:
                raise ObjectDamagedError(f"{key}: {part.stat().st_size} bytes, not {size}")
            if sha256 is not None and digest != sha256:
                raise ObjectDamagedError(f"{key}: its sha256 is not the one that was stored")

    def _receive(self, source: tuple[str, str], part: Path, should_stop: ShouldStop) -> str:
        digest, (bucket, key) = hashlib.sha256(), source
        body = self.client.get_object(Bucket=bucket, Key=key)["Body"]
        with contextlib.closing(body), full_disk_told(part), part.open("wb") as file:
            for block in body.iter_chunks(_BLOCK):
                if should_stop():
                    raise TransferStoppedError(f"download of {key} broken off")
                digest.update(block)
                file.write(block)
        return digest.hexdigest()

    def head(self, key: str) -> StoredObject:
        """What is stored under a key.

        Raises:
            ObjectMissingError: nothing is.
        """
        with translated(key):
            found = self.client.head_object(Bucket=self.bucket, Key=key)
        digest = found.get("Metadata", {}).get(_DIGEST, "")
        return StoredObject(key, found["ContentLength"], digest)

    def copy(self, key: str, to: str) -> None:
        """Copy an object within the bucket, in parts when it is large; nothing comes through here.

        Raises:
            ObjectMissingError: there is none.
        """
        with translated(key):
            source: Any = {"Bucket": self.bucket, "Key": key}
            self.client.copy(source, self.bucket, to)

    def exists(self, key: str) -> bool:
        """Whether anything is stored under a key."""
        try:
            self.head(key)
        except ObjectMissingError:
            return False
        return True

    def list_objects(self, prefix: str = "") -> Iterator[Mapping[str, Any]]:
        """All objects below a prefix: ``Key``, ``Size`` and ``LastModified`` of each."""
        pages = self.client.get_paginator("list_objects_v2")
        with translated(prefix):
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
                yield from page.get("Contents", ())

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are gone already are no mistake."""
        for key in keys:
            with translated(key):
                self.client.delete_object(Bucket=self.bucket, Key=key)

    def address_of(self, key: str) -> str:
        """Where an object is, as clients reach the bucket; it opens with a signature alone."""
        return f"{self.public_client.meta.endpoint_url}/{self.bucket}/{quote(key)}"

    def address_inside(self, key: str, seconds: int = 60, *, bucket: str | None = None) -> str:
        """A URL under which the farm's own processes reach an object, for a while."""
        return self.client.generate_presigned_url(
            "get_object", Params={"Bucket": bucket or self.bucket, "Key": key}, ExpiresIn=seconds
        )

    def presigned_get(self, key: str, name: str, seconds: int = 3600) -> str:
        """A URL anyone may download the object with, for a while, under a file name."""
        disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
        return self.public_client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self.bucket,
                "Key": key,
                "ResponseContentDisposition": disposition,
            },
            ExpiresIn=seconds,
        )

    def presigned_put(
        self, key: str, seconds: int = 3600, *, content_type: str | None = None
    ) -> str:
        """A URL anyone may upload the object with, for a while; with this ``Content-Type``."""
        params = {"Bucket": self.bucket, "Key": key}
        if content_type is not None:
            params["ContentType"] = content_type
        return self.public_client.generate_presigned_url(
            "put_object", Params=params, ExpiresIn=seconds
        )

    def list_unfinished(self, prefix: str = "") -> Iterator[UnfinishedUpload]:
        """Uploads in parts that were begun and not finished; nothing else shows them."""
        pages = self.client.get_paginator("list_multipart_uploads")
        with translated(prefix):
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
                for each in page.get("Uploads", ()):
                    key, upload_id = each["Key"], each["UploadId"]
                    size = self._size_of_parts(key, upload_id)
                    yield UnfinishedUpload(key, upload_id, size, each["Initiated"])

    def _size_of_parts(self, key: str, upload_id: str) -> int:
        pages = self.client.get_paginator("list_parts")
        try:
            return sum(
                part["Size"]
                for page in pages.paginate(Bucket=self.bucket, Key=key, UploadId=upload_id)
                for part in page.get("Parts", ())
            )
        except self.client.exceptions.NoSuchUpload:
            return 0  # it was finished meanwhile

    def abort(self, upload: UnfinishedUpload) -> None:
        """Delete the parts of an unfinished upload; that they are gone already is no mistake."""
        with contextlib.suppress(ObjectMissingError), translated(upload.key):
            self.client.abort_multipart_upload(
                Bucket=self.bucket, Key=upload.key, UploadId=upload.upload_id
            )


def _persistently(key: str, transfer: Callable[[], _Answer], should_stop: ShouldStop) -> _Answer:
    """Try again, with growing pauses, for as long as the bucket may be back in a moment."""
    give_up, rest = time.monotonic() + _PATIENCE_SECONDS, 0.2
    while True:
        try:
            with translated(key):
                return transfer()
        except ServiceUnavailableError:
            if time.monotonic() + rest > give_up:
                raise
        pause(random.uniform(rest / 2, rest), should_stop)  # noqa: S311 -- jitter
        rest = min(2 * rest, _LONGEST_PAUSE_SECONDS)


class _HashingReader:
    """A stream that is hashed and counted while it is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._hash, self.size = stream, hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self._hash.update(block)
        self.size += len(block)
        return block

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def _part_size(size: int) -> int:
    """S3 takes ten thousand parts at most."""
    return max(_PART, -(-size // 9_000))


def _sha256_of(path: Path, should_stop: ShouldStop) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            if should_stop():
                raise TransferStoppedError(f"upload of {path.name} broken off")
            digest.update(block)
    return digest.hexdigest()
