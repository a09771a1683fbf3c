"""What is answered of a project's keys, messages, log and views, as the OpenAPI document has it."""

from typing import Any, Literal

from typing_extensions import TypedDict

from api.schemas import Id, Time, Url


class Key(TypedDict):
    """A key of the project, by what tells it from others."""

    id: Id
    name: str
    prefix: str
    scopes: list[str]
    createdAt: Time
    expiresAt: Time | None
    revokedAt: Time | None
    lastUsedAt: Time | None
    isOwn: bool


class NewKey(Key, total=False):
    """A key just made; ``key`` is told once."""

    key: str


class Endpoint(TypedDict):
    """An address that is told of all of the project's jobs."""

    id: Id
    url: Url
    events: list[str]
    description: str | None
    createdAt: Time
    disabledAt: Time | None


class FormerSecret(TypedDict):
    """A secret that messages are signed with for a while yet."""

    createdAt: Time
    expiresAt: Time | None


class Secret(TypedDict):
    """What messages are signed with."""

    secret: str
    createdAt: Time
    former: list[FormerSecret]


class Delivery(TypedDict):
    """A message to one address."""

    id: Id
    createdAt: Time
    event: str
    generationId: Id | None
    batchId: Id | None
    endpointId: Id | None
    url: str
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    nextAttemptAt: Time | None
    deliveredAt: Time | None
    lastStatus: int | None
    lastError: str | None


class DeliveryAttempt(TypedDict):
    """One try to deliver a message."""

    number: int
    at: Time
    status: int | None
    error: str | None
    milliseconds: int | None


class DeliveryDetail(Delivery):
    """A message, what it says, and every try."""

    payload: Any
    attemptList: list[DeliveryAttempt]


class DeliveryPage(TypedDict):
    """A page of messages."""

    items: list[Delivery]
    nextCursor: str | None


class AuditEntry(TypedDict):
    """Who did what."""

    id: str
    at: Time
    actor: str
    keyId: Id | None
    action: str
    objectKind: str
    objectId: str | None
    detail: dict[str, Any]
    requestId: str | None
    address: str | None


class AuditPage(TypedDict):
    """A page of the log."""

    items: list[AuditEntry]
    nextCursor: str | None


class View(TypedDict):
    """A saved view; of the filters, what is set."""

    id: Id
    name: str
    filter: dict[str, str]
    createdAt: Time


class SignedIn(TypedDict):
    """Who came in, and until when; the cookie comes beside it."""

    project: str
    scopes: list[str]
    expiresAt: Time


#: What more addresses answer, as :mod:`api.openapi` has it.
OK: dict[tuple[str, str], tuple[str, Any]] = {
    ("get", "/v2/keys"): ("200", list[Key]),
    ("post", "/v2/keys"): ("201 200", NewKey),
    ("post", "/v2/keys/{key_id}/rotate"): ("201 200", NewKey),
    ("get", "/v2/webhooks/endpoints"): ("200", list[Endpoint]),
    ("post", "/v2/webhooks/endpoints"): ("201 200", Endpoint),
    ("post", "/v2/webhooks/test"): ("202", Delivery),
    ("get", "/v2/webhooks/secret"): ("200", Secret),
    ("post", "/v2/webhooks/secret/rotate"): ("201 200", Secret),
    ("get", "/v2/webhooks/deliveries"): ("200", DeliveryPage),
    ("get", "/v2/webhooks/deliveries/{delivery_id}"): ("200", DeliveryDetail),
    ("post", "/v2/webhooks/deliveries/{delivery_id}/replay"): ("202", Delivery),
    ("get", "/v2/audit"): ("200", AuditPage),
    ("get", "/v2/views"): ("200", list[View]),
    ("post", "/v2/views"): ("201 200", View),
    ("patch", "/v2/views/{view_id}"): ("200", View),
    ("post", "/dashboard/sign-in"): ("200", SignedIn),
}
