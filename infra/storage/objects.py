"""Files in and out of the bucket: whole, checked, in bounded memory, on any S3 endpoint.

An object is written once, under a name nobody else writes; a file that is fetched appears only when
its size and digest are right.
"""

import contextlib
import errno
import hashlib
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar, cast
from urllib.parse import quote

import boto3
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ParamValidationError
from botocore.exceptions import ConnectionError as NoConnectionError

from infra.crash_points import crash_point
from infra.errors import (
    InfraError,
    ObjectDamagedError,
    ObjectMissingError,
    ServiceUnavailableError,
    StoreFullError,
)
from infra.settings import Settings

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_Answer = TypeVar("_Answer")

_BLOCK: Final = 1 << 20
_PART: Final = 16 << 20

#: A stream's length is not known beforehand; ten thousand of these are more than any film.
_STREAM_PART: Final = 24 << 20

#: Parts under way at once; each holds its bytes in memory.
_PARTS_AT_ONCE: Final = 4

#: How often an upload is asked whether it is done.
_LOOK_SECONDS: Final = 0.005

#: Beyond botocore's own retries of one call, seconds, before the step is given back.
_PATIENCE_SECONDS: Final = 60.0
_LONGEST_PAUSE_SECONDS: Final = 5.0

_CONFIG: Final = Config(
    signature_version="s3v4",
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 3},
    s3={"addressing_style": "path"},
    # Endpoints other than Amazon's answer newer checksums with errors; ours is the sha256.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    max_pool_connections=32,
)

_MISSING: Final = {"404", "NoSuchKey", "NotFound"}

#: Metadata that carries the digest of an object's bytes.
_DIGEST: Final = "sha256"

#: Asked between blocks; True breaks the transfer off.
ShouldStop = Callable[[], bool]


