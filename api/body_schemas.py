"""Bodies an endpoint reads or writes by itself, as the OpenAPI document shows them."""

from typing import Any

from pydantic import BaseModel


def json_body(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """``openapi_extra`` of an endpoint that takes JSON of a model."""
    return _body("application/json", _inlined(model), example)


def form_body(
    model: type[BaseModel], files: dict[str, str], example: dict[str, Any]
) -> dict[str, Any]:
    """``openapi_extra`` of an endpoint that takes a multipart form: a model's fields and files.

    Args:
        model: of the fields beside the files.
        files: what each file is, by its field; all of them are needed.
        example: of the fields.
    """
    schema = _inlined(model)
    for name, description in files.items():
        schema["properties"][name] = {
            "type": "string",
            "format": "binary",
            "description": description,
        }
    schema["required"] = [*schema.get("required", ()), *files]
    return _body("multipart/form-data", schema, example)


def either_body(*bodies: dict[str, Any]) -> dict[str, Any]:
    """``openapi_extra`` of an endpoint that takes any of these."""
    content = {
        media_type: body
        for each in bodies
        for media_type, body in each["requestBody"]["content"].items()
    }
    return {"requestBody": {"required": True, "content": content}}


def files_body(files: dict[str, str], *, one: bool = False) -> dict[str, Any]:
    """``openapi_extra`` of an endpoint that takes a form with nothing but files.

    Args:
        files: what each file is, by its field.
        one: exactly one of them is sent; otherwise all are.
    """
    binary = {"type": "string", "format": "binary"}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: binary | {"description": text} for name, text in files.items()},
        "additionalProperties": False,
    }
    if one:
        schema |= {"minProperties": 1, "maxProperties": 1}
    else:
        schema["required"] = list(files)
    content = {"multipart/form-data": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


def shown(examples: dict[str, str]) -> dict[int | str, dict[str, Any]]:
    """``responses`` of an endpoint that answers with text, and not, or not only, with JSON.

    Args:
        examples: by media type.
    """
    content = {
        media_type: {"schema": {"type": "string"}, "example": example}
        for media_type, example in examples.items()
    }
    return {200: {"content": content}}


def _body(media_type: str, schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    content = {media_type: {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def _inlined(model: type[BaseModel]) -> dict[str, Any]:
    """The model's schema with the definitions where they are used: there is one document."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    inlined: dict[str, Any] = _resolved(schema, definitions)
    return inlined


def _resolved(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_resolved(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref", "")
    if reference.startswith("#/$defs/"):
        rest = {name: value for name, value in node.items() if name != "$ref"}
        return _resolved(definitions[reference.rpartition("/")[2]], definitions) | rest
    return {name: _resolved(value, definitions) for name, value in node.items()}
