"""One title in several languages with one call: a batch, and a generation for each dialogue.

What is seen in the film (cuts, faces) is found once: artifacts are shared by their content.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.orm import Session

from api.batches.entering import enter_rows
from api.batches.rows import Row, checked_row
from api.bodies import media_type, read_body
from api.errors import RefusedError, describe_mistakes
from api.farm import Submitter
from api.options import Language, Options
from api.orders import idempotency_key
from api.output_names import name_of, safe_name
from api.requests import MAX_PRIORITY, MAX_URL_LENGTH, Input, Name
from api.s3_places import Allow
from infra.db.batches import NewBatch, begin_batch, finish_reading, lock_batch
from infra.db.jobs import ConflictError
from infra.db.models import Batch
from infra.db.projects import Caller

_MOST_LANGUAGES: Final = 200


class Dialogue(BaseModel):
    """The dialogue of one language.

    Attributes:
        language: tag of the dubbed track.
        url, assetId: one of them, where the recording is.
        outputFileName: of this language's output.
        priority: of this language; the request's unless given.
    """

    model_config = ConfigDict(extra="forbid")

    language: Language
    url: str | None = Field(None, max_length=MAX_URL_LENGTH)
    assetId: UUID | None = None  # noqa: N815 -- the wire's name
    outputFileName: Name | None = None  # noqa: N815
    priority: int | None = Field(None, ge=-MAX_PRIORITY, le=MAX_PRIORITY)


class LanguagesRequest(BaseModel):
    """An order for one film in several languages.

    Attributes:
        input: the film.
        dialogues: one for each language.
        model, options, webhookUrl, name, labels, priority: of every generation, as in an order for
            one.
    """

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(max_length=100)] = "auto"
    input: list[Input] = Field(min_length=1, max_length=100)
    dialogues: list[Dialogue] = Field(min_length=1, max_length=_MOST_LANGUAGES)
    options: Options = Field(default_factory=lambda: Options.model_validate({}))
    webhookUrl: Annotated[str, Field(max_length=MAX_URL_LENGTH)] | None = None  # noqa: N815
    name: Name | None = None
    labels: list[Name] = Field(default_factory=list, max_length=32)
    priority: int = Field(0, ge=-MAX_PRIORITY, le=MAX_PRIORITY)

    def title(self) -> str:
        """What people call the film."""
        places = [str(each.url or each.assetId) for each in self.input if each.type != "audio"]
        return self.name or safe_name(name_of(places[0] if places else ""), default="film")

    def orders(self) -> list[dict[str, Any]]:
        """An order for each dialogue, as it would be sent alone."""
        common = self.model_dump(mode="json", exclude={"dialogues"}, exclude_none=True)
        return [common | self._own_part(common, dialogue) for dialogue in self.dialogues]

    def _own_part(self, common: dict[str, Any], dialogue: Dialogue) -> dict[str, Any]:
        said = dialogue.model_dump(mode="json", exclude_none=True)
        audio = {"type": "audio"} | {
            name: said[name] for name in ("url", "assetId") if name in said
        }
        own = {"input": [*common["input"], audio], "language": dialogue.language}
        return own | {name: said[name] for name in ("outputFileName", "priority") if name in said}


@dataclass(frozen=True, slots=True)
class LanguagesOrder:
    """A request that was read and checked; ``digest`` tells two with one key apart."""

    request: LanguagesRequest
    idempotency_key: str | None
    digest: str


async def read_languages(request: Request, _caller: Submitter) -> LanguagesOrder:
    """Read the body.

    Raises:
        RefusedError: it is no such request.
    """
    key = idempotency_key(request)
    if media_type(request) not in {"application/json", ""}:
        raise RefusedError("content_type_unsupported", "send JSON")
    body = await read_body(request)
    if b"\\u0000" in body or b"\0" in body:
        raise RefusedError("request_invalid", "texts must not hold NUL characters")
    try:
        wanted = LanguagesRequest.model_validate_json(body)
    except ValidationError as error:
        malformed = any(mistake["type"] == "json_invalid" for mistake in error.errors())
        code = "request_invalid" if malformed else "generation_input_validation_failed"
        raise RefusedError(code, describe_mistakes(error)) from None
    digest = hashlib.sha256(wanted.model_dump_json(exclude_unset=True).encode()).hexdigest()
    return LanguagesOrder(wanted, key, digest)


LanguagesIn = Annotated[LanguagesOrder, Depends(read_languages)]


def submit_languages(
    session: Session, caller: Caller, order: LanguagesOrder, allow: Allow
) -> tuple[Batch, bool]:
    """Order all languages, or none; ``allow`` refuses inputs' URLs the caller may not name.

    Returns:
        The batch, and whether it is new; with a known idempotency key it is the earlier one.

    Raises:
        RefusedError: one of the orders cannot be right, or the key was another request's.
    """
    new = NewBatch(
        kind="languages",
        name=order.request.title(),
        idempotency_key=order.idempotency_key,
        request_digest=order.digest,
    )
    try:
        batch = begin_batch(session, caller.project_id, new)
    except ConflictError as error:
        raise RefusedError("idempotency_key_conflict", str(error)) from None
    if batch.read_at is not None:
        return batch, False
    batch = lock_batch(session, caller.project_id, batch.id)
    for row in enter_rows(session, batch, _rows(order.request), allow):
        if row.error_code is not None:
            raise RefusedError(row.error_code, f"{row.language}: {row.error_message}")
    return finish_reading(session, caller.project_id, batch.id), True


def _rows(request: LanguagesRequest) -> list[Row]:
    title = request.title()
    rows = []
    for number, order in enumerate(request.orders(), start=1):
        row = Row(number, order["language"], title, order["language"])
        try:
            rows.append(checked_row(row, order))
        except ValidationError as error:
            raise RefusedError(
                "generation_input_validation_failed",
                f"{row.language}: {describe_mistakes(error)}",
            ) from None
    return rows
