"""What every request stands on: the farm's parts, and who asks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, cast

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader

from api.errors import RefusedError
from infra.db.projects import Caller, authenticate
from infra.db.session import Database
from infra.settings import Settings
from infra.storage.objects import ObjectStore

Scope = Literal["read", "submit", "admin"]

#: What a scope includes.
_INCLUDES: dict[str, frozenset[str]] = {
    "read": frozenset({"read"}),
    "submit": frozenset({"read", "submit"}),
    "admin": frozenset({"read", "submit", "admin"}),
}
#: Keys that were made without saying.
_UNSAID = _INCLUDES["submit"]

_header = APIKeyHeader(name="x-api-key", auto_error=False, description="A key of your project.")


@dataclass(frozen=True, slots=True)
class Farm:
    """The parts an API process talks to."""

    settings: Settings
    database: Database
    store: ObjectStore


def _farm(request: Request) -> Farm:
    return cast(Farm, request.app.state.farm)


FarmHere = Annotated[Farm, Depends(_farm)]


def _allow(scope: Scope) -> Callable[[Farm, str | None], Caller]:
    """Who asks, if the key may do what the scope says."""

    def caller(farm: FarmHere, key: Annotated[str | None, Depends(_header)]) -> Caller:
        if key is None:
            raise RefusedError("unauthorized", "there is no header x-api-key")
        # A transaction of its own: a body may take an hour to arrive after this.
        with farm.database.transaction() as session:
            known = authenticate(session, key)
        if known is None:
            raise RefusedError("unauthorized", "the API key is unknown, expired or revoked")
        if not any(scope in _INCLUDES.get(held, ()) for held in known.scopes) and not (
            not known.scopes and scope in _UNSAID
        ):
            raise RefusedError("forbidden", f"the API key lacks the scope {scope}")
        return known

    return caller


Reader = Annotated[Caller, Depends(_allow("read"))]
Submitter = Annotated[Caller, Depends(_allow("submit"))]
