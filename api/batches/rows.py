"""A record of a batch's file as an order, checked as one sent alone would be.

Lines of lip-sync clients are ``{request_id, endpoint, payload}``. A catalogue's have the columns of
:class:`CatalogueRow`, and any option of a generation as a column of its own.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from api.batches.lines import Record
from api.errors import RefusedError, describe_mistakes
from api.inputs import Inputs, choose_inputs
from api.options import Language, Options
from api.requests import MAX_NAME_LENGTH, MAX_PRIORITY, MAX_URL_LENGTH, GenerationRequest, Name
from infra.db.batches import BatchKind

#: What a row of a client's file may ask for.
ENDPOINT: Final = "/v2/generate"

#: A mistake may hold names the row has; it is shown, and kept.
_LONGEST_MISTAKE: Final = 1000

_OPTIONS: Final = frozenset(Options.model_fields) - {"language"}

#: Columns of people's own words.
_WORDS: Final = frozenset({"title", "request_id", "output_name", "label", "labels"})

#: What a field of an order is called in a catalogue.
_COLUMN_OF: Final = {
    "input.0": "video",
    "input.1": "audio",
    "outputFileName": "output_name",
    "options.": "",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A row that was read: a request with its inputs, or a code and what is wrong."""

    number: int
    request_id: str | None
    title: str | None
    language: str | None
    request: GenerationRequest | None = None
    inputs: Inputs | None = None
    code: str | None = None
    mistake: str | None = None

    def refused(self, code: str, mistake: str) -> "Row":
        """The same row, without its request."""
        shown = mistake.encode(errors="replace").decode().replace("\0", "")[:_LONGEST_MISTAKE]
        return Row(
            self.number, self.request_id, self.title, self.language, code=code, mistake=shown
        )


class _RequestLine(BaseModel):
    model_config = ConfigDict(extra="forbid")

    request_id: Name
    endpoint: str
    payload: dict[str, Any]


def _from_cell(value: object) -> object:
    """Lists and objects stand in a table's cell as JSON."""
    if isinstance(value, str) and value.startswith(("[", "{")):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("it is no JSON") from None
    return value


def _labels(value: object) -> object:
    if isinstance(value, str) and not value.startswith("["):
        return [label.strip() for label in value.split("|") if label.strip()]
    return _from_cell(value)


class CatalogueRow(BaseModel):
    """One title in one language.

    Attributes:
        title: of the film, for people.
        language: tag of the dubbed track.
        video, audio: an address (https, s3) or an asset's id.
        request_id: the row's own name; title and language unless given.
        output_name: of the output; the extension chooses the container.
        labels: a list, or words with ``|`` between them.
        priority: higher goes first.
        model: the network.
        options: a JSON object; or each option as a column of its own.
    """

    model_config = ConfigDict(extra="forbid")

    title: Name
    language: Language | None = None
    video: Annotated[str, Field(min_length=1, max_length=MAX_URL_LENGTH)]
    audio: Annotated[str, Field(min_length=1, max_length=MAX_URL_LENGTH)]
    request_id: Name | None = None
    output_name: Name | None = None
    label: Name | None = None
    labels: Annotated[list[Name], BeforeValidator(_labels)] = Field(
        default_factory=list, max_length=32
    )
    priority: int = Field(0, ge=-MAX_PRIORITY, le=MAX_PRIORITY)
    model: Annotated[str, Field(max_length=100)] = "auto"
    options: Annotated[dict[str, Any], BeforeValidator(_from_cell)] = Field(default_factory=dict)

    def order(self, options: dict[str, Any]) -> dict[str, Any]:
        """The fields of the order it is."""
        return {
            "model": self.model,
            "input": [_input("video", self.video), _input("audio", self.audio)],
            "options": self.options | options,
            "outputFileName": self.output_name,
            "name": self.title,
            "labels": self.labels + ([self.label] if self.label else []),
            "language": self.language,
            "priority": self.priority,
        }


#: What a catalogue's first line, or the objects in its lines, may name.
COLUMNS: Final = frozenset(CatalogueRow.model_fields) | _OPTIONS


_NEEDED: Final = frozenset(
    name for name, field in CatalogueRow.model_fields.items() if field.is_required()
)


