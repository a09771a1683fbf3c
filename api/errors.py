"""How a request is refused: one shape for all, with a documented code and one line to act on.

::

    {"statusCode": 400, "error": "Bad Request", "error_code": "generation_video_missing",
     "message": "...", "suggestion": "..."}

``message`` and ``statusCode`` are what lip-sync clients read.
"""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from api.catalogue import REFUSALS
from infra.errors import (
    IllegalMoveError,
    InfraError,
    NotFoundError,
    ObjectMissingError,
    ServiceUnavailableError,
)
from infra.logs import get_logger

#: Clients that are told to come back later, after this many seconds.
RETRY_AFTER_SECONDS = 5

_BY_STATUS = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    415: "content_type_unsupported",
}

_BY_INFRA_ERROR: dict[type[InfraError], str] = {
    NotFoundError: "not_found",
    IllegalMoveError: "state_conflict",
    ObjectMissingError: "generation_infra_storage_error",
    ServiceUnavailableError: "generation_infra_service_unavailable",
}

_log = get_logger(__name__)


class RefusedError(Exception):
    """A request is refused, for a reason of the catalogue."""

    def __init__(
        self, code: str, message: str | None = None, *, headers: Mapping[str, str] | None = None
    ) -> None:
        """Refuse.

        Args:
            code: one of :data:`api.catalogue.REFUSALS`.
            message: more exact than the catalogue's.
            headers: of the answer.
        """
        self.headers = headers
        self.code = code
        self.entry = REFUSALS[code]
        super().__init__(message or self.entry.message)


def install_error_answers(app: FastAPI) -> None:
    """Every way a request can fail gets the one shape."""

    @app.exception_handler(RefusedError)
    def refuse(_request: Request, error: RefusedError) -> JSONResponse:
        return answer(error.code, str(error), headers=error.headers)

    @app.exception_handler(RequestValidationError)
    def refuse_fields(_request: Request, error: RequestValidationError) -> JSONResponse:
        return answer("request_invalid", describe_mistakes(error))

    @app.exception_handler(HTTPException)
    def refuse_plainly(_request: Request, error: HTTPException) -> JSONResponse:
        code = _BY_STATUS.get(error.status_code, "request_invalid")
        return answer(code, None, headers=error.headers)

    @app.exception_handler(InfraError)
    def explain(_request: Request, error: InfraError) -> JSONResponse:
        for kind, code in _BY_INFRA_ERROR.items():
            if isinstance(error, kind):
                return answer(code, str(error))
        return _bug(error)

    @app.exception_handler(Exception)
    def explain_bug(_request: Request, error: Exception) -> JSONResponse:
        return _bug(error)


def answer(
    code: str, message: str | None = None, *, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The answer to a refused request.

    Args:
        code: one of :data:`api.catalogue.REFUSALS`.
        message: None takes the catalogue's.
    """
    entry = REFUSALS[code]
    status = entry.status or 500
    sent = dict(headers or {})
    if status in (429, 503):
        sent.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    body = {
        "statusCode": status,
        "error": HTTPStatus(status).phrase,
        "error_code": code,
        "message": " ".join((message or entry.message).split()),
        "suggestion": entry.suggestion,
    }
    return JSONResponse(body, status, sent)


def describe_mistakes(error: ValidationError | RequestValidationError) -> str:
    """All mistakes in one line, each with the field it is in."""
    return "; ".join(_describe(mistake) for mistake in error.errors())


def _describe(mistake: object) -> str:
    assert isinstance(mistake, dict)  # noqa: S101 -- pydantic's own shape
    where = ".".join(str(part) for part in mistake["loc"] if part not in {"body", "query", "path"})
    message = str(mistake["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _bug(error: Exception) -> JSONResponse:
    _log.error("request.failed", exc_info=error)
    return answer("generation_unhandled_error")
