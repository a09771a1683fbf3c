"""In and out of the dashboard: an API key for a cookie that holds none.

The cookie has 256 random bits, of which the farm keeps a hash. Scripts cannot read it, no other
site can have it sent, and it ends after a working day or with its key.
"""

from typing import Annotated, Final
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict, ValidationError

from api.auditing import note
from api.body_schemas import json_body
from api.errors import RefusedError, describe_mistakes
from api.farm import COOKIE, Farm, FarmHere, Visitor
from api.limits import FAILED_SIGN_INS
from api.same_origin import is_cross_origin
from api.times import wire_time
from infra.db.projects import Caller, authenticate
from infra.db.sign_ins import LIFETIME, NewSignIn, sign_in, sign_out
from infra.logs import get_logger

router = APIRouter(tags=["dashboard"])

#: Where the dashboard begins, and its door.
HOME: Final = "/dashboard"
DOOR: Final = "/dashboard/sign-in"

_MOST_BYTES: Final = 4096

_log = get_logger(__name__)


class _Entry(BaseModel):
    """What is said at the door."""

    model_config = ConfigDict(extra="ignore")

    key: str
    #: A page of the dashboard to go to.
    next: str = HOME


async def _entry(request: Request) -> tuple[_Entry, bool]:
    """What was sent, and whether by a form."""
    if is_cross_origin(request):
        raise RefusedError("forbidden", "the request was made by a page of another origin")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            raise RefusedError("request_too_large")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            return _Entry.model_validate_json(bytes(body)), False
        if kind == "application/x-www-form-urlencoded":
            fields = parse_qs(body.decode(), max_num_fields=10)
            return _Entry.model_validate({name: values[0] for name, values in fields.items()}), True
    except ValidationError as error:
        raise RefusedError("request_invalid", describe_mistakes(error)) from None
    except ValueError:
        raise RefusedError("request_invalid", "the form cannot be read") from None
    raise RefusedError("content_type_unsupported", "send JSON or a form")


@router.post(
    "/dashboard/sign-in",
    response_model=None,
    openapi_extra=json_body(_Entry, {"key": "lf_…"}),
)
async def enter(
    request: Request, farm: FarmHere, entry: Annotated[tuple[_Entry, bool], Depends(_entry)]
) -> Response:
    """Show a key, as JSON or a form with ``key`` and ``next``; get the dashboard's cookie.

    A form is answered with a redirect: to ``next``, or back to the door with ``refused=CODE``.
    """
    said, is_form = entry
    address = request.client.host if request.client else "unknown"
    try:
        caller, made = await run_in_threadpool(_exchange, farm, said.key, address)
    except RefusedError as error:
        if not is_form:
            raise
        query = urlencode({"refused": error.code, "next": _page(said.next)})
        return RedirectResponse(f"{DOOR}?{query}", 303)
    answer: Response
    if is_form:
        answer = RedirectResponse(_page(said.next), 303)
    else:
        answer = JSONResponse(
            {
                "project": caller.project_name,
                "scopes": list(caller.scopes),
                "expiresAt": wire_time(made.expires_at),
            }
        )
    answer.set_cookie(
        COOKIE,
        made.secret,
        max_age=int(LIFETIME.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/dashboard/sign-out", status_code=303, response_model=None)
def leave(request: Request, visitor: Visitor, farm: FarmHere) -> Response:
    """End the sign-in; the cookie is worthless from now on."""
    if visitor is not None and visitor.sign_in_id is not None:
        with farm.database.transaction() as session:
            sign_out(session, visitor.sign_in_id)
            note(session, visitor, "dashboard.sign_out")
    answer = RedirectResponse(DOOR, 303)
    answer.delete_cookie(
        COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )
    return answer


def _exchange(farm: Farm, key: str, address: str) -> tuple[Caller, NewSignIn]:
    standing = farm.limits.look(FAILED_SIGN_INS, address)
    if standing is not None and standing.is_over:
        raise RefusedError("rate_limit_exceeded", "too many wrong keys", headers=standing.headers())
    with farm.database.transaction() as session:
        caller = authenticate(session, key)
        if caller is not None:
            note(session, caller, "dashboard.sign_in")
            return caller, sign_in(session, caller)
    farm.limits.hit(FAILED_SIGN_INS, address)
    _log.warning("sign_in.refused", address=address)
    raise RefusedError("unauthorized", "the API key is unknown, expired or revoked")


def _page(asked: str) -> str:
    """A page of the dashboard and nothing else, whatever is asked for."""
    is_ours = asked == HOME or asked.startswith((f"{HOME}/", f"{HOME}?"))
    return asked if is_ours and asked.isprintable() and "\\" not in asked else HOME
