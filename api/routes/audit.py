"""Who did what in the project."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from api.errors import RefusedError
from api.farm import Administrator, FarmHere
from api.times import wire_time
from infra.db.audit_log import list_actions
from infra.db.models import AuditEntry

router = APIRouter(tags=["audit"])

#: As far as the database counts.
_LAST: Final = 2**63 - 1


@router.get("/v2/audit")
def list_audit(
    caller: Administrator,
    farm: FarmHere,
    action: Annotated[
        str | None, Query(max_length=100, description="generation.cancel; or generation.")
    ] = None,
    object_id: Annotated[
        str | None, Query(alias="objectId", max_length=100, description="What was done to this.")
    ] = None,
    cursor: Annotated[str | None, Query(max_length=30)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """A page of the project's log, newest first."""
    for text in (action, object_id):
        if text is not None and "\0" in text:
            raise RefusedError("request_invalid", "texts must not hold NUL characters")
    with farm.database.transaction() as session:
        found = list_actions(
            session,
            caller.project_id,
            action=None if action is None else action.removesuffix("."),
            object_id=object_id,
            before=_parse(cursor),
            limit=limit + 1,
        )
    shown = found[:limit]
    following = str(shown[-1].id) if len(found) > limit else None
    return {"items": [_answer(each) for each in shown], "nextCursor": following}


def _parse(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal()) or int(cursor) > _LAST:
        raise RefusedError("request_invalid", "cursor: it is not one of ours")
    return int(cursor)


def _answer(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": str(entry.id),
        "at": wire_time(entry.at),
        "actor": entry.actor,
        "keyId": None if entry.key_id is None else str(entry.key_id),
        "action": entry.action,
        "objectKind": entry.object_kind,
        "objectId": entry.object_id,
        "detail": entry.detail,
        "requestId": entry.request_id,
        "address": entry.address,
    }
