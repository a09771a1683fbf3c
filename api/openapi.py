"""The OpenAPI document: what the routes say of themselves, and what holds for all of them."""

from typing import Any, Final, get_args, get_origin

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from api import examples, farm_examples, farm_schemas, project_schemas, schemas
from api.catalogue import REFUSALS
from api.repeating import ORDERS, is_repeatable

_DESCRIPTION: Final = """
Lip-sync dubbing on your own farm. Existing lip-sync clients speak the addresses under `/v2` that
they know; everything else is this farm's own.

Send your project's key as `x-api-key`. Every refusal has the same shape, with a code that
`GET /v2/errors` explains. With an `Idempotency-Key` any `POST` can be sent again without harm: it
is done once, and answered as before, with `200` where the first answer was `201`.
"""

_TAGS: Final[dict[str, str]] = {
    "generations": "Dubs: ordered, watched, changed, one by one or many at once.",
    "steps": "What a generation is made of, for looking at what failed.",
    "outputs": "What a generation made.",
    "assets": "Inputs that are uploaded once and used often.",
    "batches": "Whole catalogues, and titles in several languages.",
    "events": "What happens, as it happens.",
    "webhooks": "Being told of ends.",
    "keys": "Keys of a project.",
    "audit": "Who did what.",
    "views": "Lists of generations that people gave names.",
    "farm": "How the farm is doing.",
    "lists": "What the farm offers, and what can go wrong.",
    "health": "For whoever watches over the process.",
    "dashboard": "Signing in to the pages.",
}

_OK: Final[dict[tuple[str, str], tuple[str, Any]]] = {
    ("post", "/v2/generate"): ("201 200", schemas.Generation),
    ("get", "/v2/generate/{generation_id}"): ("200", schemas.Generation),
    ("patch", "/v2/generate/{generation_id}"): ("200", schemas.Generation),
    ("get", "/v2/generations"): ("200", list[schemas.Generation]),
    ("post", "/v2/generations/actions"): ("200", schemas.ActionResults),
    ("post", "/v2/generate/{generation_id}/ranges/actions"): ("200", schemas.RangeResult),
    ("get", "/v2/generate/{generation_id}/steps"): ("200", list[schemas.Step]),
    ("post", "/v2/generate/{generation_id}/steps/{step_id}/retry"): ("200", schemas.Step),
    ("post", "/v2/generate/{generation_id}/steps/{step_id}/keep-original"): ("200", schemas.Step),
    ("post", "/v2/assets"): ("201", schemas.Asset),
    ("get", "/v2/assets"): ("200", schemas.AssetPage),
    ("get", "/v2/assets/{asset_id}"): ("200", schemas.Asset),
    ("post", "/v2/assets/upload"): ("201", schemas.PutAddress),
    ("post", "/v2/assets/uploads"): ("201", schemas.UploadState),
    ("get", "/v2/assets/uploads"): ("200", schemas.Uploads),
    ("get", "/v2/assets/uploads/{upload_id}"): ("200", schemas.UploadState),
    ("post", "/v2/assets/uploads/{upload_id}/complete"): ("201 200", schemas.Asset),
    ("get", "/v2/models"): ("200", list[schemas.Model]),
    ("get", "/v2/errors"): ("200", list[schemas.ErrorEntry]),
    ("post", "/v2/batch"): ("201 200", schemas.Batch | schemas.CheckedBatch),
    ("get", "/v2/batch/{batch_id}"): ("200", schemas.Batch),
    ("post", "/v2/batch/{batch_id}/cancel"): ("200", schemas.Batch),
    ("post", "/v2/generate/languages"): ("201 200", schemas.Languages),
    **{
        ("post", f"/v2/generate/{{generation_id}}/{action}"): ("200", schemas.Generation)
        for action in ("cancel", "pause", "resume", "retry", "priority")
    },
    **farm_schemas.OK,
    **project_schemas.OK,
}

_EXAMPLES: Final = examples.EXAMPLES | farm_examples.EXAMPLES

#: What else an address answers.
_ALSO: Final[dict[tuple[str, str], dict[str, str]]] = {
    ("get", "/readyz"): {"503": "Not fit for work."},
    ("post", "/dashboard/sign-in"): {"303": "The answer to a form."},
}

#: Where a key is shown in the body, and may be refused though none is asked for.
_KEY_IN_BODY: Final = {"/dashboard/sign-in"}

