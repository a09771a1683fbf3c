"""Assets as clients send, see and page through them."""

import base64
import binascii
import json
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator

from api.errors import RefusedError
from api.farm import Farm
from api.requests import MAX_URL_LENGTH, Name, check_input_url
from api.times import wire_time
from api.uploads import PICTURE_EXTENSIONS
from api.words import words_of
from infra.db.asset_lists import SORTS, Page, Sort, Value, value_of
from infra.db.assets import AssetKind
from infra.db.models import Asset

#: How long the address of an asset works.
URL_SECONDS: Final = 3600

_EXTENSIONS: Final[dict[AssetKind, str]] = {
    "video": "mp4 m4v mov mkv webm avi mxf ts m2ts mts mpg mpeg vob wmv flv ogv 3gp nut",
    "audio": "wav mp3 m4a aac flac ogg oga opus aif aiff ac3 eac3 w64 caf wma mka",
    "image": PICTURE_EXTENSIONS,
}
_KIND_OF: Final[dict[str, AssetKind]] = {
    extension: kind for kind, listed in _EXTENSIONS.items() for extension in listed.split()
}

_LARGEST: Final = 2**63 - 1


class Registration(BaseModel):
    """An asset from an address: a file just uploaded, one to be fetched, or one in a bucket."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": "s3://media-in/film.mov", "type": "video"}]},
    )

    url: str = Field(max_length=MAX_URL_LENGTH, description="http, https or s3.")
    type: AssetKind | None = Field(None, description="By the name's extension, unless given.")
    name: Name | None = None
    projectId: str | None = Field(  # noqa: N815 -- the wire's name
        None, max_length=100, description="Without effect: a key is of one project."
    )

    @field_validator("type", mode="before")
    @classmethod
    def _in_any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("url")
    @classmethod
    def _is_fetchable(cls, value: str) -> str:
        return check_input_url(value)


class AssetQuery(BaseModel):
    """A page of assets."""

    types: list[AssetKind] = Field(default_factory=list, description="Any of these.")
    searchQuery: str | None = Field(  # noqa: N815 -- the wire's name
        None, max_length=200, pattern=r"^[^\x00]*$", description="In the name."
    )
    sortBy: Sort = Field("dateDesc", description="Which come first.")  # noqa: N815 -- the wire's name
    limit: int = Field(50, ge=1, le=100)
    cursor: str | None = Field(None, max_length=2000, description="Of the page before.")
    projectId: str | None = Field(  # noqa: N815 -- the wire's name
        None, max_length=100, description="Without effect: a key is of one project."
    )

    @field_validator("types", mode="before")
    @classmethod
    def _without_commas(cls, value: object) -> object:
        given = [value] if isinstance(value, str) else value
        if not isinstance(given, list):
            return value
        return [str(word).lower() for word in words_of(given)]

    def page(self) -> Page:
        """What the database is asked; one row more than the page, to see whether another follows.

        Raises:
            RefusedError: the cursor is none of this list's.
        """
        after = None if self.cursor is None else _parse_cursor(self.cursor, self.sortBy)
        return Page(self.types, self.searchQuery, self.sortBy, after, self.limit + 1)


def kind_of(name: str, content_type: str = "") -> AssetKind:
    """What a file is, by what is said of it.

    Raises:
        RefusedError: that tells nothing.
    """
    for kind in _EXTENSIONS:
        if content_type.lower().startswith(f"{kind}/"):
            return kind
    extension = PurePosixPath(name).suffix.lower().lstrip(".")
    if extension not in _KIND_OF:
        raise RefusedError("request_invalid", "type: say whether it is video, audio or image")
    return _KIND_OF[extension]


def asset_answer(farm: Farm, asset: Asset) -> dict[str, Any]:
    """An asset, with an address to download it from."""
    url = asset.source_url
    if asset.object_key is not None:
        url = farm.store.presigned_get(asset.object_key, asset.name, URL_SECONDS)
    created = wire_time(asset.created_at)
    return {
        "id": str(asset.id),
        "createdAt": created,
        "updatedAt": created,
        "name": asset.name,
        "url": url,
        "size": asset.size_bytes,
        "format": PurePosixPath(asset.name).suffix.lstrip(".").lower() or None,
        "type": asset.kind.upper(),
        "inputType": "URL" if asset.source_url is not None else "UPLOAD",
        "visibility": "ORGANIZATION",
        "sha256": asset.sha256,
    }


def cursor_after_asset(asset: Asset, sort: Sort) -> str:
    """The cursor of the page after an asset."""
    value = value_of(asset, sort)
    plain = value.isoformat() if isinstance(value, datetime) else value
    text = json.dumps([sort, plain, str(asset.id)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _parse_cursor(text: str, sort: Sort) -> tuple[Value, UUID]:
    try:
        padded = text + "=" * (-len(text) % 4)
        decoded = base64.b64decode(padded, altchars=b"-_", validate=True)
        made_for, plain, asset_id = json.loads(decoded)
        if made_for != sort or made_for not in SORTS:
            raise ValueError("of a list in another order")
        return _value(sort, plain), UUID(asset_id)
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise RefusedError("request_invalid", "cursor: it is not one of this list's") from None


def _value(sort: Sort, plain: object) -> Value:
    if sort.startswith("date"):
        when = datetime.fromisoformat(str(plain))
        if when.tzinfo is None:
            raise ValueError("naive")
        return when
    if sort.startswith(("size", "duration")):
        if type(plain) is not int or not 0 <= plain <= _LARGEST:
            raise ValueError("no size")
        return plain
    if not isinstance(plain, str) or "\0" in plain:
        raise ValueError("no text")
    plain.encode()  # half of a surrogate pair is no text for a database
    return plain
