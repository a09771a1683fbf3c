"""Files clients put into the bucket by themselves: in one go, or in parts over days."""

import contextlib
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field, field_validator

from api.assets import asset_answer, kind_of
from api.auditing import note
from api.errors import RefusedError
from api.farm import Farm
from api.output_names import safe_name
from api.requests import Name
from infra.db.assets import AssetKind
from infra.db.models import AssetUpload
from infra.db.projects import Caller
from infra.db.uploads import NewUpload, become_asset, create_upload, get_upload
from infra.errors import InfraError, NotFoundError, ObjectMissingError
from infra.storage import direct_uploads
from infra.storage.direct_uploads import Part
from infra.storage.names import asset_key, incoming_key

#: How long the address of one PUT works.
PUT_SECONDS: Final = 3600

#: How long those of parts do: a page of them at ten megabits a second.
PART_SECONDS: Final = 6 * 3600

#: What S3 takes in one PUT.
_MOST_PUT_BYTES: Final = 5 << 30

_Size = Field(gt=0, le=2**63 - 1, description="Of the file, in bytes.")


class OnePut(BaseModel):
    """A file that will come in one PUT."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"fileName": "film.mp4", "contentType": "video/mp4", "size": 8388608}]
        },
    )

    fileName: Name  # noqa: N815 -- the wire's name
    contentType: str = Field(  # noqa: N815 -- the wire's name
        max_length=100, pattern=r"^[\x21-\x7e]+/[\x20-\x7e]+$", description="The PUT's header."
    )
    size: int = _Size


class InParts(BaseModel):
    """A file that will come in parts."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "film.mov", "size": 120000000000}]},
    )

    name: Name
    type: AssetKind | None = Field(None, description="By the name's extension, unless given.")
    size: int = _Size
    fingerprint: str | None = Field(
        None,
        max_length=128,
        pattern=r"^[\x21-\x7e]+$",
        description="Your own, by which you know the file again when you go on.",
    )

    @field_validator("type", mode="before")
    @classmethod
    def _in_any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value


def begin_put(farm: Farm, caller: Caller, wanted: OnePut) -> dict[str, Any]:
    """Where one PUT may go, and the address to register then.

    Raises:
        RefusedError: the file is too large for it, or of no kind the farm takes.
    """
    _refuse_large(farm, wanted.size)
    if wanted.size > _MOST_PUT_BYTES:
        raise RefusedError(
            "request_too_large", "one PUT takes 5 GiB; use POST /v2/assets/uploads for more"
        )
    upload_id, name = uuid4(), safe_name(wanted.fileName)
    key = incoming_key(caller.project_id, upload_id, name)
    kind = kind_of(name, wanted.contentType)
    new = NewUpload(upload_id, kind, name, key, wanted.size, None, wanted.size)
    with farm.database.transaction() as session:
        create_upload(session, caller.project_id, new)
        note(session, caller, "upload.begin", upload_id, name=name)
    url = farm.store.presigned_put(key, PUT_SECONDS, content_type=wanted.contentType)
    return {"uploadUrl": url, "url": farm.store.address_of(key), "expiresIn": PUT_SECONDS}


def incoming_of(farm: Farm, caller: Caller, url: str) -> UUID | None:
    """The caller's upload that an address is of, if it is of one."""
    mine = farm.store.address_of(f"projects/{caller.project_id}/incoming/")
    if not url.startswith(mine):
        return None
    with contextlib.suppress(ValueError):
        return UUID(unquote(url.removeprefix(mine)).partition("/")[0])
    return None


def register(farm: Farm, caller: Caller, upload_id: UUID, name: str | None) -> dict[str, Any]:
    """The asset that an uploaded file is; registered twice, it is the same one.

    Raises:
        RefusedError: the file is not there, or not as large as was said.
    """
    with farm.database.transaction() as session:
        upload = session.get(AssetUpload, upload_id)
    key = None
    if upload is not None and upload.project_id == caller.project_id:
        _require_size(farm, upload)
        # The address to PUT to works on for a while; nobody can overwrite the copy.
        key = asset_key(caller.project_id, upload.id, upload.name)
        farm.store.copy(upload.object_key, key)
    answer = _become(farm, caller, upload_id, None if name is None else safe_name(name), key)
    if upload is not None:
        # What cannot be deleted now is collected later.
        with contextlib.suppress(InfraError):
            farm.store.delete([upload.object_key])
    return answer