_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same request sent again with the same key is done once.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._~-]{1,128}$"},
}

#: Parameters of many lists, that mean the same in each.
_PARAMETERS: Final = {
    "limit": "How many at the most.",
    "cursor": "Where the page before ended, as its answer said.",
    "created_after": "Created after this time.",
    "created_before": "Created before this time.",
}

_ID: Final = {"type": "string", "format": "uuid"}
_NUMBER: Final = {"type": "string", "pattern": "^[0-9]{1,18}$"}

_REF: Final = "#/components/schemas/{model}"


def install_document(app: FastAPI) -> None:
    """Have the application answer with the whole document; it is made when it is asked for."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=_DESCRIPTION.strip(),
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
    )
    shapes = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        shapes.pop(unused, None)  # refusals have one shape here
    _schema(schemas.Error, shapes)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation, shapes)
    return document


def _complete(path: str, method: str, operation: dict[str, Any], shapes: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["schema"] = _NUMBER if parameter["name"] == "step_id" else _ID
        elif parameter["name"] in _PARAMETERS:
            parameter.setdefault("description", _PARAMETERS[parameter["name"]])
    if method == "post" and (path in ORDERS or is_repeatable("POST", path)):
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    answers = operation["responses"]
    answers.pop("422", None)
    statuses, shape = _OK.get((method, path), ("", None))
    for status in statuses.split():
        answer = answers.setdefault(status, {"description": "The same as before."})
        described = {"schema": _schema(shape, shapes), "example": _example(shape)}
        answer["content"] = answer.get("content", {}) | {"application/json": described}
    if method == "post" and "201" in answers and is_repeatable("POST", path):
        answers.setdefault("200", {**answers["201"], "description": "The same as before."})
    for status, text in _ALSO.get((method, path), {}).items():
        answers[status] = {"description": text}
    _show_body(operation, shapes)
    for code in _refusals(path, method, operation):
        answers.setdefault(code, _refusal(code))


def _show_body(operation: dict[str, Any], shapes: dict[str, Any]) -> None:
    """The example of a body's model, where readers look for it; the body may be left out."""
    for shown in operation.get("requestBody", {}).get("content", {}).values():
        for schema in (shown["schema"], *shown["schema"].get("anyOf", ())):
            model = shapes.get(schema.get("$ref", "").removeprefix(_REF.format(model="")), {})
            if "examples" in model:
                shown.setdefault("example", model["examples"][0])


def _refusals(path: str, method: str, operation: dict[str, Any]) -> list[str]:
    """Statuses with which the address may refuse."""
    codes = []
    if operation.get("parameters") or method in {"post", "patch"}:
        codes.append("400")
    if "security" in operation:
        codes += ["401", "403", "429", "503"]
    if path in _KEY_IN_BODY:
        codes += ["401", "429"]
    if operation.get("parameters") or method == "post":
        codes.append("404")  # what the path, the query or the body names
    if "{" in path:
        codes.append("405")
    if method in {"post", "patch", "delete"}:
        codes.append("409")
    if method in {"post", "patch"}:
        codes += ["413", "415"]
    return codes


def _refusal(status: str) -> dict[str, Any]:
    code, entry = next((c, e) for c, e in REFUSALS.items() if e.status == int(status))
    example = {
        "statusCode": entry.status,
        "error": "…",
        "error_code": code,
        "message": entry.message,
        "suggestion": entry.suggestion,
    }
    content = {"schema": {"$ref": _REF.format(model="Error")}, "example": example}
    codes = [c for c, e in REFUSALS.items() if e.status == int(status)]
    return {
        "description": "Refused: " + ", ".join(codes) + ".",
        "content": {"application/json": content},
    }


def _example(shape: Any) -> Any:
    """What an answer of this shape may look like; of several shapes, the first."""
    if get_origin(shape) is list:
        return [_example(*get_args(shape))]
    if get_origin(shape) is not None:
        return _example(get_args(shape)[0])
    return _EXAMPLES[shape]


def _schema(shape: Any, shapes: dict[str, Any]) -> dict[str, Any]:
    """The shape's schema, what it refers to being among the document's."""
    schema = TypeAdapter(shape).json_schema(ref_template=_REF, mode="serialization")
    shapes.update(schema.pop("$defs", {}))
    if schema.get("type") == "object" and "title" in schema:
        shapes[schema["title"]] = schema
        return {"$ref": _REF.format(model=schema["title"])}
    return schema
