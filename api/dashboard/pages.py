"""The pages of the dashboard, each for whoever is signed in; others are led to the door."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import Scope

from api.farm import Farm, FarmHere, Visitor, allows
from api.sign_in import DOOR, HOME
from infra.db.projects import Caller
from infra.settings import Settings

router = APIRouter(include_in_schema=False)

STATIC: Final = "/dashboard/static"

_HERE: Final = Path(__file__).parent
_templates: Final = Jinja2Templates(_HERE / "templates")

#: Of S3 itself, where no endpoint is set.
_AWS: Final = "https://*.amazonaws.com"

#: What is said at the door, by the code of the refusal.
_REFUSALS: Final = {
    "unauthorized": "That key is unknown, expired or revoked.",
    "rate_limit_exceeded": "Too many wrong keys. Wait a minute, then try again.",
}


class Assets(StaticFiles):
    """Styles and scripts; browsers ask each time whether theirs are still good."""

    def __init__(self) -> None:
        """Serve the folder beside this module."""
        super().__init__(directory=_HERE / "static")

    async def get_response(self, path: str, scope: Scope) -> Response:
        """One file."""
        answer = await super().get_response(path, scope)
        # Modules name each other without a version; after an upgrade all must be new at once.
        answer.headers["cache-control"] = "no-cache"
        return answer


@router.get("/")
def root() -> RedirectResponse:
    """Lead to the dashboard."""
    return RedirectResponse(HOME, 307)


@router.get(DOOR)
def door(
    request: Request,
    visitor: Visitor,
    farm: FarmHere,
    refused: Annotated[str, Query(max_length=100)] = "",
    page: Annotated[str, Query(alias="next", max_length=2000)] = HOME,
) -> Response:
    """Where a key is shown."""
    if visitor is not None and not refused:
        return RedirectResponse(HOME, 303)
    message = _REFUSALS.get(refused, "The key was not accepted.") if refused else ""
    shown = {"next": page, "refusal": message}
    return _answer(request, farm, "sign_in.html", shown)


@router.get(HOME)
def jobs(request: Request, visitor: Visitor, farm: FarmHere) -> Response:
    """All jobs, those that need a person first."""
    return _page(request, visitor, farm, "jobs")


@router.get("/dashboard/submit")
def submit(request: Request, visitor: Visitor, farm: FarmHere) -> Response:
    """Order a dub from here."""
    return _page(request, visitor, farm, "submit")


@router.get("/dashboard/jobs/{generation_id}")
def job(request: Request, visitor: Visitor, farm: FarmHere, generation_id: str) -> Response:
    """One job."""
    return _page(request, visitor, farm, "job", subject=generation_id)


@router.get("/dashboard/batches")
def batches(request: Request, visitor: Visitor, farm: FarmHere) -> Response:
    """All batches."""
    return _page(request, visitor, farm, "batches")


@router.get("/dashboard/batches/{batch_id}")
def batch(request: Request, visitor: Visitor, farm: FarmHere, batch_id: str) -> Response:
    """One batch: titles and languages."""
    return _page(request, visitor, farm, "batch", subject=batch_id)


@router.get("/dashboard/workers")
def workers(request: Request, visitor: Visitor, farm: FarmHere) -> Response:
    """Who works."""
    return _page(request, visitor, farm, "workers")


@router.get("/dashboard/farm")
def the_farm(request: Request, visitor: Visitor, farm: FarmHere) -> Response:
    """Queues and throughput."""
    return _page(request, visitor, farm, "farm")


@router.get("/dashboard/webhooks")
def webhooks(request: Request, visitor: Visitor, farm: FarmHere) -> Response:
    """What was sent to whom, and whether it arrived."""
    return _page(request, visitor, farm, "webhooks")


@router.get("/dashboard/audit")
def audit(request: Request, visitor: Visitor, farm: FarmHere) -> Response:
    """Who did what, and the keys; for keys that may administer."""
    return _page(request, visitor, farm, "audit")


def content_security_policy(settings: Settings) -> str:
    """Our own files alone; pictures, films and uploads also from and to the bucket's address."""
    endpoint = settings.s3_public_endpoint_url or settings.s3_endpoint_url
    bucket = "{0.scheme}://{0.netloc}".format(urlsplit(endpoint)) if endpoint else _AWS
    return "; ".join(
        (
            "default-src 'self'",
            f"img-src 'self' data: {bucket}",
            f"media-src 'self' {bucket}",
            f"connect-src 'self' {bucket}",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def _page(
    request: Request, visitor: Caller | None, farm: Farm, page: str, *, subject: str = ""
) -> Response:
    if visitor is None:
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{DOOR}?{urlencode({'next': asked})}", 303)
    shown = {
        "page": page,
        "subject": subject,
        "project": visitor.project_name,
        "key": visitor.key_name,
        "may_submit": allows(visitor, "submit"),
        "is_admin": allows(visitor, "admin"),
    }
    return _answer(request, farm, f"{page}.html", shown)


def _answer(request: Request, farm: Farm, template: str, shown: dict[str, Any]) -> Response:
    given = {**shown, "static": STATIC, "version": version("lipfarm")}
    headers = {"content-security-policy": content_security_policy(farm.settings)}
    return _templates.TemplateResponse(request, template, given, headers=headers)
