"""Uploads that go from a client straight into the bucket, part by part, over days if need be.

The farm signs an address for each part, and the bucket alone knows which have arrived: a client
that was away asks, and sends the rest.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from infra.errors import ObjectMissingError
from infra.storage.endpoint import translated
from infra.storage.objects import ObjectStore

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import CompletedPartTypeDef

_MEBIBYTE: Final = 1 << 20
_LEAST_PART_BYTES: Final = 16 * _MEBIBYTE

#: S3 takes ten thousand.
_MOST_PARTS: Final = 9_000


@dataclass(frozen=True, slots=True)
class Part:
    """A part that has arrived; ``number`` counts from 1."""

    number: int
    size: int
    etag: str


def part_bytes(size: int) -> int:
    """How large the parts of a file should be, in whole mebibytes; the last one is smaller."""
    least = -(-size // _MOST_PARTS)
    return max(_LEAST_PART_BYTES, -(-least // _MEBIBYTE) * _MEBIBYTE)


def begin(store: ObjectStore, key: str) -> str:
    """Begin an upload; the bucket's id of it.

    Raises:
        ServiceUnavailableError: the bucket does not answer.
    """
    with translated(key):
        begun = store.client.create_multipart_upload(Bucket=store.bucket, Key=key)
    return begun["UploadId"]


def part_url(store: ObjectStore, key: str, upload_id: str, number: int, seconds: int) -> str:
    """A URL anyone may PUT that part to, for a while."""
    return store.public_client.generate_presigned_url(
        "upload_part",
        Params={
            "Bucket": store.bucket,
            "Key": key,
            "UploadId": upload_id,
            "PartNumber": number,
        },
        ExpiresIn=seconds,
    )


def arrived_parts(store: ObjectStore, key: str, upload_id: str) -> dict[int, Part]:
    """The parts the bucket has, by number.

    Raises:
        ObjectMissingError: the upload is finished, or was aborted.
        ServiceUnavailableError: the bucket does not answer.
    """
    pages = store.client.get_paginator("list_parts")
    with translated(key):
        return {
            part["PartNumber"]: Part(part["PartNumber"], part["Size"], part["ETag"])
            for page in pages.paginate(Bucket=store.bucket, Key=key, UploadId=upload_id)
            for part in page.get("Parts", ())
        }


def finish(store: ObjectStore, key: str, upload_id: str, parts: Mapping[int, Part]) -> None:
    """Make the parts one object.

    Raises:
        ObjectMissingError: somebody else finished it, or aborted it.
        ServiceUnavailableError: the bucket does not answer.
    """
    named: list[CompletedPartTypeDef] = [
        {"PartNumber": number, "ETag": parts[number].etag} for number in sorted(parts)
    ]
    with translated(key):
        store.client.complete_multipart_upload(
            Bucket=store.bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": named}
        )


def abort(store: ObjectStore, key: str, upload_id: str) -> None:
    """Delete what has arrived; that it is gone already is no mistake."""
    with contextlib.suppress(ObjectMissingError), translated(key):
        store.client.abort_multipart_upload(Bucket=store.bucket, Key=key, UploadId=upload_id)
