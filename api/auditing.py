"""Every request that changes something says so in the audit log, in the same transaction."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from infra.db.audit_log import Actor, note_action
from infra.db.projects import Caller


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """Which request, and from where."""

    request_id: str
    address: str | None


#: Set at the edge, for everything the request does.
origin: Final[ContextVar[RequestOrigin | None]] = ContextVar("origin", default=None)


def note(
    session: Session, caller: Caller, action: str, object_id: object = None, **detail: Any
) -> None:
    """Write down what the caller does; call it where it is done.

    Args:
        session: of the transaction that does it.
        caller: who.
        action: noun and verb, ``generation.cancel``.
        object_id: which one; None for several.
        detail: JSON-able, and no secret.
    """
    here = origin.get()
    actor = Actor(
        name=f"{caller.key_prefix}… {caller.key_name}",
        project_id=caller.project_id,
        key_id=caller.key_id,
        request_id=None if here is None else here.request_id,
        address=None if here is None else here.address,
    )
    note_action(session, actor, action, object_id, detail)
