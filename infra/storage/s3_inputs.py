"""Inputs that lie in a bucket of the farm's owner: which are allowed, and reading them.

They are read with the farm's own keys, so what may be named is a list, by project if need be. Of
the farm's own bucket a project may name what is its own, and nothing else whatever the list says.
"""

import hashlib
import itertools
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.errors import FetchError, ObjectDamagedError, ObjectMissingError
from infra.settings import Settings
from infra.storage.arriving import arriving, full_disk_told
from infra.storage.content_encoding import Decoder, EncodingError
from infra.storage.documents import LOOKED_AT, Wanted, check_is_media
from infra.storage.endpoint import MISSING, code_of, translated
from infra.storage.objects import ObjectStore
from infra.storage.stopping import ShouldStop, TransferStoppedError, never

SCHEME: Final = "s3://"

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_FORBIDDEN: Final = frozenset({"403", "AccessDenied", "Forbidden"})
_BLOCK: Final = 256 << 10
_LONGEST_KEY_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class Location:
    """An object, in whichever bucket."""

    bucket: str
    key: str

    def __str__(self) -> str:
        """As a client writes it."""
        return f"{SCHEME}{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class _Rule:
    project: str | None
    bucket: str
    prefix: str


def parse_location(url: str) -> Location:
    """The object an ``s3://bucket/key`` names.

    Raises:
        ValueError: it names none; some endpoints would take a key with ``..`` in it for another.
    """
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    if not url.startswith(SCHEME) or not _BUCKET.fullmatch(bucket) or not key:
        raise ValueError("it is s3://BUCKET/KEY")
    if len(key.encode()) > _LONGEST_KEY_BYTES or re.search(r"[\x00-\x1f\x7f\\]", key):
        raise ValueError("it is s3://BUCKET/KEY, and that is no key")
    if any(part in {"", ".", ".."} for part in key.split("/")):
        raise ValueError("an s3:// key has no empty parts, no . and no ..")
    return Location(bucket, key)


def is_allowed(
    settings: Settings, project_id: uuid.UUID, project_name: str, location: Location
) -> bool:
    """Whether a project may name the object as an input."""
    if location.bucket == settings.s3_bucket:
        return location.key.startswith(f"projects/{project_id}/")
    return any(
        rule.bucket == location.bucket
        and rule.project in {None, project_name}
        and location.key.startswith(rule.prefix)
        for rule in _rules(settings)
    )


def verify(store: ObjectStore, location: Location) -> int:
    """Look whether the object is there; its size in bytes, as it is stored.

    Raises:
        FetchError: it is not, or the farm's keys do not open it.
        ServiceUnavailableError: the endpoint does not answer.
    """
    return int(_head(store, location)["ContentLength"])


def fetch(
    store: ObjectStore,
    location: Location,
    path: Path,
    *,
    max_bytes: int,
    size: int | None = None,
    sha256: str | None = None,
    wanted: Wanted = "film",
    should_stop: ShouldStop = never,
) -> None:
    """Download the object to a file, which appears when it is whole; decoded, if stored encoded.

    Raises:
        FetchError: it is gone, or too large, or not what it was when it was ordered, or no media.
        InfraError: see :meth:`ObjectStore.get_file`.
    """
    found = _head(store, location)
    there, encoding = found["ContentLength"], found.get("ContentEncoding", "")
    if there > max_bytes:
        raise FetchError(f"{location}: larger than {max_bytes} bytes")
    try:
        decoder = Decoder(encoding)
        if decoder.is_plain and size is not None and there != size:
            raise FetchError(f"{location}: it has {there} bytes now, and had {size}")
        with arriving(path) as whole:
            store.get_file(
                location.key,
                whole,
                bucket=location.bucket,
                size=there,
                sha256=sha256 if decoder.is_plain else None,
                should_stop=should_stop,
            )
            if not decoder.is_plain:
                digest = _unfold(location, decoder, whole, max_bytes, should_stop)
                if sha256 not in {None, digest} or size not in {None, whole.stat().st_size}:
                    raise ObjectDamagedError(f"{location}: it unfolds to other bytes")
            _check(location, whole, wanted)
    except EncodingError as error:
        raise FetchError(f"{location}: {error}") from None
    except (ObjectDamagedError, ObjectMissingError) as error:
        raise FetchError(f"{location}: it is not what it was when it was ordered") from error


def _head(store: ObjectStore, location: Location) -> Mapping[str, Any]:
    with translated(str(location)):
        try:
            return store.client.head_object(Bucket=location.bucket, Key=location.key)
        except ClientError as error:
            if code_of(error) in MISSING | {"NoSuchBucket"}:
                raise FetchError(f"{location}: there is no such object") from None
            if code_of(error) in _FORBIDDEN:
                raise FetchError(f"{location}: the farm's keys do not open it") from None
            raise


def _unfold(
    location: Location, decoder: Decoder, path: Path, max_bytes: int, should_stop: ShouldStop
) -> str:
    """Put what the file is encoded from into its place; its sha256."""
    digest, size = hashlib.sha256(), 0
    with (
        arriving(path) as plain,
        full_disk_told(path),
        path.open("rb") as file,
        plain.open("wb") as target,
    ):
        blocks = iter(lambda: file.read(_BLOCK), b"")
        for piece in itertools.chain.from_iterable(map(decoder.decode, blocks)):
            size += len(piece)
            if size > max_bytes:
                raise FetchError(f"{location}: larger than {max_bytes} bytes")
            if should_stop():
                raise TransferStoppedError(f"{location} broken off")
            digest.update(piece)
            target.write(piece)
        decoder.check_whole()
    return digest.hexdigest()


def _check(location: Location, path: Path, wanted: Wanted) -> None:
    with path.open("rb") as file:
        start = file.read(LOOKED_AT)
    # Of the type that is stored with it nobody can be sure: some endpoints guess it.
    check_is_media(str(location), str(location), "", start, wanted)


def _rules(settings: Settings) -> list[_Rule]:
    rules = []
    for entry in filter(None, map(str.strip, settings.s3_input_buckets.split(","))):
        project, mark, place = entry.rpartition("=")
        bucket, _, prefix = place.partition("/")
        # A prefix means a folder: "dubs" is not "dubs-of-others".
        folder = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        rules.append(_Rule(project if mark else None, bucket, folder))
    return rules
