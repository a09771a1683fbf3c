"""Webhooks as the API shows them."""

from collections.abc import Sequence
from typing import Any

from api.times import wire_time
from infra.db.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookSecret


def endpoint_answer(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """An address that is told."""
    return {
        "id": str(endpoint.id),
        "url": endpoint.url,
        "events": list(endpoint.events),
        "description": endpoint.description,
        "createdAt": wire_time(endpoint.created_at),
        "disabledAt": wire_time(endpoint.disabled_at),
    }


def delivery_answer(delivery: WebhookDelivery) -> dict[str, Any]:
    """A message, as lists have it."""
    return {
        "id": str(delivery.id),
        "createdAt": wire_time(delivery.created_at),
        "event": delivery.kind,
        "generationId": None if delivery.job_id is None else str(delivery.job_id),
        "batchId": None if delivery.batch_id is None else str(delivery.batch_id),
        "endpointId": None if delivery.endpoint_id is None else str(delivery.endpoint_id),
        "url": delivery.url,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "nextAttemptAt": wire_time(delivery.next_at) if delivery.state == "pending" else None,
        "deliveredAt": wire_time(delivery.delivered_at),
        "lastStatus": delivery.last_status,
        "lastError": delivery.last_error,
    }


def attempt_answer(attempt: WebhookAttempt) -> dict[str, Any]:
    """One try."""
    return {
        "number": attempt.number,
        "at": wire_time(attempt.at),
        "status": attempt.status,
        "error": attempt.error,
        "milliseconds": attempt.milliseconds,
    }


def secret_answer(secrets: Sequence[WebhookSecret]) -> dict[str, Any]:
    """What messages are signed with, and until when with the former ones."""
    return {
        "secret": secrets[0].secret,
        "createdAt": wire_time(secrets[0].created_at),
        "former": [
            {"createdAt": wire_time(each.created_at), "expiresAt": wire_time(each.expires_at)}
            for each in secrets[1:]
        ],
    }
