"""JSON schemas that allow no fields but those they name."""

from typing import Any


def closed(schema: Any) -> Any:
    """The same schema with no fields but those it names."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    fields = {name: closed(value) for name, value in schema.items()}
    return fields | {"additionalProperties": False} if "properties" in fields else fields
