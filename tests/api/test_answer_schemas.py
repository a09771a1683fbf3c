"""What addresses answer has the shape that the OpenAPI document tells of."""

from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from api.openapi import _OK
from tests.api.world import World
from tests.closed_schemas import closed

#: Of what no world has: an upload under way, and the report of a film that was made, which
#: tests/pipeline/steps/test_left_out.py looks at.
_UNMADE = {"/v2/assets/uploads/{upload_id}", "/v2/generate/{generation_id}/report"}


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        pytest.param(path, shape, id=path)
        for (method, path), (_, shape) in _OK.items()
        if method == "get" and path not in _UNMADE
    ],
)
def test_an_answer_has_the_shape_it_is_said_to_have(
    admin: httpx.Client, world: World, path: str, shape: Any
) -> None:
    answer = admin.get(world.path(path), params={"format": "json"} if "events" in path else {})
    assert answer.status_code == 200, answer.text
    told = closed(TypeAdapter(shape).json_schema(mode="serialization"))
    Draft202012Validator(told).validate(answer.json())
