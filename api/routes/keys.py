"""The project's keys, for those that may administer it."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from api.auditing import note
from api.errors import RefusedError
from api.farm import Administrator, FarmHere, Scope
from api.orders import parse_id
from api.repeating import conceal
from api.times import wire_time
from infra.db.keys import GRACE, get_api_key, list_api_keys, revoke_api_key, rotate_api_key
from infra.db.models import ApiKey
from infra.db.projects import create_api_key
from infra.errors import NotFoundError

router = APIRouter(tags=["keys"])

_LONGEST_GRACE_HOURS = 24 * 30


def _is_to_come(value: datetime | None) -> datetime | None:
    if value is not None and value <= datetime.now(UTC):
        raise ValueError("it lies in the past")
    return value


class KeyRequest(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "night batches", "scope": "submit"}]},
    )

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
    scope: Scope = "submit"
    expiresAt: AwareDatetime | None = None  # noqa: N815 -- the wire's

    _future = field_validator("expiresAt")(_is_to_come)


class RotateRequest(BaseModel):
    """How a key is replaced: the former one works for so long yet."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"graceHours": 24}]})

    graceHours: Annotated[float, Field(ge=0, le=_LONGEST_GRACE_HOURS)] = GRACE / timedelta(hours=1)  # noqa: N815
    expiresAt: AwareDatetime | None = None  # noqa: N815

    _future = field_validator("expiresAt")(_is_to_come)


@router.get("/v2/keys")
def list_keys(caller: Administrator, farm: FarmHere) -> list[dict[str, Any]]:
    """The project's keys, newest first, revoked ones too; never the keys themselves."""
    with farm.database.transaction() as session:
        return [_answer(key, caller.key_id) for key in list_api_keys(session, caller.project_id)]


@router.post("/v2/keys", status_code=201)
def create_key(asked: KeyRequest, caller: Administrator, farm: FarmHere) -> dict[str, Any]:
    """Make a key. ``key`` is in this answer and nowhere else: asked again, it is left out."""
    with farm.database.transaction() as session:
        made = create_api_key(
            session,
            caller.project_id,
            asked.name,
            scopes=[asked.scope],
            expires_at=asked.expiresAt,
        )
        note(session, caller, "key.create", made.id, name=asked.name, scope=asked.scope)
        key = session.get_one(ApiKey, made.id)
        conceal("key")
        return {**_answer(key, caller.key_id), "key": made.secret}


@router.delete("/v2/keys/{key_id}", status_code=204)
def revoke_key(key_id: str, caller: Administrator, farm: FarmHere) -> Response:
    """Make a key worthless at once; whoever is signed in with it is signed out."""
    number = parse_id(key_id, "key_not_found")
    with farm.database.transaction() as session:
        if get_api_key(session, caller.project_id, number) is None:
            raise RefusedError("key_not_found")
        if revoke_api_key(session, caller.project_id, number):
            note(session, caller, "key.revoke", number)
    return Response(status_code=204)


@router.post("/v2/keys/{key_id}/rotate", status_code=201)
def rotate_key(
    key_id: str, caller: Administrator, farm: FarmHere, asked: RotateRequest | None = None
) -> dict[str, Any]:
    """Make a key of the same name and scope; the former works for a day, or as long as asked."""
    asked, number = asked or RotateRequest(), parse_id(key_id, "key_not_found")
    with farm.database.transaction() as session:
        try:
            made = rotate_api_key(
                session,
                caller.project_id,
                number,
                grace=timedelta(hours=asked.graceHours),
                expires_at=asked.expiresAt,
            )
        except NotFoundError:
            raise RefusedError("key_not_found") from None
        note(session, caller, "key.rotate", number, new=str(made.id), graceHours=asked.graceHours)
        key = session.get_one(ApiKey, made.id)
        conceal("key")
        return {**_answer(key, caller.key_id), "key": made.secret}


def _answer(key: ApiKey, own: object) -> dict[str, Any]:
    return {
        "id": str(key.id),
        "name": key.name,
        "prefix": key.prefix,
        "scopes": list(key.scopes) or ["submit"],
        "createdAt": wire_time(key.created_at),
        "expiresAt": wire_time(key.expires_at),
        "revokedAt": wire_time(key.revoked_at),
        "lastUsedAt": wire_time(key.last_used_at),
        "isOwn": key.id == own,
    }
