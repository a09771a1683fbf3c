"""Who is told of what happens: addresses, and what they are signed with."""

from typing import Annotated, Any, get_args
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from api.auditing import note
from api.errors import RefusedError
from api.farm import Administrator, FarmHere
from api.orders import parse_id
from api.requests import MAX_URL_LENGTH, check_url, check_webhook
from api.webhook_answers import delivery_answer, endpoint_answer, secret_answer
from infra.db.models import WebhookEndpoint
from infra.db.projects import Caller
from infra.db.states import JobState
from infra.db.webhooks import (
    create_endpoint,
    create_test_delivery,
    delete_endpoint,
    get_endpoint,
    list_endpoints,
    rotate_secret,
    signing_secrets,
)

router = APIRouter(tags=["webhooks"])

#: What an address can be told of.
KINDS = (
    *(f"generation.{state}" for state in get_args(JobState) if state != "queued"),
    *(f"generation.{change}" for change in ("created", "paused", "resumed", "attention")),
    "generation.attended",
    "batch.completed",
    "batch.failed",
)

#: Addresses one project may have; each is one more message for every job.
MOST_ENDPOINTS = 20


class EndpointRequest(BaseModel):
    """An address to be told.

    Attributes:
        events: kinds such as ``generation.completed``; none means the ends of jobs and batches.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"url": "https://studio.example/dubbed", "events": ["generation.completed"]}
            ]
        },
    )

    url: Annotated[str, Field(max_length=MAX_URL_LENGTH)]
    events: list[str] = Field(default_factory=list, max_length=len(KINDS))
    description: Annotated[str, Field(max_length=200)] | None = None

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return check_url(value)

    @field_validator("events")
    @classmethod
    def _are_known(cls, value: list[str]) -> list[str]:
        for kind in value:
            if kind not in KINDS:
                raise ValueError(f"{kind[:40]!r} is none of {', '.join(KINDS)}")
        return list(dict.fromkeys(value))


class TestRequest(BaseModel):
    """Which address to try: one of the project's, or any."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"url": "https://studio.example/dubbed"}]}
    )
    __test__ = False  # no test, whatever its name

    endpointId: str | None = None  # noqa: N815 -- the wire's
    url: Annotated[str, Field(max_length=MAX_URL_LENGTH)] | None = None

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        return None if value is None else check_url(value)


@router.get("/v2/webhooks/endpoints")
def list_addresses(caller: Administrator, farm: FarmHere) -> list[dict[str, Any]]:
    """The project's addresses, oldest first."""
    with farm.database.transaction() as session:
        return [endpoint_answer(each) for each in list_endpoints(session, caller.project_id)]


@router.post("/v2/webhooks/endpoints", status_code=201)
def add_address(asked: EndpointRequest, caller: Administrator, farm: FarmHere) -> dict[str, Any]:
    """Have an address told of all of the project's generations and batches."""
    check_webhook(farm.settings, "url", asked.url)
    with farm.database.transaction() as session:
        if len(list_endpoints(session, caller.project_id)) >= MOST_ENDPOINTS:
            raise RefusedError("state_conflict", f"a project has {MOST_ENDPOINTS} at most")
        endpoint = create_endpoint(
            session, caller.project_id, asked.url, asked.events, asked.description
        )
        note(session, caller, "webhook_endpoint.create", endpoint.id, events=asked.events)
        return endpoint_answer(endpoint)


@router.delete("/v2/webhooks/endpoints/{endpoint_id}", status_code=204)
def remove_address(endpoint_id: str, caller: Administrator, farm: FarmHere) -> Response:
    """Tell an address nothing more; what was sent to it is forgotten."""
    number = parse_id(endpoint_id, "webhook_not_found")
    with farm.database.transaction() as session:
        if not delete_endpoint(session, caller.project_id, number):
            raise RefusedError("webhook_not_found")
        note(session, caller, "webhook_endpoint.delete", number)
    return Response(status_code=204)


@router.post("/v2/webhooks/test", status_code=202)
def try_address(asked: TestRequest, caller: Administrator, farm: FarmHere) -> dict[str, Any]:
    """Send a message of no generation; its delivery says what came of it."""
    with farm.database.transaction() as session:
        endpoint: WebhookEndpoint | None = None
        if asked.endpointId is not None:
            number = parse_id(asked.endpointId, "webhook_not_found")
            endpoint = get_endpoint(session, caller.project_id, number)
            if endpoint is None:
                raise RefusedError("webhook_not_found")
        url = asked.url if endpoint is None else endpoint.url
        if url is None:
            raise RefusedError("request_invalid", "name an endpointId or a url")
        check_webhook(farm.settings, "url", url)
        delivery = create_test_delivery(
            session, caller.project_id, url, _sample(caller), _id_of(endpoint)
        )
        note(session, caller, "webhook.test", delivery.id)
        return delivery_answer(delivery)


@router.get("/v2/webhooks/secret")
def get_secret(caller: Administrator, farm: FarmHere) -> dict[str, Any]:
    """What the project's messages are signed with; the first look makes one."""
    with farm.database.transaction() as session:
        return secret_answer(signing_secrets(session, caller.project_id))


@router.post("/v2/webhooks/secret/rotate", status_code=201)
def replace_secret(caller: Administrator, farm: FarmHere) -> dict[str, Any]:
    """Make a new secret; for a day messages are signed with the former one, too."""
    with farm.database.transaction() as session:
        made = rotate_secret(session, caller.project_id)
        note(session, caller, "webhook_secret.rotate", made.id)
        return secret_answer(signing_secrets(session, caller.project_id))


def _sample(caller: Caller) -> dict[str, Any]:
    return {
        "id": None,
        "event": "webhook.test",
        "status": "COMPLETED",
        "project": caller.project_name,
        "input": [],
        "model": "auto",
        "outputUrl": None,
    }


def _id_of(endpoint: WebhookEndpoint | None) -> UUID | None:
    return None if endpoint is None else endpoint.id