def check_columns(columns: Collection[str]) -> None:
    """Refuse a table with a column nobody knows, or without one it needs, at its first line.

    Raises:
        RefusedError: it is so.
    """
    strange, missing = set(columns) - COLUMNS, _NEEDED - set(columns)
    if strange:
        raise RefusedError(
            "batch_invalid_csv",
            f"there is no column {', '.join(sorted(strange))[:200]}; there are "
            f"{', '.join(sorted(COLUMNS))}",
        )
    if missing:
        raise RefusedError("batch_invalid_csv", f"there is no column {', '.join(sorted(missing))}")


def kind_of(values: Mapping[str, Any]) -> Literal["requests", "catalogue"]:
    """What a file is whose first record is this."""
    return "catalogue" if {"video", "audio", "title"} & values.keys() else "requests"


def read_row(kind: BatchKind, record: Record) -> Row:
    """The record as an order; or what is wrong with it."""
    values = record.values
    row = Row(
        record.number,
        _word(values.get("request_id")),
        _word(values.get("title")),
        _word(values.get("language")),
    )
    if record.mistake is not None:
        return row.refused(record.code, record.mistake)
    try:
        return _catalogue_row(row, values) if kind == "catalogue" else _request_row(row, values)
    except ValidationError as error:
        return row.refused("generation_input_validation_failed", _in_columns(kind, error))
    except RefusedError as error:
        return row.refused(error.code, str(error))


def checked_row(row: Row, order: Mapping[str, Any]) -> Row:
    """A row with its order in it.

    Raises:
        ValidationError: a field of the order is wrong.
        RefusedError: it cannot be right.
    """
    request = GenerationRequest.model_validate(order)
    request.network()
    settled = request.settled_options()
    inputs = choose_inputs(request, {})
    title = row.title or request.name
    return Row(row.number, row.request_id, title, settled.language, request, inputs)


def _request_row(row: Row, values: Mapping[str, Any]) -> Row:
    try:
        line = _RequestLine.model_validate(values)
    except ValidationError as error:
        return row.refused("batch_invalid_jsonl", describe_mistakes(error))
    if line.endpoint.rstrip("/") != ENDPOINT:
        return row.refused(
            "batch_invalid_endpoint", f"the endpoint is {ENDPOINT}, not {line.endpoint[:100]!r}"
        )
    named = Row(row.number, row.request_id, _word(line.payload.get("name")) or row.request_id, None)
    return checked_row(named, line.payload)


def _catalogue_row(row: Row, values: Mapping[str, Any]) -> Row:
    values = {name: _number_as_text(name, value) for name, value in values.items()}
    options = {name: _option(name, values[name]) for name in _OPTIONS & values.keys()}
    line = CatalogueRow.model_validate({n: v for n, v in values.items() if n not in options})
    name = line.request_id or "/".join(filter(None, (line.title, line.language)))
    return checked_row(
        Row(row.number, name[:MAX_NAME_LENGTH], line.title, line.language), line.order(options)
    )


def _number_as_text(name: str, value: object) -> object:
    """Without the apostrophe people put before a number; the film '71 keeps it."""
    is_marked = isinstance(value, str) and re.fullmatch(r"'\d[\d.]*", value)
    return value[1:] if is_marked and name not in _WORDS else value  # type: ignore[index]


def _option(name: str, value: object) -> object:
    try:
        return _from_cell(value)
    except ValueError as error:
        raise RefusedError("generation_input_validation_failed", f"{name}: {error}") from None


def _input(kind: str, place: str) -> dict[str, str]:
    try:
        return {"type": kind, "assetId": str(UUID(place))}
    except ValueError:
        return {"type": kind, "url": place}


def _word(value: object) -> str | None:
    """Something of a row that may be wrong, fit to be shown."""
    if not isinstance(value, str):
        return None
    shown = value.encode(errors="replace").decode().replace("\0", "").strip()
    return shown[:MAX_NAME_LENGTH] or None


def _in_columns(kind: BatchKind, error: ValidationError) -> str:
    message = describe_mistakes(error)
    if kind == "catalogue":
        for field, column in _COLUMN_OF.items():
            message = message.replace(field, column)
    return message
