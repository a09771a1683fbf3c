"""Bodies of orders, however they come: JSON, a form, or a form with files."""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import parse_qs

from fastapi import Request
from pydantic import ValidationError

from api.errors import RefusedError, describe_mistakes
from api.requests import GenerationRequest

#: A face's box for each frame of a film fits in.
MAX_JSON_BYTES: Final = 16 << 20

#: Fields of a form that hold JSON; the others are words.
_JSON_FIELDS: Final = frozenset({"input", "options", "segments", "labels", "priority"})


async def read_body(request: Request, limit: int = MAX_JSON_BYTES) -> bytes:
    """The whole body, if it is not larger than ``limit`` bytes.

    Raises:
        RefusedError: it is.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise RefusedError("request_too_large", f"the body is larger than {limit >> 20} MiB")
    return bytes(body)


def media_type(request: Request) -> str:
    """Of the body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def order_from_json(body: bytes) -> GenerationRequest:
    """An order from JSON.

    Raises:
        RefusedError: it is no JSON, or a field is wrong.
    """
    if b"\\u0000" in body or b"\0" in body:
        raise RefusedError("request_invalid", "texts must not hold NUL characters")
    return _checked(lambda: GenerationRequest.model_validate_json(body))


def order_from_fields(fields: dict[str, list[str]]) -> GenerationRequest:
    """An order from a form's fields; those that are no words hold JSON.

    ``input`` is a list, or is repeated once for each input.

    Raises:
        RefusedError: a field is wrong.
    """
    values: dict[str, Any] = {}
    for name, given in fields.items():
        if name == "input":
            values[name] = list(_inputs(given))
        elif len(given) > 1:
            raise RefusedError("request_invalid", f"{name} is given {len(given)} times")
        elif given[0] != "":
            values[name] = _json(name, given[0]) if name in _JSON_FIELDS else given[0]
    return order_from_json(json.dumps(values).encode())


def fields_of(body: bytes) -> dict[str, list[str]]:
    """Fields of an ``application/x-www-form-urlencoded`` body.

    Raises:
        RefusedError: it is none.
    """
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise RefusedError("request_invalid", "the form cannot be read") from None


def digest_of(order: GenerationRequest, files: dict[str, tuple[str, str]]) -> str:
    """Hex sha256 of all that makes two requests the same.

    Args:
        order: its fields.
        files: name and sha256 of each, by field.
    """
    essence = [order.model_dump(mode="json", exclude_unset=True), files]
    text = json.dumps(essence, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _inputs(given: Iterable[str]) -> Iterable[Any]:
    for text in given:
        if text != "":
            value = _json("input", text)
            yield from value if isinstance(value, list) else [value]


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RefusedError("request_invalid", f"{name}: it is no JSON") from None


def _checked(parse: Callable[[], GenerationRequest]) -> GenerationRequest:
    try:
        return parse()
    except ValidationError as error:
        malformed = any(mistake["type"] == "json_invalid" for mistake in error.errors())
        code = "request_invalid" if malformed else "generation_input_validation_failed"
        raise RefusedError(code, describe_mistakes(error)) from None
