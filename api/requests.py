"""What clients send: the shapes of ``/v2`` requests, checked as they come in."""

import ipaddress
import re
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator

from api.errors import RefusedError
from api.options import Language, Options
from api.output_names import check_output_name
from api.timelines import MAX_SEGMENTS, Segment
from infra.settings import Settings
from infra.storage.s3_inputs import SCHEME, parse_location

#: The farm's own networks; ``auto`` takes the best it has.
Network = Literal["auto", "wav2lip", "draft"]
NETWORKS: Final[tuple[Network, ...]] = get_args(Network)

#: Names existing clients are configured with; each means ``auto`` here.
FOREIGN_MODELS: Final = frozenset(
    {"lipsync-2", "lipsync-2-pro", "lipsync-1.9.0-beta", "react-1", "sync-3"}
)

MAX_URL_LENGTH = 8192
MAX_NAME_LENGTH = 255
MAX_PRIORITY = 1000

IDEMPOTENCY_KEY: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH, pattern=r"^[^\x00-\x1f]*$")]


class _Strict(BaseModel):
    """A field nobody knows is a mistake, not something to pass over."""

    model_config = ConfigDict(extra="forbid")


class Input(_Strict):
    """One input: a film or a dialogue, by URL or as an asset."""

    type: Literal["video", "audio", "image", "text"]
    url: str | None = Field(None, max_length=MAX_URL_LENGTH)
    assetId: UUID | None = None  # noqa: N815 -- the wire's name
    refId: Annotated[str, Field(max_length=MAX_NAME_LENGTH)] | None = None  # noqa: N815
    provider: dict[str, Any] | None = None
    segments_secs: list[Any] | None = None
    segments_frames: list[Any] | None = None

    @field_validator("url")
    @classmethod
    def _is_fetchable(cls, value: str | None) -> str | None:
        return None if value is None else check_input_url(value)

    def place(self) -> "str | UUID":
        """Where it is.

        Raises:
            RefusedError: it says both, or neither.
        """
        given = [place for place in (self.url, self.assetId) if place is not None]
        if len(given) != 1:
            raise RefusedError(
                "generation_input_validation_failed",
                f"the {self.type} input needs either url or assetId",
            )
        return given[0]


class GenerationRequest(_Strict):
    """An order for one dub.

    Attributes:
        model: the network.
        input: one film, and a dialogue, or several with ``segments``; what is uploaded beside the
            JSON is not in it.
        options: how to dub.
        segments: parts of the film with the audio of each; the rest keeps picture and sound.
            Without any, the dialogue goes over the whole film.
        webhookUrl: told when the job ends.
        outputFileName: of the output; the extension chooses the container.
        name: for people; the source's name if none is given.
        labels: for finding jobs again.
        language: tag of the dubbed track; the same as ``options.language``.
        priority: higher goes first.
    """

    model: Annotated[str, Field(max_length=100)] = "auto"
    input: list[Input] = Field(default_factory=list, max_length=100)
    options: Options = Field(default_factory=lambda: Options.model_validate({}))
    segments: list[Segment] | None = Field(None, max_length=MAX_SEGMENTS)
    webhookUrl: Annotated[str, Field(max_length=MAX_URL_LENGTH)] | None = None  # noqa: N815
    outputFileName: Name | None = None  # noqa: N815
    name: Name | None = None
    labels: list[Name] = Field(default_factory=list, max_length=32)
    language: Language | None = None
    priority: int = Field(0, ge=-MAX_PRIORITY, le=MAX_PRIORITY)

    @field_validator("webhookUrl")
    @classmethod
    def _is_a_webhook(cls, value: str | None) -> str | None:
        return None if value is None else check_url(value)

    @field_validator("outputFileName")
    @classmethod
    def _has_a_container(cls, value: str | None) -> str | None:
        return None if value is None else check_output_name(value)

    @field_validator("options", mode="before")
    @classmethod
    def _may_be_absent(cls, value: object) -> object:
        return {} if value is None else value

    def network(self) -> Network:
        """The network it names.

        Raises:
            RefusedError: the farm has none of that name.
        """
        for network in NETWORKS:
            if self.model == network:
                return network
        if self.model in FOREIGN_MODELS:
            return "auto"
        raise RefusedError(
            "generation_unsupported_model",
            f"model: {self.model!r} is none of {', '.join(NETWORKS)}",
        )

    def settled_options(self) -> Options:
        """The options with the request's own ``language`` in them."""
        if self.language is None or self.language == self.options.language:
            return self.options
        if self.options.language is not None:
            raise RefusedError(
                "generation_input_validation_failed",
                f"language is {self.language!r} and options.language {self.options.language!r}",
            )
        return self.options.model_copy(update={"language": self.language})

    def warnings(self) -> list[str]:
        """What was asked for and has no effect here, one line each."""
        told = self.options.warnings()
        if self.segments and self.options.sync_mode in {"loop", "bounce", "remap"}:
            told.append("options.sync_mode has no effect with segments: the film keeps its length")
        speaker = self.options.active_speaker_detection
        if speaker is not None and speaker.coordinates is not None:
            told.append(
                "options.active_speaker_detection: a face is not recognised from shot to shot; "
                "only the shot of frame_number is dubbed, boxes choose in every shot"
            )
        return told


def check_input_url(url: str) -> str:
    """The URL of an input: http, https, or an object of a bucket the farm may read.

    Raises:
        ValueError: it is none of these.
    """
    if url.startswith(SCHEME):
        parse_location(url)
        return url
    return check_url(url)


def check_url(url: str) -> str:
    """The URL, if the farm may try to fetch it.

    Where the name leads is checked when it is fetched; here only what can be seen in it.

    Raises:
        ValueError: it is no plain http or https URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("it is no URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("it is http://… or https://…; upload files instead of naming them")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it must not hold a user name or password; sign the URL instead")
    if re.search(r"[\s\x00-\x1f\x7f]", url) or port == 0:
        raise ValueError("it is no URL")
    with_brackets = parts.netloc.startswith("[")
    if with_brackets:
        ipaddress.IPv6Address(parts.hostname.partition("%")[0])
    return url


def check_webhook(settings: Settings, field: str, url: str | None) -> None:
    """Refuse an address that would never be told of anything.

    Raises:
        RefusedError: it is not https, and the farm speaks to no others.
    """
    if url is not None and not url.startswith("https://") and not settings.webhook_http:
        raise RefusedError("request_invalid", f"{field}: it must begin with https://")
