"""The OpenAPI document says what there is: every address, every refusal, with words for each."""

import csv
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from api.app import create_app
from api.catalogue import REFUSALS
from infra.batch_results import COLUMNS
from infra.db.session import Database
from infra.settings import Settings
from infra.storage.objects import ObjectStore

METHODS = {"get", "post", "put", "patch", "delete"}

#: Ids by the library; times here, for it knows them only with a further package.
FORMATS = FormatChecker()


@FORMATS.checks("date-time", raises=ValueError)
def _is_a_time(shown: object) -> bool:
    return not isinstance(shown, str) or datetime.fromisoformat(shown).tzinfo is not None


def _document() -> dict[str, Any]:
    """Nothing is asked of a farm's parts for it."""
    settings = Settings(database_url="postgresql://u@h/d", redis_url="redis://h:1/0")
    app = create_app(settings, Database(settings.database_url), ObjectStore(settings))
    return app.openapi()


DOCUMENT = _document()


def operations() -> Iterator[Any]:
    for path, item in DOCUMENT["paths"].items():
        for method in sorted(item.keys() & METHODS):
            yield pytest.param(path, item[method], id=f"{method.upper()} {path}")


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


@pytest.mark.parametrize(("path", "operation"), list(operations()))
def test_an_address_is_described_with_a_tag_its_refusals_and_an_answer(path, operation):
    described = {tag["name"] for tag in DOCUMENT["tags"]}
    assert operation["description"]
    assert set(operation["tags"]) <= described
    answers = operation["responses"]
    assert any(status[0] in "23" for status in answers)
    assert "422" not in answers
    if "security" in operation:
        assert {"401", "403", "429"} <= set(answers)
    if "{" in path:
        assert "404" in answers
    for parameter in operation.get("parameters", ()):
        assert parameter["in"] == "path" or parameter["description"], parameter["name"]
    for status, answer in answers.items():
        assert answer["description"]
        if status[0] == "4":
            (content,) = answer["content"].values()
            assert content["schema"] == {"$ref": "#/components/schemas/Error"}
            example = content["example"]
            assert REFUSALS[example["error_code"]].status == example["statusCode"] == int(status)


def _conforms(shown: dict[str, Any]) -> None:
    """The example of a media type is one of its schema, formats such as times among it."""
    whole = shown["schema"] | {"components": DOCUMENT["components"]}
    Draft202012Validator(whole, format_checker=FORMATS).validate(shown["example"])


@pytest.mark.parametrize(("path", "operation"), list(operations()))
def test_an_answer_and_a_body_are_shown_by_an_example_of_their_shape(path, operation):
    answers = [a for status, a in operation["responses"].items() if status[0] == "2"]
    for content in [*answers, operation.get("requestBody", {})]:
        for media_type, shown in content.get("content", {}).items():
            if media_type == "application/json":
                assert shown["schema"], f"{path} does not say what its JSON is"
                _conforms(shown)
            elif media_type != "multipart/form-data":
                assert shown["example"], f"{path} does not show its {media_type}"


@pytest.mark.parametrize("name", ["id", "createdAt"])
def test_an_example_with_an_id_or_a_time_that_is_none_is_noticed(name):
    answers = DOCUMENT["paths"]["/v2/generate/{generation_id}"]["get"]["responses"]
    shown = answers["200"]["content"]["application/json"]
    with pytest.raises(ValidationError):
        _conforms(shown | {"example": shown["example"] | {name: "yesterday"}})


def test_an_example_that_is_not_of_its_shape_is_noticed():
    (shown,) = (
        answer["content"]["application/json"]
        for answer in [DOCUMENT["paths"]["/healthz"]["get"]["responses"]["200"]]
    )
    with pytest.raises(ValidationError):
        _conforms(shown | {"example": {"status": "fine"}})


def test_the_result_of_a_batch_is_shown_as_lines_and_as_a_table():
    result = DOCUMENT["paths"]["/v2/batch/{batch_id}/result"]["get"]["responses"]["200"]
    assert result["content"].keys() == {"application/x-ndjson", "text/csv"}
    head, row = csv.reader(result["content"]["text/csv"]["example"].splitlines())
    assert head == list(COLUMNS)
    assert len(row) == len(head)


def test_what_is_referred_to_is_there():
    shapes = DOCUMENT["components"]["schemas"]
    for reference in references(DOCUMENT):
        assert reference.removeprefix("#/components/schemas/") in shapes, reference


def test_what_needs_a_key_says_so_and_what_does_not_is_known():
    """An address without a key must be meant."""
    open_to_all = {
        path
        for path, item in DOCUMENT["paths"].items()
        for method in item.keys() & METHODS
        if "security" not in item[method]
    }
    assert open_to_all == {
        "/v2/errors",
        "/healthz",
        "/readyz",
        "/metrics",
        "/dashboard/sign-in",
    }


def test_every_post_can_be_sent_again_by_what_the_document_says():
    for path, item in DOCUMENT["paths"].items():
        if "post" in item and path.startswith("/v2/") and path != "/v2/analyze/cost":
            names = {p["name"] for p in item["post"]["parameters"]}
            assert "Idempotency-Key" in names, path
