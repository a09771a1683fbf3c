"""Inputs that lie in a bucket of the farm's owner: which are allowed, and reading them.

They are read with the farm's own keys, so what may be named is a list, by project if need be. Of
the farm's own bucket a project may name what is its own, and nothing else whatever the list says.
"""

import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from botocore.exceptions import ClientError

from infra.errors import FetchError, ObjectDamagedError, ObjectMissingError
from infra.settings import Settings
from infra.storage.endpoint import MISSING, code_of, translated
from infra.storage.objects import ObjectStore
from infra.storage.stopping import ShouldStop, never

SCHEME: Final = "s3://"

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_FORBIDDEN: Final = frozenset({"403", "AccessDenied", "Forbidden"})
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
    """Look whether the object is there; its size in bytes.

    Raises:
        FetchError: it is not, or the farm's keys do not open it.
        ServiceUnavailableError: the endpoint does not answer.
    """
    with translated(str(location)):
        try:
            found = store.client.head_object(Bucket=location.bucket, Key=location.key)
        except ClientError as error:
            if code_of(error) in MISSING | {"NoSuchBucket"}:
                raise FetchError(f"{location}: there is no such object") from None
            if code_of(error) in _FORBIDDEN:
                raise FetchError(f"{location}: the farm's keys do not open it") from None
            raise
    return found["ContentLength"]


def fetch(
    store: ObjectStore,
    location: Location,
    path: Path,
    *,
    max_bytes: int,
    size: int | None = None,
    sha256: str | None = None,
    should_stop: ShouldStop = never,
) -> None:
    """Download the object to a file, which appears when it is whole.

    Raises:
        FetchError: it is gone, or too large, or not what it was when it was ordered.
        InfraError: see :meth:`ObjectStore.get_file`.
    """
    there = verify(store, location)
    if there > max_bytes:
        raise FetchError(f"{location}: larger than {max_bytes} bytes")
    if size is not None and there != size:
        raise FetchError(f"{location}: it has {there} bytes now, and had {size}")
    try:
        store.get_file(
            location.key,
            path,
            bucket=location.bucket,
            size=there,
            sha256=sha256,
            should_stop=should_stop,
        )
    except (ObjectDamagedError, ObjectMissingError) as error:
        raise FetchError(f"{location}: it is not what it was when it was ordered") from error


def _rules(settings: Settings) -> list[_Rule]:
    rules = []
    for entry in filter(None, map(str.strip, settings.s3_input_buckets.split(","))):
        project, mark, place = entry.rpartition("=")
        bucket, _, prefix = place.partition("/")
        # A prefix means a folder: "dubs" is not "dubs-of-others".
        folder = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        rules.append(_Rule(project if mark else None, bucket, folder))
    return rules
