"""Sends webhooks, over and over, until they arrive or a day has passed.

Every API process has a sender: what is sent is what GET returns, and the code that says it is here.
Two processes share the work by claims, and one that dies in the middle leaves the rest to others;
then a message may arrive twice, under the same ``webhook-id``.
"""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from api.farm import Farm
from api.webhook_payloads import build_payload
from infra.db.session import Database
from infra.db.webhook_queue import (
    Delivery,
    Outcome,
    claim_deliveries,
    disable_endpoint,
    finish_attempt,
    keep_payload,
)
from infra.db.webhooks import signing_secrets
from infra.errors import FetchError, InfraError
from infra.logs import get_logger, without_secrets
from infra.outages import Outages
from infra.storage.public_network import transport_to
from infra.webhook_signatures import signed_headers

#: Pauses between the tries of one message: soon at first, for a restart; then for a day in all.
RETRY_SECONDS: Final = (5, 30, 120, 300, 900, 1800, 3600, 7200, *(4 * 3600,) * 5)

#: Of a pause, at random, so that what failed together does not come back together.
_JITTER: Final = 0.2

#: A receiver that asks for more time gets it, up to this.
_LONGEST_RETRY_AFTER: Final = 3600

#: What a try may take at most, and until the receiver answers at all.
_TOTAL_SECONDS: Final = 30.0
_TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)

#: Messages under way at once, and to one host: a slow one leaves room for the others.
_THREADS: Final = 16
_A_HOST: Final = 4

_LOOK_SECONDS: Final = 1.0

#: The address says that it wants nothing more.
_GONE: Final = 410

_log = get_logger(__name__)


class WebhookSender:
    """The sender of one process.

    Args:
        farm: whose messages.
        database: where they wait; the sender's own connections.
        clock: None takes the real time, and the database's.
    """

    def __init__(
        self, farm: Farm, database: Database, clock: Callable[[], datetime] | None = None
    ) -> None:
        self._farm, self._database, self._clock = farm, database, clock
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="webhook")
        self._in_flight: Counter[str] = Counter()
        self._lock = threading.Lock()

    def run_until(self, stop: threading.Event) -> None:
        """Send what is due as soon as it is, until told to stop; what is under way may end."""
        outages = Outages(_log, "webhooks")
        while not stop.is_set():
            started: list[Future[None]] = []
            with outages.outlived():
                started = self.start_due()
            stop.wait(0.05 if started else _LOOK_SECONDS)
        self.close()

    def start_due(self) -> list[Future[None]]:
        """Begin to send as much of what is due as there is room for."""
        with self._lock:
            in_flight = +self._in_flight
        room = _THREADS - in_flight.total()
        if room <= 0:
            return []
        with self._database.transaction() as session:
            claimed = claim_deliveries(
                session, most=room, a_host=_A_HOST, in_flight=in_flight, now=self._now()
            )
        with self._lock:
            self._in_flight.update(each.host for each in claimed)
        return [self._pool.submit(self._deliver, each) for each in claimed]

    def close(self) -> None:
        """Wait for what is under way, and take nothing more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _deliver(self, delivery: Delivery) -> None:
        try:
            prepared = self._prepare(delivery)
            if prepared is not None:
                self._finish(delivery, self._try(delivery, *prepared))
        except InfraError as error:
            _log.warning("webhook.postponed", delivery=str(delivery.id), error=str(error))
        except Exception:
            _log.exception("webhook.failed", delivery=str(delivery.id))
        finally:
            with self._lock:
                self._in_flight[delivery.host] -= 1

    def _prepare(self, delivery: Delivery) -> tuple[str, list[str]] | None:
        """The body, the same at every attempt, and what signs it; None if its subject is gone."""
        with self._database.transaction() as session:
            payload: Any = delivery.payload
            if payload is None:
                built = build_payload(session, self._farm, delivery)
                payload = None if built is None else keep_payload(session, delivery, built)
            if payload is None:
                return None
            secrets = [each.secret for each in signing_secrets(session, delivery.project_id)]
        # From what the table gave back, in one way of writing: the bytes never change.
        return json.dumps(payload, sort_keys=True, separators=(",", ":")), secrets

    def _try(self, delivery: Delivery, body: str, secrets: list[str]) -> Outcome:
        began = time.monotonic()
        at = self._now() or datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "user-agent": f"lipfarm/{version('lipfarm')}",
            **signed_headers(str(delivery.id), body, at, secrets),
        }
        status, error, pause = None, None, 0.0
        try:
            self._check_scheme(delivery.url)
            status, pause = self._post(delivery.url, body.encode(), headers)
            if not 200 <= status < 300:
                error = f"the receiver answered {status}"
        except (httpx.HTTPError, httpx.InvalidURL, FetchError, ValueError) as failure:
            error = without_secrets(" ".join(str(failure).split()))[:300] or type(failure).__name__
        return Outcome(
            status=status,
            error=error,
            milliseconds=round(1000 * (time.monotonic() - began)),
            retry_seconds=None if status == _GONE else _pause(delivery.attempt, pause),
        )

    def _check_scheme(self, url: str) -> None:
        if urlsplit(url).scheme != "https" and not self._farm.settings.webhook_http:
            raise ValueError("only https:// addresses are told of anything")

    def _post(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, float]:
        """Status and the seconds the receiver wants to be left alone; its body is not read."""
        transport = transport_to(
            private_addresses=self._farm.settings.webhook_private_addresses,
            total_seconds=_TOTAL_SECONDS,
        )
        with (
            httpx.Client(transport=transport, timeout=_TIMEOUT, trust_env=False) as client,
            client.stream("POST", url, content=body, headers=headers) as answer,
        ):
            after = answer.headers.get("retry-after", "")
            is_number = after.isascii() and after.isdecimal() and len(after) < 10
            wanted = min(int(after), _LONGEST_RETRY_AFTER) if is_number else 0
            return answer.status_code, float(wanted)

    def _finish(self, delivery: Delivery, outcome: Outcome) -> None:
        with self._database.transaction() as session:
            finish_attempt(session, delivery, outcome, self._now())
            if outcome.status == _GONE and delivery.endpoint_id is not None:
                disable_endpoint(session, delivery.endpoint_id, "the address is gone (410)")
        # The host alone: an address may hold what is not for a log.
        _log.info(
            f"webhook.{'delivered' if outcome.error is None else 'refused'}",
            delivery=str(delivery.id),
            host=delivery.host,
            attempt=delivery.attempt,
            status=outcome.status,
            outcome=outcome.state,
            milliseconds=outcome.milliseconds,
        )

    def _now(self) -> datetime | None:
        return None if self._clock is None else self._clock()


def _pause(attempt: int, wanted: float) -> float | None:
    """Until the next try; None after the last."""
    if attempt > len(RETRY_SECONDS):
        return None
    jitter = 1 + random.uniform(-_JITTER, _JITTER)  # noqa: S311 -- no secret
    return max(RETRY_SECONDS[attempt - 1] * jitter, wanted)
