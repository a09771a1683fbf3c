"""Assets: inputs that are uploaded once and used by many generations."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import ValidationError

from api.assets import AssetQuery, Registration, asset_answer, cursor_after_asset, kind_of
from api.auditing import note
from api.bodies import media_type, read_body
from api.body_schemas import either_body, files_body, json_body, shown
from api.direct_uploads import incoming_of, register
from api.errors import RefusedError, describe_mistakes
from api.farm import Farm, FarmHere, Reader, Submitter
from api.inputs import Place, enter_asset
from api.multipart import read_form
from api.orders import parse_id, refuse_large
from api.output_names import safe_name
from api.paging import CURSOR_HEADER
from api.repeating import enter_form
from api.s3_places import allowed_to, verify_places
from api.uploads import Upload, Uploads
from infra.db.asset_lists import count_assets, list_assets
from infra.db.assets import AssetKind, InUseError, delete_asset, get_asset
from infra.db.projects import Caller
from infra.errors import InfraError, NotFoundError, ServiceUnavailableError

router = APIRouter(tags=["assets"])

#: Fields of a form that are files; the field says what the file is.
_FILES: Final[dict[str, AssetKind]] = {"video": "video", "audio": "audio", "image": "image"}

_FORM_OVERHEAD_BYTES: Final = 1 << 20
_MOST_JSON_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class _Arrived:
    """What came in: an address, or a file that is in the bucket now."""

    what: Registration | Upload
    files: Uploads


async def _read(request: Request, caller: Submitter, farm: FarmHere) -> _Arrived:
    files = Uploads(farm.store, caller.project_id, _FILES)
    if media_type(request) != "multipart/form-data":
        return _Arrived(_parse(await read_body(request, _MOST_JSON_BYTES)), files)
    return _Arrived(await _read_file(request, farm, files), files)


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
    enter_form(upload.kind, upload.name, upload.sha256)
    return upload


def _parse(body: bytes) -> Registration:
    if b"\\u0000" in body:
        raise RefusedError("request_invalid", "texts must not hold NUL characters")
    try:
        return Registration.model_validate_json(body)
    except ValidationError as error:
        raise RefusedError("request_invalid", describe_mistakes(error)) from None


@router.post(
    "/v2/assets",
    status_code=201,
    openapi_extra=either_body(
        json_body(Registration, {"url": "s3://media-in/film.mov", "type": "video"}),
        files_body({"video": "A film.", "audio": "A dialogue.", "image": "A still."}, one=True),
    ),
)
def create_asset(
    arrived: Annotated[_Arrived, Depends(_read)], caller: Submitter, farm: FarmHere
) -> JSONResponse:
    """Upload a file, as ``video``, ``audio`` or ``image`` of a multipart form; or name an address.

    The address is the ``url`` that ``POST /v2/assets/upload`` answered with, once the file is
    there; or any of the web, from which the file is fetched when it is first used; or
    ``s3://bucket/key``, which is read where it is.
    """
    what = arrived.what
    if isinstance(what, Registration) and (upload := incoming_of(farm, caller, what.url)):
        return JSONResponse(register(farm, caller, upload, what.name), 201)
    if isinstance(what, Registration):
        kind = what.type or kind_of(urlsplit(what.url).path)
        verify_places(farm, caller, [what.url])
        return JSONResponse(_enter(farm, caller, kind, what.url, what.name), 201)
    try:
        return JSONResponse(_enter(farm, caller, what.kind, what), 201)
    except ServiceUnavailableError:
        raise  # it may be committed
    except (RefusedError, InfraError):
        arrived.files.discard()
        raise


def _enter(
    farm: Farm, caller: Caller, kind: AssetKind, place: Place, name: str | None = None
) -> dict[str, Any]:
    with farm.database.transaction() as session:
        allow = allowed_to(farm, caller)
        entered = enter_asset(session, caller.project_id, kind, place, allow)
        asset = get_asset(session, caller.project_id, entered.id)
        if name is not None:
            asset.name = safe_name(name)
            session.flush()
        note(session, caller, "asset.create", asset.id, name=asset.name)
        session.refresh(asset)
        return asset_answer(farm, asset)


@router.get("/v2/assets/{asset_id}")
def get_one(asset_id: str, caller: Reader, farm: FarmHere) -> dict[str, Any]:
    """An asset, with an address to download it from."""
    with farm.database.transaction() as session, _found(asset_id):
        return asset_answer(farm, get_asset(session, caller.project_id, _number(asset_id)))


@router.get(
    "/v2/assets/{asset_id}/download",
    response_class=PlainTextResponse,
    responses=shown({"text/plain": "https://bucket.example/harbour.mov?X-Amz-Signature=…"}),
)
def get_address(asset_id: str, caller: Reader, farm: FarmHere) -> PlainTextResponse:
    """The address to download an asset from, as plain text; it needs no key, for an hour."""
    return PlainTextResponse(get_one(asset_id, caller, farm)["url"])


@router.delete("/v2/assets/{asset_id}", status_code=204)
def delete(asset_id: str, caller: Submitter, farm: FarmHere) -> Response:
    """Forget an asset, and its file if the farm has it; refused while a generation has it."""
    with farm.database.transaction() as session, _found(asset_id):
        try:
            key = delete_asset(session, caller.project_id, _number(asset_id))
        except InUseError as error:
            raise RefusedError("asset_in_use", str(error)) from None
        note(session, caller, "asset.delete", asset_id)
    if key is not None:
        # What cannot be deleted now is collected later.
        with contextlib.suppress(InfraError):
            farm.store.delete([key])
    return Response(status_code=204)


@router.get("/v2/assets")
def list_all(
    response: Response, caller: Reader, farm: FarmHere, query: Annotated[AssetQuery, Query()]
) -> dict[str, Any]:
    """A page of the project's assets; ``totalCount`` comes with the first one."""
    page = query.page()
    with farm.database.transaction() as session:
        assets = list_assets(session, caller.project_id, page)
        total = count_assets(session, caller.project_id, page) if page.after is None else None
    following = None
    if len(assets) > query.limit:
        assets = assets[: query.limit]
        following = cursor_after_asset(assets[-1], query.sortBy)
        response.headers[CURSOR_HEADER] = following
    return {
        "items": [asset_answer(farm, asset) for asset in assets],
        "nextCursor": following,
        "totalCount": total,
    }


def _number(asset_id: str) -> UUID:
    return parse_id(asset_id, "asset_not_found")


@contextlib.contextmanager
def _found(asset_id: str) -> Iterator[None]:
    try:
        yield
    except NotFoundError:
        raise RefusedError("asset_not_found", f"there is no asset {asset_id[:100]}") from None
