"""Webhooks on their way: claimed for a while, tried, and told how it went.

A claim is a lease in ``next_at`` with ``attempts`` for its fence, as with steps: whoever sends may
die, and another goes on. What was said of a job earlier to the same address goes first, so that a
receiver hears of one job in the order in which it happened; other jobs do not wait for it.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

#: How long a delivery stays a silent sender's; longer than any try can take.
LEASE_SECONDS: Final = 120.0

#: Due deliveries one claim chooses from.
_CHOICE: Final = 200

_HOST: Final = "lower(regexp_replace(split_part(d.url, '/', 3), '^.*@', ''))"

_CLAIM: Final = text(f"""
WITH due AS (
    SELECT d.id, d.next_at, {_HOST} AS host,
        :a_host - coalesce((CAST(:in_flight AS jsonb) ->> {_HOST})::int, 0) AS free
    FROM webhook_deliveries d
    WHERE d.state = 'pending' AND d.next_at <= coalesce(:now, clock_timestamp())
      AND coalesce((CAST(:in_flight AS jsonb) ->> {_HOST})::int, 0) < :a_host
      AND NOT EXISTS (
        SELECT FROM webhook_deliveries e
        WHERE e.state = 'pending' AND e.job_id = d.job_id AND e.event_id < d.event_id
          AND e.url = d.url AND e.endpoint_id IS NOT DISTINCT FROM d.endpoint_id)
    ORDER BY d.next_at LIMIT {_CHOICE}),
fair AS (
    SELECT id, free, row_number() OVER (PARTITION BY host ORDER BY next_at) AS turn FROM due),
mine AS (
    SELECT d.id FROM webhook_deliveries d JOIN fair f ON f.id = d.id
    WHERE f.turn <= f.free
      AND d.state = 'pending' AND d.next_at <= coalesce(:now, clock_timestamp())
    LIMIT :most FOR UPDATE OF d SKIP LOCKED)
UPDATE webhook_deliveries d
SET attempts = attempts + 1,
    next_at = coalesce(:now, clock_timestamp()) + make_interval(secs => :lease)
FROM mine WHERE d.id = mine.id
RETURNING d.id, d.project_id, d.job_id, d.batch_id, d.endpoint_id, d.kind, d.url, {_HOST} AS host,
    d.payload, d.attempts
""")  # noqa: S608 -- constants

# What another attempt kept counts; the bytes must be the same each time.
_KEEP_PAYLOAD: Final = text("""
UPDATE webhook_deliveries SET payload = coalesce(payload, CAST(:payload AS jsonb))
WHERE id = :delivery RETURNING payload
""")

_FINISH: Final = text("""
UPDATE webhook_deliveries SET
    state = :state, last_status = :status, last_error = :error,
    next_at = coalesce(:now, clock_timestamp()) + make_interval(secs => :delay),
    delivered_at = CASE WHEN :state = 'delivered' THEN coalesce(:now, clock_timestamp()) END
WHERE id = :delivery AND attempts = :attempt AND state = 'pending'
""")

_NOTE_ATTEMPT: Final = text("""
INSERT INTO webhook_attempts (delivery_id, number, at, status, error, milliseconds)
SELECT d.id, :attempt, coalesce(:now, clock_timestamp()), :status, :error, :milliseconds
FROM webhook_deliveries d WHERE d.id = :delivery
ON CONFLICT DO NOTHING
""")

_DISABLE: Final = text("""
WITH gone AS (
    UPDATE webhook_endpoints SET disabled_at = now()
    WHERE id = :endpoint AND disabled_at IS NULL)
UPDATE webhook_deliveries SET state = 'failed', last_error = :error
WHERE endpoint_id = :endpoint AND state = 'pending'
""")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that is ours to send for a while; ``attempt`` is the fence.

    Attributes:
        host: of the url, with its port.
        payload: what was sent before; None at the first attempt.
    """

    id: uuid.UUID
    project_id: uuid.UUID
    job_id: uuid.UUID | None
    batch_id: uuid.UUID | None
    endpoint_id: uuid.UUID | None
    kind: str
    url: str
    host: str
    payload: dict[str, Any] | None
    attempt: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try went.

    Attributes:
        status: of the answer; None where there was none.
        error: one line; None where it arrived.
        retry_seconds: when to try again; None ends it.
    """

    status: int | None
    error: str | None
    milliseconds: int
    retry_seconds: float | None = None

    @property
    def state(self) -> str:
        """What the delivery is now."""
        if self.error is None:
            return "delivered"
        return "failed" if self.retry_seconds is None else "pending"


def claim_deliveries(
    session: Session,
    *,
    most: int,
    a_host: int,
    in_flight: Mapping[str, int],
    now: datetime | None = None,
) -> list[Delivery]:
    """Take messages that are due, the oldest of each host first.

    Args:
        session: any.
        most: so many at most,
        a_host: and of each host so many, together with those in flight.
        in_flight: the caller's, by host.
        now: None takes the database's clock.
    """
    values = {
        "most": most,
        "a_host": a_host,
        "in_flight": json.dumps(dict(in_flight)),
        "lease": LEASE_SECONDS,
        "now": now,
    }
    return [Delivery(*row) for row in session.execute(_CLAIM, values)]


def keep_payload(session: Session, delivery: Delivery, payload: Mapping[str, Any]) -> Any:
    """Keep what is sent, and have it as every later attempt will; None if the job was deleted."""
    values = {"delivery": delivery.id, "payload": json.dumps(payload)}
    return session.execute(_KEEP_PAYLOAD, values).scalar_one_or_none()


def finish_attempt(
    session: Session, delivery: Delivery, outcome: Outcome, now: datetime | None = None
) -> None:
    """Write down how a try went; it counts only where nobody else took the message since."""
    values: dict[str, Any] = {
        "delivery": delivery.id,
        "attempt": delivery.attempt,
        "status": outcome.status,
        "error": outcome.error,
        "now": now,
    }
    session.execute(
        _FINISH, values | {"state": outcome.state, "delay": outcome.retry_seconds or 0.0}
    )
    session.execute(_NOTE_ATTEMPT, values | {"milliseconds": outcome.milliseconds})


def disable_endpoint(session: Session, endpoint_id: uuid.UUID, error: str) -> None:
    """Send nothing more to an endpoint, and give up what is under way to it."""
    session.execute(_DISABLE, {"endpoint": endpoint_id, "error": error})
