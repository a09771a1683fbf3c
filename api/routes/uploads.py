"""Uploads straight into the bucket: a file in one PUT, or a film in parts that can be resumed."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from api.assets import asset_answer
from api.auditing import note
from api.direct_uploads import (
    PART_SECONDS,
    InParts,
    OnePut,
    arrived,
    begin_parts,
    begin_put,
    complete,
    parts_of,
    size_of_part,
    the_upload,
)
from api.errors import RefusedError
from api.farm import Farm, FarmHere, Reader, Submitter
from api.orders import parse_id
from api.times import wire_time
from infra.db.assets import get_asset
from infra.db.models import AssetUpload
from infra.db.uploads import forget_upload, list_uploads
from infra.errors import NotFoundError
from infra.storage import direct_uploads

router = APIRouter(tags=["assets"])


@router.post("/v2/assets/upload", status_code=201)
def begin_one_put(wanted: OnePut, caller: Submitter, farm: FarmHere) -> dict[str, Any]:
    """Ask where to PUT a file of up to 5 GiB; then register its ``url`` with ``POST /v2/assets``.

    The PUT needs the same ``Content-Type``, and no key.
    """
    return begin_put(farm, caller, wanted)


@router.post("/v2/assets/uploads", status_code=201)
def begin_upload(wanted: InParts, caller: Submitter, farm: FarmHere) -> dict[str, Any]:
    """Begin the upload of a film in parts of ``partSize`` bytes.

    PUT each part to its ``url``, in any order and as often as it takes; ask
    ``GET /v2/assets/uploads/{id}`` for the next ones; then complete it.
    """
    upload = begin_parts(farm, caller, wanted)
    return _answer(farm, upload, 1, 100)


@router.get("/v2/assets/uploads")
def list_under_way(
    caller: Reader,
    farm: FarmHere,
    fingerprint: Annotated[
        str | None,
        Query(
            max_length=128,
            pattern=r"^[\x21-\x7e]+$",
            description="What the client knows the file by.",
        ),
    ] = None,
) -> dict[str, Any]:
    """Uploads in parts that are under way, newest first; a hundred at most."""
    with farm.database.transaction() as session:
        uploads = list_uploads(session, caller.project_id, fingerprint=fingerprint)
    return {"items": [_summary(upload) for upload in uploads]}


@router.get("/v2/assets/uploads/{upload_id}")
def get_upload(
    upload_id: str,
    caller: Reader,
    farm: FarmHere,
    first: Annotated[
        int, Query(alias="from", ge=1, le=10_000, description="Parts from this number on.")
    ] = 1,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """What of an upload has arrived, and addresses for what has not, part by part."""
    upload = the_upload(farm, caller, _number(upload_id))
    return _answer(farm, upload, first, limit)


@router.post("/v2/assets/uploads/{upload_id}/complete", status_code=201)
def complete_upload(upload_id: str, caller: Submitter, farm: FarmHere) -> JSONResponse:
    """Make an asset of the parts; its id is the upload's."""
    number = _number(upload_id)
    try:
        upload = the_upload(farm, caller, number)
    except RefusedError:
        # Whoever asks again gets the same asset.
        return JSONResponse(_completed(farm, caller.project_id, number), 200)
    return JSONResponse(complete(farm, caller, upload), 201)


@router.delete("/v2/assets/uploads/{upload_id}", status_code=204)
def abort_upload(upload_id: str, caller: Submitter, farm: FarmHere) -> Response:
    """Give an upload up; what has arrived is deleted."""
    upload = the_upload(farm, caller, _number(upload_id))
    direct_uploads.abort(farm.store, upload.object_key, upload.upload_id or "")
    with farm.database.transaction() as session:
        forget_upload(session, caller.project_id, upload.id)
        note(session, caller, "upload.abort", upload.id)
    return Response(status_code=204)


def _completed(farm: Farm, project_id: UUID, number: UUID) -> dict[str, Any]:
    with farm.database.transaction() as session:
        try:
            return asset_answer(farm, get_asset(session, project_id, number))
        except NotFoundError:
            raise RefusedError("upload_not_found", f"there is no upload {number}") from None


def _answer(farm: Farm, upload: AssetUpload, first: int, limit: int) -> dict[str, Any]:
    parts, count = arrived(farm, upload), parts_of(upload)
    here = set(range(1, count + 1)) if parts is None else set(parts)
    missing = [number for number in range(first, count + 1) if number not in here]
    shown = missing[:limit]
    return {
        **_summary(upload),
        "receivedParts": len(here),
        "receivedBytes": sum(size_of_part(upload, number) for number in here),
        "missing": [_place(farm, upload, number) for number in shown],
        "nextPart": missing[limit] if len(missing) > limit else None,
        "expiresIn": PART_SECONDS,
    }


def _summary(upload: AssetUpload) -> dict[str, Any]:
    return {
        "id": str(upload.id),
        "name": upload.name,
        "type": upload.kind.upper(),
        "size": upload.size_bytes,
        "partSize": upload.part_bytes,
        "parts": parts_of(upload),
        "fingerprint": upload.fingerprint,
        "createdAt": wire_time(upload.created_at),
    }


def _place(farm: Farm, upload: AssetUpload, number: int) -> dict[str, Any]:
    start = (number - 1) * upload.part_bytes
    return {
        "number": number,
        "start": start,
        "end": start + size_of_part(upload, number),
        "url": direct_uploads.part_url(
            farm.store, upload.object_key, upload.upload_id or "", number, PART_SECONDS
        ),
    }


def _number(upload_id: str) -> UUID:
    return parse_id(upload_id, "upload_not_found")