class TransferStoppedError(InfraError):
    """The transfer was broken off because whoever wanted it no longer does."""

    code = "transfer_stopped"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as it was stored."""

    key: str
    size: int
    sha256: str


def _never() -> bool:
    return False


class ObjectStore:
    """The farm's bucket. Threads may share it."""

    def __init__(self, settings: Settings) -> None:
        self.bucket = settings.s3_bucket
        self._settings = settings

    @cached_property
    def _client(self) -> "S3Client":
        return self._connect(self._settings.s3_endpoint_url)

    @cached_property
    def _public_client(self) -> "S3Client":
        settings = self._settings
        return self._connect(settings.s3_public_endpoint_url or settings.s3_endpoint_url)

    def _connect(self, endpoint: str | None) -> "S3Client":
        settings, secret = self._settings, self._settings.s3_secret_key
        session = boto3.session.Session(
            aws_access_key_id=settings.s3_access_key,
            aws_secret_access_key=None if secret is None else secret.get_secret_value(),
            region_name=settings.s3_region,
        )
        client: S3Client = session.client("s3", endpoint_url=endpoint, config=_CONFIG)
        return client

    def ensure_bucket(self) -> None:
        """Make the bucket unless it is there.

        Raises:
            ServiceUnavailableError: the endpoint does not answer, or refuses our keys.
        """
        with _translated(self.bucket):
            try:
                self._client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if _code(error) not in _MISSING | {"NoSuchBucket"}:
                    raise
                self._client.create_bucket(Bucket=self.bucket)

    def put_file(self, path: Path, key: str, *, should_stop: ShouldStop = _never) -> StoredObject:
        """Upload a file, in parts when it is large; it is there whole or not at all.

        Raises:
            ServiceUnavailableError: the bucket did not take it within a minute's tries.
            ObjectDamagedError: what arrived is not as long as what was sent.
            TransferStoppedError: ``should_stop`` said so.
        """
        digest = _sha256_of(path, should_stop)
        size = path.stat().st_size

        def send() -> StoredObject:
            self._send(path, key, digest, should_stop)
            stored = self.head(key)
            if (stored.size, stored.sha256) != (size, digest):
                raise ObjectDamagedError(f"{key}: stored {stored.size} of {size} bytes")
            return stored

        return self._persistently(key, send, should_stop)

    def _send(self, path: Path, key: str, digest: str, should_stop: ShouldStop) -> None:
        config = TransferConfig(
            multipart_threshold=_PART,
            multipart_chunksize=_part_size(path.stat().st_size),
            max_concurrency=_PARTS_AT_ONCE,
        )
        with create_transfer_manager(self._client, config) as transfers:
            sending = transfers.upload(
                str(path), self.bucket, key, extra_args={"Metadata": {_DIGEST: digest}}
            )
            crash_point("step.mid_upload")
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
        reader = _HashingReader(stream)
        config = TransferConfig(
            multipart_threshold=_PART, multipart_chunksize=_STREAM_PART, max_concurrency=2
        )
        # Of a stream, parts wait in memory; ten would, if nothing were said.
        config.max_in_memory_upload_chunks = 2
        with _translated(key):
            self._client.upload_fileobj(cast("IO[bytes]", reader), self.bucket, key, Config=config)
        return StoredObject(key, reader.size, reader.digest)

    def get_file(
        self,
        key: str,
        path: Path,
        *,
        size: int | None = None,
        sha256: str | None = None,
        should_stop: ShouldStop = _never,
    ) -> None:
        """Download an object; the file appears when it is whole and what was expected.

        Raises:
            ObjectMissingError: there is no such object.
            ObjectDamagedError: its bytes are not the expected ones.
            ServiceUnavailableError: the bucket did not give it within a minute's tries.
            StoreFullError: no room for it here.
            TransferStoppedError: ``should_stop`` said so.
        """
        part = path.with_name(f".{path.name}.part")
        try:
            digest = self._persistently(
                key, lambda: self._receive(key, part, should_stop), should_stop
            )
            if size is not None and part.stat().st_size != size:
                raise ObjectDamagedError(f"{key}: {part.stat().st_size} bytes, not {size}")
            if sha256 is not None and digest != sha256:
                raise ObjectDamagedError(f"{key}: its sha256 is not the one that was stored")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _receive(self, key: str, part: Path, should_stop: ShouldStop) -> str:
        digest = hashlib.sha256()
        body = self._client.get_object(Bucket=self.bucket, Key=key)["Body"]
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
        with _translated(key):
            found = self._client.head_object(Bucket=self.bucket, Key=key)
        digest = found.get("Metadata", {}).get(_DIGEST, "")
        return StoredObject(key, found["ContentLength"], digest)

    def exists(self, key: str) -> bool:
        """Whether anything is stored under a key."""
        try:
            self.head(key)
        except ObjectMissingError:
            return False
        return True

    def list_objects(self, prefix: str = "") -> Iterator[Mapping[str, Any]]:
        """All objects below a prefix: ``Key``, ``Size`` and ``LastModified`` of each."""
        pages = self._client.get_paginator("list_objects_v2")
        with _translated(prefix):
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
                yield from page.get("Contents", ())

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are gone already are no mistake."""
        for key in keys:
            with _translated(key):
                self._client.delete_object(Bucket=self.bucket, Key=key)

    def presigned_get(self, key: str, name: str, seconds: int = 3600) -> str:
        """A URL anyone may download the object with, for a while, under a file name."""
        disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
        return self._public_client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self.bucket,
                "Key": key,
                "ResponseContentDisposition": disposition,
            },
            ExpiresIn=seconds,
        )

    def presigned_put(self, key: str, seconds: int = 3600) -> str:
        """A URL anyone may upload the object with, for a while."""
        return self._public_client.generate_presigned_url(
            "put_object", Params={"Bucket": self.bucket, "Key": key}, ExpiresIn=seconds
        )

    def _persistently(
        self, key: str, transfer: Callable[[], _Answer], should_stop: ShouldStop
    ) -> _Answer:
        """Try again, with growing pauses, for as long as the bucket may be back in a moment."""
        give_up, pause = time.monotonic() + _PATIENCE_SECONDS, 0.2
        while True:
            try:
                with _translated(key):
                    return transfer()
            except ServiceUnavailableError:
                if time.monotonic() + pause > give_up:
                    raise
            _pause(random.uniform(pause / 2, pause), should_stop)  # noqa: S311 -- jitter
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


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


def _pause(seconds: float, should_stop: ShouldStop) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if should_stop():
            raise TransferStoppedError("broken off while the bucket was away")
        time.sleep(0.1)


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


@contextlib.contextmanager
def full_disk_told(path: Path) -> Iterator[None]:
    """Raise StoreFullError where the block finds no room for ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFullError(f"no space left in {os.fspath(path.parent)}; free some") from error
        raise


@contextlib.contextmanager
def _translated(key: str) -> Iterator[None]:
    """The library's errors in our words."""
    try:
        yield
    except ClientError as error:
        if _code(error) in _MISSING:
            raise ObjectMissingError(f"the bucket has no {key}") from error
        raise ServiceUnavailableError(f"the bucket refuses: {error}") from error
    except ParamValidationError:
        raise
    except (BotoCoreError, HTTPClientError, NoConnectionError) as error:
        raise ServiceUnavailableError(f"the bucket does not answer: {error}") from error
    except boto3.exceptions.Boto3Error as error:
        raise ServiceUnavailableError(f"the bucket did not take {key}: {error}") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
