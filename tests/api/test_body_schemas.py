"""Bodies in the OpenAPI document: complete in themselves, and their examples are right."""

import jsonschema
import pytest

PATHS = ["/v2/batch", "/v2/generate/languages", "/v2/analyze/cost"]


@pytest.mark.parametrize("path", PATHS)
def test_a_body_is_described_and_its_example_fits(client, path):
    document = client.get("/v2/openapi.json").json()
    ((_, content),) = document["paths"][path]["post"]["requestBody"]["content"].items()
    assert "$defs" not in str(content["schema"])
    jsonschema.Draft202012Validator.check_schema(content["schema"])
    jsonschema.validate(content["example"], content["schema"])
