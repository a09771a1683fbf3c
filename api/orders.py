"""An order as it comes in, read before the endpoint runs: fields checked, files in the bucket."""

from dataclasses import dataclass, field
from typing import Annotated, Final
from uuid import UUID

from anyio import CancelScope
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from api.bodies import (
    digest_of,
    fields_of,
    media_type,
    order_from_fields,
    order_from_json,
    read_body,
)
from api.errors import RefusedError
from api.farm import Farm, FarmHere, Submitter
from api.inputs import choose_inputs
from api.multipart import read_form
from api.requests import IDEMPOTENCY_KEY, GenerationRequest, check_webhook
from api.uploads import Upload, Uploads
from infra.db.assets import AssetKind

#: Fields of a form that are files.
FILES: Final[dict[str, AssetKind]] = {"video": "video", "audio": "audio"}

#: Beside its files, what a form may hold.
_FORM_OVERHEAD_BYTES: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class Order:
    """What a client wants, and what it sent with it.

    Attributes:
        request: the checked fields.
        uploads: files by field, in the bucket, not yet in the database.
        idempotency_key: as sent.
        digest: by which two orders with one key are told apart.
    """

    request: GenerationRequest
    idempotency_key: str | None
    digest: str
    files: Uploads
    uploads: dict[str, Upload] = field(default_factory=dict)


async def read_order(request: Request, caller: Submitter, farm: FarmHere) -> Order:
    """Read the body, whatever its kind.

    Raises:
        RefusedError: it cannot be read, or an order in it cannot be right.
    """
    key = idempotency_key(request)
    kind = media_type(request)
    files = Uploads(farm.store, caller.project_id, FILES)
    if kind == "multipart/form-data":
        return await _read_with_files(request, farm, key, files)
    if kind == "application/x-www-form-urlencoded":
        wanted = order_from_fields(fields_of(await read_body(request)))
    elif kind in {"application/json", ""}:
        wanted = order_from_json(await read_body(request))
    else:
        raise RefusedError("content_type_unsupported", f"the body is {kind}")
    check_webhook(farm.settings, "webhookUrl", wanted.webhookUrl)
    return Order(wanted, key, digest_of(wanted, {}), files)


OrderIn = Annotated[Order, Depends(read_order)]


def idempotency_key(request: Request) -> str | None:
    """The ``Idempotency-Key`` of a request.

    Raises:
        RefusedError: it is none.
    """
    key = request.headers.get("idempotency-key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise RefusedError(
            "request_invalid", "Idempotency-Key: it is 1 to 128 of the characters A-Za-z0-9._~-"
        )
    return key


def refuse_large(request: Request, limit: int) -> None:
    """Refuse what says beforehand that it is too large.

    Raises:
        RefusedError: it is.
    """
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > limit:
        raise RefusedError(
            "request_too_large", f"{int(length) / 1e9:.1f} GB are more than the farm takes"
        )


async def _read_with_files(request: Request, farm: Farm, key: str | None, files: Uploads) -> Order:
    limit = farm.settings.max_upload_bytes
    refuse_large(request, len(FILES) * limit + _FORM_OVERHEAD_BYTES)
    try:
        form = await read_form(
            request.headers["content-type"],
            request.stream(),
            lambda name, file_name: files.open(name, file_name, limit),
        )
        wanted = order_from_fields(form.fields)
        check_webhook(farm.settings, "webhookUrl", wanted.webhookUrl)
        choose_inputs(wanted, form.files)
    except BaseException:
        with CancelScope(shield=True):
            await run_in_threadpool(files.discard)
        raise
    named = {name: (file.name, file.sha256) for name, file in form.files.items()}
    return Order(wanted, key, digest_of(wanted, named), files, form.files)


def parse_id(text: str, code: str) -> UUID:
    """An id from a path; what is no id names nothing.

    Raises:
        RefusedError: it is none; as if there were no such thing.
    """
    try:
        return UUID(text)
    except ValueError:
        raise RefusedError(code, f"{text[:100]!r} is no id") from None
