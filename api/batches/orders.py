"""A batch as it comes in: its file on disk, and what is said beside it."""

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from api.batches.manifests import FIELD, Manifest, ManifestSink
from api.bodies import media_type
from api.errors import RefusedError, describe_mistakes
from api.farm import FarmHere, Submitter
from api.multipart import read_form
from api.orders import idempotency_key, refuse_large
from api.requests import MAX_URL_LENGTH, Name, check_url, check_webhook

_FORM_OVERHEAD_BYTES = 1 << 20


class BatchFields(BaseModel):
    """What stands beside a batch's file.

    Attributes:
        webhook_url: told when the batch ends.
        dry_run: only check.
        partial: whether rows that can be used run when others cannot. A catalogue does unless told
            otherwise; a lip-sync client's file does not, as its client expects.
        kind: of the rows; seen from the first unless given.
        name: for people; the file's unless given.
    """

    model_config = ConfigDict(extra="forbid")

    webhook_url: Annotated[str, Field(max_length=MAX_URL_LENGTH)] | None = None
    dry_run: bool = False
    partial: bool | None = None
    kind: Literal["requests", "catalogue"] | None = None
    name: Name | None = None

    @field_validator("webhook_url")
    @classmethod
    def _is_a_webhook(cls, value: str | None) -> str | None:
        return None if value is None else check_url(value)


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """A batch with its file.

    Attributes:
        digest: by which two batches with one idempotency key are told apart.
    """

    fields: BatchFields
    manifest: Manifest
    idempotency_key: str | None
    digest: str


async def read_batch_order(request: Request, _caller: Submitter, farm: FarmHere) -> BatchOrder:
    """Take a batch's file to the disk, and what stands beside it.

    Raises:
        RefusedError: it cannot be read, or is too large.
    """
    key = idempotency_key(request)
    if media_type(request) != "multipart/form-data":
        raise RefusedError(
            "content_type_unsupported", f"send multipart/form-data with the file as {FIELD}"
        )
    refuse_large(request, farm.settings.max_batch_bytes + _FORM_OVERHEAD_BYTES)
    opened: list[ManifestSink] = []

    def open_sink(field: str, name: str) -> ManifestSink:
        if field != FIELD or opened:
            raise RefusedError("request_invalid", f"{field}: a batch is one file, sent as {FIELD}")
        opened.append(ManifestSink(name or "batch", farm.settings))
        return opened[0]

    try:
        form = await read_form(request.headers["content-type"], request.stream(), open_sink)
        if FIELD not in form.files:
            raise RefusedError("request_invalid", f"there is no file {FIELD}")
        fields = _fields(form.fields)
        check_webhook(farm.settings, "webhook_url", fields.webhook_url)
    except BaseException:
        for sink in opened:
            await run_in_threadpool(sink.abort)
        raise
    manifest = form.files[FIELD]
    return BatchOrder(fields, manifest, key, _digest(fields, manifest))


BatchOrderIn = Annotated[BatchOrder, Depends(read_batch_order)]


def _fields(given: dict[str, list[str]]) -> BatchFields:
    try:
        return BatchFields.model_validate(
            {name: values[-1] for name, values in given.items() if values[-1] != ""}
        )
    except ValidationError as error:
        raise RefusedError("request_invalid", describe_mistakes(error)) from None


def _digest(fields: BatchFields, manifest: Manifest) -> str:
    essence = [fields.model_dump(mode="json", exclude={"dry_run"}), manifest.sha256]
    return hashlib.sha256(json.dumps(essence, sort_keys=True).encode()).hexdigest()
