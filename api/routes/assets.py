"""Assets: inputs that are uploaded once and used by many generations."""

from pathlib import PurePosixPath
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from api.bodies import media_type, read_body
from api.errors import RefusedError, describe_mistakes
from api.farm import Farm, FarmHere, Reader, Submitter
from api.inputs import Place, enter_asset
from api.multipart import read_form
from api.orders import parse_id, refuse_large
from api.paging import CURSOR_HEADER, Cursor, cursor_after, parse_cursor
from api.requests import MAX_URL_LENGTH, check_url
from api.uploads import Upload, Uploads
from infra.db.assets import AssetKind, get_asset, list_assets
from infra.db.models import Asset
from infra.errors import InfraError, NotFoundError, ServiceUnavailableError

router = APIRouter(tags=["assets"])

#: Fields of a form that are files; the field says what the file is.
_FILES: Final[dict[str, AssetKind]] = {"video": "video", "audio": "audio", "image": "image"}

_FORM_OVERHEAD_BYTES: Final = 1 << 20
_MOST_JSON_BYTES: Final = 64 << 10

#: How long the address of an asset works.
_URL_SECONDS: Final = 3600


class _Registration(BaseModel):
    """An asset that is fetched when it is first used."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=MAX_URL_LENGTH)
    type: AssetKind

    @field_validator("type", mode="before")
    @classmethod
    def _in_any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("url")
    @classmethod
    def _is_fetchable(cls, value: str) -> str:
        return check_url(value)


class _Arrived:
    """What came in: a file in the bucket, or a URL."""

    def __init__(self, kind: AssetKind, place: Place, files: Uploads) -> None:
        self.kind, self.place, self.files = kind, place, files


async def _read(request: Request, caller: Submitter, farm: FarmHere) -> _Arrived:
    files = Uploads(farm.store, caller.project_id, _FILES)
    if media_type(request) != "multipart/form-data":
        wanted = _parse(await read_body(request, _MOST_JSON_BYTES))
        return _Arrived(wanted.type, wanted.url, files)
    upload = await _read_file(request, farm, files)
    return _Arrived(upload.kind, upload, files)


async def _read_file(request: Request, farm: Farm, files: Uploads) -> Upload:
    limit = farm.settings.max_upload_bytes
    refuse_large(request, limit + _FORM_OVERHEAD_BYTES)
    try:
        form = await read_form(
            request.headers["content-type"],
            request.stream(),
            lambda field, name: files.open(field, name, limit),
        )
        if len(form.files) != 1 or form.fields:
            raise RefusedError(
                "request_invalid", f"send one file, as one of the fields {', '.join(_FILES)}"
            )
    except BaseException:
        await run_in_threadpool(files.discard)
        raise
    (upload,) = form.files.values()
    return upload


def _parse(body: bytes) -> _Registration:
    try:
        return _Registration.model_validate_json(body)
    except ValidationError as error:
        raise RefusedError("request_invalid", describe_mistakes(error)) from None


@router.post("/v2/assets", status_code=201)
def create_asset(
    arrived: Annotated[_Arrived, Depends(_read)], caller: Submitter, farm: FarmHere
) -> JSONResponse:
    """Upload a file, as ``video``, ``audio`` or ``image`` of a multipart form; or name a URL."""
    try:
        with farm.database.transaction() as session:
            entered = enter_asset(session, caller.project_id, arrived.kind, arrived.place)
            asset = get_asset(session, caller.project_id, entered.id)
            session.refresh(asset)
            answer = _answer(farm, asset)
    except ServiceUnavailableError:
        raise  # it may be committed
    except InfraError:
        arrived.files.discard()
        raise
    return JSONResponse(answer, 201)


@router.get("/v2/assets/{asset_id}")
def get_one(asset_id: str, caller: Reader, farm: FarmHere) -> dict[str, Any]:
    """An asset, with an address to download it from."""
    number: UUID = parse_id(asset_id, "asset_not_found")
    with farm.database.transaction() as session:
        try:
            return _answer(farm, get_asset(session, caller.project_id, number))
        except NotFoundError:
            raise RefusedError("asset_not_found", f"there is no asset {asset_id}") from None


@router.get("/v2/assets")
def list_all(
    response: Response,
    caller: Reader,
    farm: FarmHere,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> dict[str, Any]:
    """A page of the project's assets, newest first."""
    after = parse_cursor(cursor)
    with farm.database.transaction() as session:
        assets = list_assets(session, caller.project_id, after=after, limit=limit + 1)
    following = None
    if len(assets) > limit:
        assets = assets[:limit]
        following = cursor_after(Cursor(assets[-1].created_at, assets[-1].id))
        response.headers[CURSOR_HEADER] = following
    return {"items": [_answer(farm, asset) for asset in assets], "nextCursor": following}


def _answer(farm: Farm, asset: Asset) -> dict[str, Any]:
    url = asset.source_url
    if asset.object_key is not None:
        url = farm.store.presigned_get(asset.object_key, asset.name, _URL_SECONDS)
    created = asset.created_at.isoformat().replace("+00:00", "Z")
    return {
        "id": str(asset.id),
        "createdAt": created,
        "updatedAt": created,
        "name": asset.name,
        "url": url,
        "size": asset.size_bytes,
        "format": PurePosixPath(asset.name).suffix.lstrip(".").lower() or None,
        "type": asset.kind.upper(),
        "inputType": "URL" if asset.source_url is not None else "UPLOAD",
        "visibility": "ORGANIZATION",
        "sha256": asset.sha256,
    }
