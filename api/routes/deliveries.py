"""What was sent to whom, whether it arrived, and sending it again."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from api.auditing import note
from api.errors import RefusedError
from api.farm import FarmHere, Reader, Submitter
from api.orders import parse_id
from api.paging import Cursor, cursor_after, parse_cursor
from api.webhook_answers import attempt_answer, delivery_answer
from infra.db.models import WebhookDelivery
from infra.db.projects import Caller
from infra.db.webhooks import get_delivery, list_attempts, list_deliveries, replay_delivery

router = APIRouter(tags=["webhooks"])


@router.get("/v2/webhooks/deliveries")
def list_messages(
    caller: Reader,
    farm: FarmHere,
    state: Annotated[
        list[Literal["pending", "delivered", "failed"]] | None, Query(description="Any of these.")
    ] = None,
    generation_id: Annotated[
        str | None, Query(alias="generationId", description="Of this generation.")
    ] = None,
    endpoint_id: Annotated[
        str | None, Query(alias="endpointId", description="To this address of the project's.")
    ] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """A page of the project's messages, newest first."""
    after = parse_cursor(cursor)
    job = None if generation_id is None else parse_id(generation_id, "generation_not_found")
    endpoint = None if endpoint_id is None else parse_id(endpoint_id, "webhook_not_found")
    with farm.database.transaction() as session:
        found = list_deliveries(
            session,
            caller.project_id,
            states=state or (),
            job_id=job,
            endpoint_id=endpoint,
            after=after,
            limit=limit + 1,
        )
    shown, following = found[:limit], None
    if len(found) > limit:
        following = cursor_after(Cursor(shown[-1].created_at, shown[-1].id))
    return {"items": [delivery_answer(each) for each in shown], "nextCursor": following}


@router.get("/v2/webhooks/deliveries/{delivery_id}")
def get_message(delivery_id: str, caller: Reader, farm: FarmHere) -> dict[str, Any]:
    """One message: what it says, and every try to deliver it."""
    with farm.database.transaction() as session:
        delivery = _the_delivery(session, caller, delivery_id)
        attempts = [attempt_answer(each) for each in list_attempts(session, delivery.id)]
        return {
            **delivery_answer(delivery),
            "payload": delivery.payload,
            "attemptList": attempts,
        }


@router.post("/v2/webhooks/deliveries/{delivery_id}/replay", status_code=202)
def replay(delivery_id: str, caller: Submitter, farm: FarmHere) -> dict[str, Any]:
    """Send a message again, the same bytes under the same id, as soon as may be."""
    with farm.database.transaction() as session:
        delivery = _the_delivery(session, caller, delivery_id)
        replay_delivery(session, delivery)
        note(session, caller, "webhook.replay", delivery.id)
        return delivery_answer(delivery)


def _the_delivery(session: Session, caller: Caller, delivery_id: str) -> WebhookDelivery:
    number = parse_id(delivery_id, "webhook_not_found")
    delivery = get_delivery(session, caller.project_id, number)
    if delivery is None:
        raise RefusedError("webhook_not_found")
    return delivery
