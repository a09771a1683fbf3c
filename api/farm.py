"""What every request stands on: the farm's parts, and who asks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, cast

from fastapi import Depends, Request, Response
from fastapi.security import APIKeyCookie, APIKeyHeader

from api.errors import RefusedError
from api.event_hub import EventHub
from api.limits import Limit, Limits
from api.recently import Recently
from api.repeating import enter_caller
from api.same_origin import is_safe, is_same_origin
from infra.db.projects import Caller, authenticate
from infra.db.session import Database
from infra.db.sign_ins import authenticate_sign_in
from infra.settings import Settings
from infra.storage.objects import ObjectStore

Scope = Literal["read", "submit", "admin"]

#: How old an answer may be that many dashboards ask for.
SHARED_SECONDS: Final = 3.0
_SLOW_SECONDS: Final = 30.0

#: How long a signed address is given out again; it works for so much longer.
ADDRESS_SECONDS: Final = 600.0

#: What a scope includes.
_INCLUDES: dict[str, frozenset[str]] = {
    "read": frozenset({"read"}),
    "submit": frozenset({"read", "submit"}),
    "admin": frozenset({"read", "submit", "admin"}),
}
#: Keys that were made without saying.
_UNSAID = _INCLUDES["submit"]

#: Of the dashboard; holds no key, and ends with it.
COOKIE = "lipfarm_sign_in"

_header = APIKeyHeader(name="x-api-key", auto_error=False, description="A key of your project.")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="Signed in at the dashboard.")


@dataclass(frozen=True, slots=True)
class Farm:
    """The parts an API process talks to.

    Attributes:
        recently: answers that many ask for and that may be some seconds old.
        slowly: the same of what takes long to count, for half a minute.
        addresses: of objects, signed; signing one takes as long as reading ten rows.
    """

    settings: Settings
    database: Database
    store: ObjectStore
    limits: Limits
    events: EventHub
    recently: Recently = field(default_factory=lambda: Recently(SHARED_SECONDS))
    slowly: Recently = field(default_factory=lambda: Recently(_SLOW_SECONDS))
    addresses: Recently = field(default_factory=lambda: Recently(ADDRESS_SECONDS, 5000))


def _farm(request: Request) -> Farm:
    return cast(Farm, request.app.state.farm)


FarmHere = Annotated[Farm, Depends(_farm)]


def allows(caller: Caller, scope: Scope) -> bool:
    """Whether the caller's key may do what the scope says."""
    if not caller.scopes:
        return scope in _UNSAID
    return any(scope in _INCLUDES.get(held, ()) for held in caller.scopes)


def _visitor(
    request: Request, farm: FarmHere, cookie: Annotated[str | None, Depends(_cookie)]
) -> Caller | None:
    """Who is signed in with a cookie, None if nobody."""
    if cookie is None:
        return None
    if not is_safe(request.method) and not is_same_origin(request):
        raise RefusedError("forbidden", "the request was made by a page of another origin")
    with farm.database.transaction() as session:
        return authenticate_sign_in(session, cookie)


def _caller(
    request: Request,
    farm: FarmHere,
    key: Annotated[str | None, Depends(_header)],
    cookie: Annotated[str | None, Depends(_cookie)],
) -> Caller:
    """Who asks, by key or by cookie; a key that is sent is the one that counts."""
    if key is None:
        caller = _visitor(request, farm, cookie)
        if caller is None:
            missing = "there is no header x-api-key" if cookie is None else "the sign-in has ended"
            raise RefusedError("unauthorized", missing)
        return caller
    # A transaction of its own: a body may take an hour to arrive after this.
    with farm.database.transaction() as session:
        caller = authenticate(session, key)
    if caller is None:
        raise RefusedError("unauthorized", "the API key is unknown, expired or revoked")
    return caller


def _counted(
    farm: FarmHere, response: Response, caller: Annotated[Caller, Depends(_caller)]
) -> Caller:
    """The caller, one more of its requests counted."""
    limit = caller.requests_per_minute
    if limit is None:
        limit = farm.settings.requests_per_minute
    if limit == 0:
        return caller
    standing = farm.limits.hit(Limit(limit, "key"), str(caller.key_id))
    if standing is None:
        return caller
    if standing.is_over:
        message = f"the API key may send {limit} requests a minute"
        raise RefusedError("rate_limit_exceeded", message, headers=standing.headers())
    response.headers.update(standing.headers())
    return caller


def _allow(scope: Scope) -> Callable[[Caller], Caller]:
    """Who asks, if the key may do what the scope says."""

    def caller(known: Annotated[Caller, Depends(_counted)]) -> Caller:
        if not allows(known, scope):
            raise RefusedError("forbidden", f"the API key lacks the scope {scope}")
        enter_caller(known.project_id)
        return known

    return caller


Reader = Annotated[Caller, Depends(_allow("read"))]
Submitter = Annotated[Caller, Depends(_allow("submit"))]
Administrator = Annotated[Caller, Depends(_allow("admin"))]

#: Who looks at a page of the dashboard: None is to be sent to the door.
Visitor = Annotated[Caller | None, Depends(_visitor)]
