"""Numbers for Prometheus."""

import hmac
import ipaddress

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.body_schemas import shown
from api.errors import RefusedError
from api.farm import FarmHere

router = APIRouter(tags=["health"])

#: Who is named in these came through a proxy, from wherever.
_PASSED_ON = ("forwarded", "via", "x-forwarded-for", "x-real-ip")


@router.get(
    "/metrics",
    response_class=Response,
    responses=shown({"text/plain": 'lipfarm_queued_worker_seconds{queue="gpu"} 9120.0\n'}),
)
def get_metrics(request: Request, farm: FarmHere) -> Response:
    """The farm's and this process's numbers, in Prometheus' text format.

    Needs the bearer token ``LIPFARM_METRICS_TOKEN``. Where none is set, this machine alone is
    answered, and nobody through a proxy.
    """
    token = farm.settings.metrics_token
    if token is None:
        _check_is_near(request)
    else:
        _check_token(request, token.get_secret_value())
    text = generate_latest(request.app.state.metrics)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _check_token(request: Request, token: str) -> None:
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(sent.encode(), token.encode()):
        raise RefusedError("unauthorized", "/metrics wants the farm's metrics token as a bearer")


def _check_is_near(request: Request) -> None:
    host = request.client.host if request.client else ""
    passed_on = any(name in request.headers for name in _PASSED_ON)
    if passed_on or not _is_loopback(host):
        raise RefusedError(
            "forbidden", "/metrics answers this machine alone until LIPFARM_METRICS_TOKEN is set"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
