"""Whether the process lives, and whether it can do its work."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import text

from api.farm import Farm, FarmHere

router = APIRouter(tags=["health"])

_ANSWER_SECONDS = 2.0


@router.get("/healthz")
def is_alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
def is_ready(farm: FarmHere, response: Response) -> dict[str, Any]:
    """The database and the bucket answer. Redis may be away: then work is found a little later."""
    checks = {
        "database": _outcome(lambda: _ask_database(farm)),
        "bucket": _outcome(farm.store.ensure_bucket),
        "redis": _outcome(lambda: _ask_redis(farm)),
    }
    is_fit = checks["database"] == checks["bucket"] == "ok"
    response.status_code = 200 if is_fit else 503
    return {"status": "ok" if is_fit else "unavailable", **checks}


def _ask_database(farm: Farm) -> None:
    with farm.database.transaction() as session:
        session.execute(text("SELECT FROM jobs LIMIT 1"))


def _ask_redis(farm: Farm) -> None:
    import redis  # noqa: PLC0415 -- the API is up before it is first asked

    with redis.Redis.from_url(
        farm.settings.redis_url,
        socket_timeout=_ANSWER_SECONDS,
        socket_connect_timeout=_ANSWER_SECONDS,
    ) as client:
        client.ping()


def _outcome(check: Callable[[], object]) -> str:
    try:
        check()
    except Exception:  # whatever it is, the service is not fit; details are for the log
        return "unavailable"
    return "ok"
