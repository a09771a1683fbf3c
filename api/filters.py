"""Which generations a request means: by status, label, language, text and time."""

from collections.abc import Iterable
from typing import Annotated, Final, get_args
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from api.options import Language
from api.requests import Name
from api.words import words_of
from infra.db.finding import ATTENTION, REST, Order, Wanted
from infra.db.states import JobState
from infra.wire import STATUS_OF

_STATUSES: Final = tuple(dict.fromkeys(STATUS_OF.values()))
_STATES: Final[tuple[JobState, ...]] = get_args(JobState)

#: Sections of the lists a cursor may be of, by their order.
SECTIONS: Final[dict[Order, tuple[str, ...]]] = {
    "newest": ("",),
    "oldest": ("",),
    "attention": (ATTENTION, REST),
}

#: Names must not hold what no column holds.
_Text = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]


class GenerationFilter(BaseModel):
    """Generations that are all of this; without anything, all of the project's.

    Lists may come with commas between their words.
    """

    status: list[str] | None = Field(
        None, description=f"Any of {', '.join(_STATUSES)}.", examples=[["PENDING", "PROCESSING"]]
    )
    state: list[str] | None = Field(
        None, description=f"Any of the farm's own words: {', '.join(_STATES)}."
    )
    label: list[Name] | None = Field(None, max_length=32, description="All of these labels.")
    language: Language | None = Field(None, description="Tag of the dubbed track, as ordered.")
    batchId: UUID | None = Field(None, description="Of that batch.")  # noqa: N815 -- the wire's
    attention: bool | None = Field(None, description="Whether a person is needed.")
    q: _Text | None = Field(None, description="In the name; or the beginning of the id.")
    created_after: AwareDatetime | None = None
    created_before: AwareDatetime | None = None

    @field_validator("status", "state", mode="before")
    @classmethod
    def _without_commas(cls, value: object) -> object:
        return _split(value)

    @field_validator("status")
    @classmethod
    def _are_statuses(cls, value: list[str] | None) -> list[str] | None:
        return None if value is None else _known([word.upper() for word in value], _STATUSES)

    @field_validator("state")
    @classmethod
    def _are_states(cls, value: list[str] | None) -> list[str] | None:
        return None if value is None else _known([word.lower() for word in value], _STATES)

    def wanted(self) -> Wanted:
        """The same as the database is asked."""
        return Wanted(
            states=self._states(),
            labels=tuple(self.label or ()),
            language=self.language,
            batch_id=self.batchId,
            attention=self.attention,
            text=self.q,
            created_after=self.created_after,
            created_before=self.created_before,
        )

    def _states(self) -> frozenset[JobState] | None:
        if not self.status and not self.state:
            return None
        return frozenset(
            state
            for state in _STATES
            if (not self.status or STATUS_OF[state] in self.status)
            and (not self.state or state in self.state)
        )


class StrictFilter(GenerationFilter):
    """The same in a body, where a word nobody knows is a mistake: too much would be found."""

    model_config = ConfigDict(extra="forbid")


class ListQuery(GenerationFilter):
    """A page of generations."""

    ids: list[str] | None = Field(None, description="Any of these; at most 100.")
    order: Order = Field("newest", description="``attention``: those that need a person first.")
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=200, description="Of the page before.")

    @field_validator("ids", mode="before")
    @classmethod
    def _ids_without_commas(cls, value: object) -> object:
        return _split(value)


def _split(value: object) -> object:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        return value
    return words_of(value)


def _known(words: Iterable[str], known: tuple[str, ...]) -> list[str]:
    given = list(dict.fromkeys(words))
    if strange := [word for word in given if word not in known]:
        raise ValueError(f"{', '.join(strange)[:100]}: it is any of {', '.join(known)}")
    return given
