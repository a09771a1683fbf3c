"""Requests a minute, counted in Redis for all API processes together.

Where Redis does not answer, nobody is turned away: a farm without its bell takes work. Keys have
256 random bits, so that the count of failed sign-ins only spares the database.
"""

import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from infra.logs import get_logger

# Imported when the first request is counted: the API is up before.
if TYPE_CHECKING:
    from limits.strategies import SlidingWindowCounterRateLimiter

#: A request does not wait longer than this to be counted,
_ANSWER_SECONDS: Final = 0.25
#: and after that none does for so long.
_LEAVE_ALONE_SECONDS: Final = 5.0

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests a minute.

    Attributes:
        requests: a minute.
        of: what is counted; each has counters of its own.
    """

    requests: int
    of: str


#: Wrong keys one address may show at the dashboard's door.
FAILED_SIGN_INS: Final = Limit(10, "sign-in")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a counter stands after a request.

    Attributes:
        is_over: the request was one too many.
        limit: a minute's.
        remaining: of it.
        reset_seconds: until there is more.
    """

    is_over: bool
    limit: int
    remaining: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        """As clients read it: the draft of the IETF's that most know."""
        told = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_seconds),
        }
        return told | ({"Retry-After": str(self.reset_seconds)} if self.is_over else {})


class Limits:
    """Counters of one process's requests; threads share it."""

    def __init__(self, redis_url: str) -> None:
        """Nothing is asked of Redis before the first count."""
        self._url = redis_url
        self._limiter: SlidingWindowCounterRateLimiter | None = None
        self._lock = threading.Lock()
        self._asleep_until = 0.0

    def hit(self, limit: Limit, *who: str) -> Standing | None:
        """Count one request; None where nobody can."""
        return self._ask(limit, who, counts=True)

    def look(self, limit: Limit, *who: str) -> Standing | None:
        """The same without counting."""
        return self._ask(limit, who, counts=False)

    def _ask(self, limit: Limit, who: tuple[str, ...], *, counts: bool) -> Standing | None:
        from limits import RateLimitItemPerMinute  # noqa: PLC0415
        from redis.exceptions import RedisError  # noqa: PLC0415

        if time.monotonic() < self._asleep_until:
            return None
        item = RateLimitItemPerMinute(limit.requests, namespace=limit.of)
        try:
            limiter = self._connected()
            is_within = (limiter.hit if counts else limiter.test)(item, *who)
            stats = limiter.get_window_stats(item, *who)
        except (RedisError, OSError) as error:
            self._asleep_until = time.monotonic() + _LEAVE_ALONE_SECONDS
            _log.warning("limits.unavailable", error=type(error).__name__)
            return None
        wait = max(1, math.ceil(stats.reset_time - time.time()))
        return Standing(not is_within, limit.requests, max(0, stats.remaining), wait)

    def _connected(self) -> "SlidingWindowCounterRateLimiter":
        from limits.storage import RedisStorage  # noqa: PLC0415
        from limits.strategies import SlidingWindowCounterRateLimiter  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415

        with self._lock:
            if self._limiter is None:
                storage = RedisStorage(
                    self._url,
                    key_prefix="lipfarm:limits",
                    socket_timeout=_ANSWER_SECONDS,
                    socket_connect_timeout=_ANSWER_SECONDS,
                    retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]
                )
                self._limiter = SlidingWindowCounterRateLimiter(storage)
            return self._limiter