def begin_parts(farm: Farm, caller: Caller, wanted: InParts) -> AssetUpload:
    """Begin an upload in parts.

    Raises:
        RefusedError: the file is too large, or of no kind the farm takes.
    """
    _refuse_large(farm, wanted.size)
    upload_id, name = uuid4(), safe_name(wanted.name)
    key = asset_key(caller.project_id, upload_id, name)
    new = NewUpload(
        upload_id,
        wanted.type or kind_of(name),
        name,
        key,
        wanted.size,
        direct_uploads.begin(farm.store, key),
        direct_uploads.part_bytes(wanted.size),
        wanted.fingerprint,
    )
    with farm.database.transaction() as session:
        note(session, caller, "upload.begin", new.id, name=new.name)
        return create_upload(session, caller.project_id, new)


def the_upload(farm: Farm, caller: Caller, upload_id: UUID) -> AssetUpload:
    """An upload in parts that is under way.

    Raises:
        RefusedError: the caller's project has none of that id.
    """
    with farm.database.transaction() as session:
        try:
            upload = get_upload(session, caller.project_id, upload_id)
        except NotFoundError:
            upload = None
    if upload is None or upload.upload_id is None:
        raise RefusedError("upload_not_found", f"there is no upload {upload_id} under way")
    return upload


def arrived(farm: Farm, upload: AssetUpload) -> dict[int, Part] | None:
    """The parts that have arrived whole; None if they are one object already.

    Raises:
        RefusedError: the bucket knows nothing of the upload.
    """
    key, in_bucket = upload.object_key, upload.upload_id or ""
    try:
        parts = direct_uploads.arrived_parts(farm.store, key, in_bucket)
    except ObjectMissingError:
        if farm.store.exists(key):
            return None
        raise RefusedError("upload_not_found", "the bucket gave the upload up") from None
    return {n: part for n, part in parts.items() if part.size == size_of_part(upload, n)}


def parts_of(upload: AssetUpload) -> int:
    """How many parts the file has."""
    return -(-upload.size_bytes // upload.part_bytes)


def size_of_part(upload: AssetUpload, number: int) -> int:
    """Bytes of a part; there is none behind the last."""
    return min(upload.part_bytes, upload.size_bytes - (number - 1) * upload.part_bytes)


def complete(farm: Farm, caller: Caller, upload: AssetUpload) -> dict[str, Any]:
    """Make the parts an asset; completed twice, or after a crash, it is the same one.

    Raises:
        RefusedError: not all have arrived.
    """
    parts = arrived(farm, upload)
    if parts is not None:
        if (missing := parts_of(upload) - len(parts)) > 0:
            raise RefusedError("upload_incomplete", f"{missing} of {parts_of(upload)} parts miss")
        _finish(farm, upload, parts)
    _require_size(farm, upload)
    return _become(farm, caller, upload.id)


def _finish(farm: Farm, upload: AssetUpload, parts: Mapping[int, Part]) -> None:
    # Missing: another request finished it meanwhile.
    with contextlib.suppress(ObjectMissingError):
        direct_uploads.finish(farm.store, upload.object_key, upload.upload_id or "", parts)


def _require_size(farm: Farm, upload: AssetUpload) -> None:
    try:
        size = farm.store.head(upload.object_key).size
    except ObjectMissingError:
        raise RefusedError("upload_incomplete", "the file has not arrived") from None
    if size != upload.size_bytes:
        raise RefusedError(
            "upload_incomplete", f"{size} bytes have arrived; there should be {upload.size_bytes}"
        )


def _become(
    farm: Farm, caller: Caller, upload_id: UUID, name: str | None = None, key: str | None = None
) -> dict[str, Any]:
    with farm.database.transaction() as session:
        try:
            asset = become_asset(session, caller.project_id, upload_id, name=name, object_key=key)
        except NotFoundError:
            raise RefusedError("upload_not_found", f"there is no upload {upload_id}") from None
        note(session, caller, "asset.create", asset.id, name=asset.name)
        return asset_answer(farm, asset)


def _refuse_large(farm: Farm, size: int) -> None:
    limit = farm.settings.max_upload_bytes
    if size > limit:
        raise RefusedError(
            "request_too_large", f"{size / 1e9:.1f} GB are more than the {limit / 1e9:g} GB taken"
        )
