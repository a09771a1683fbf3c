"""Every address of the API, and what a key needs there; a new one must be entered here."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

#: Who may: anyone, a key with that scope, or (``page``) whoever is signed in; others to the door.
NEEDS: Final[dict[tuple[str, str], str]] = {
    ("GET", "/"): "anyone",
    ("GET", "/dashboard"): "page",
    ("GET", "/dashboard/audit"): "page",
    ("GET", "/dashboard/batches"): "page",
    ("GET", "/dashboard/batches/{batch_id}"): "page",
    ("GET", "/dashboard/farm"): "page",
    ("GET", "/dashboard/jobs/{generation_id}"): "page",
    ("GET", "/dashboard/sign-in"): "anyone",
    ("POST", "/dashboard/sign-in"): "anyone",
    ("POST", "/dashboard/sign-out"): "anyone",
    ("GET", "/dashboard/submit"): "page",
    ("GET", "/dashboard/webhooks"): "page",
    ("GET", "/dashboard/workers"): "page",
    ("GET", "/healthz"): "anyone",
    ("GET", "/metrics"): "anyone",
    ("GET", "/readyz"): "anyone",
    ("POST", "/v2/analyze/cost"): "submit",
    ("GET", "/v2/assets"): "read",
    ("POST", "/v2/assets"): "submit",
    ("POST", "/v2/assets/upload"): "submit",
    ("GET", "/v2/assets/uploads"): "read",
    ("POST", "/v2/assets/uploads"): "submit",
    ("DELETE", "/v2/assets/uploads/{upload_id}"): "submit",
    ("GET", "/v2/assets/uploads/{upload_id}"): "read",
    ("POST", "/v2/assets/uploads/{upload_id}/complete"): "submit",
    ("DELETE", "/v2/assets/{asset_id}"): "submit",
    ("GET", "/v2/assets/{asset_id}"): "read",
    ("GET", "/v2/assets/{asset_id}/download"): "read",
    ("GET", "/v2/audit"): "admin",
    ("GET", "/v2/batch"): "read",
    ("POST", "/v2/batch"): "submit",
    ("GET", "/v2/batch/{batch_id}"): "read",
    ("POST", "/v2/batch/{batch_id}/cancel"): "submit",
    ("GET", "/v2/batch/{batch_id}/matrix"): "read",
    ("GET", "/v2/batch/{batch_id}/result"): "read",
    ("GET", "/v2/errors"): "anyone",
    ("GET", "/v2/events"): "read",
    ("GET", "/v2/farm"): "read",
    ("GET", "/v2/farm/samples"): "read",
    ("POST", "/v2/generate"): "submit",
    ("POST", "/v2/generate/languages"): "submit",
    ("DELETE", "/v2/generate/{generation_id}"): "submit",
    ("GET", "/v2/generate/{generation_id}"): "read",
    ("PATCH", "/v2/generate/{generation_id}"): "submit",
    ("POST", "/v2/generate/{generation_id}/cancel"): "submit",
    ("GET", "/v2/generate/{generation_id}/events"): "read",
    ("GET", "/v2/generate/{generation_id}/output"): "read",
    ("POST", "/v2/generate/{generation_id}/pause"): "submit",
    ("POST", "/v2/generate/{generation_id}/priority"): "submit",
    ("POST", "/v2/generate/{generation_id}/ranges/actions"): "submit",
    ("GET", "/v2/generate/{generation_id}/preview"): "read",
    ("GET", "/v2/generate/{generation_id}/report"): "read",
    ("POST", "/v2/generate/{generation_id}/resume"): "submit",
    ("POST", "/v2/generate/{generation_id}/retry"): "submit",
    ("GET", "/v2/generate/{generation_id}/steps"): "read",
    ("GET", "/v2/generate/{generation_id}/steps/{step_id}/attempts"): "read",
    ("POST", "/v2/generate/{generation_id}/steps/{step_id}/keep-original"): "submit",
    ("POST", "/v2/generate/{generation_id}/steps/{step_id}/retry"): "submit",
    ("GET", "/v2/generate/{generation_id}/steps/{step_id}/still"): "read",
    ("GET", "/v2/generate/{generation_id}/strip"): "read",
    ("GET", "/v2/generations"): "read",
    ("POST", "/v2/generations/actions"): "submit",
    ("GET", "/v2/keys"): "admin",
    ("POST", "/v2/keys"): "admin",
    ("DELETE", "/v2/keys/{key_id}"): "admin",
    ("POST", "/v2/keys/{key_id}/rotate"): "admin",
    ("GET", "/v2/models"): "read",
    ("GET", "/v2/openapi.json"): "anyone",
    ("GET", "/v2/views"): "read",
    ("POST", "/v2/views"): "submit",
    ("DELETE", "/v2/views/{view_id}"): "submit",
    ("PATCH", "/v2/views/{view_id}"): "submit",
    ("GET", "/v2/webhooks/deliveries"): "read",
    ("GET", "/v2/webhooks/deliveries/{delivery_id}"): "read",
    ("POST", "/v2/webhooks/deliveries/{delivery_id}/replay"): "submit",
    ("GET", "/v2/webhooks/endpoints"): "admin",
    ("POST", "/v2/webhooks/endpoints"): "admin",
    ("DELETE", "/v2/webhooks/endpoints/{endpoint_id}"): "admin",
    ("GET", "/v2/webhooks/secret"): "admin",
    ("POST", "/v2/webhooks/secret/rotate"): "admin",
    ("POST", "/v2/webhooks/test"): "admin",
    ("GET", "/v2/workers"): "read",
}


def addresses(app: FastAPI) -> set[tuple[str, str]]:
    """Method and path of everything the application answers; files of the dashboard aside."""
    return {
        (method, route.path) for route in _routes(app.routes) for method in route.methods - {"HEAD"}
    }


def _routes(routes: list[Any]) -> Iterator[Any]:
    for route in routes:
        if hasattr(route, "original_router"):
            yield from _routes(route.original_router.routes)
        elif hasattr(route, "methods"):
            yield route
        else:
            assert route.path == "/dashboard/static", f"what is {route}?"
