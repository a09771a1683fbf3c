"""Inputs named as ``s3://bucket/key``: who may name what, and whether it is there."""

from collections.abc import Callable, Iterable

from api.errors import RefusedError
from api.farm import Farm
from infra.db.projects import Caller
from infra.errors import FetchError
from infra.storage.s3_inputs import SCHEME, is_allowed, parse_location, verify

#: Refuses an input's URL that its sender may not name; says nothing of others.
Allow = Callable[[str], None]


def allowed_to(farm: Farm, caller: Caller) -> Allow:
    """What this caller may name.

    The function raises RefusedError. An address that is no ``s3://`` is none of its business: where
    that leads is checked when it is fetched.
    """

    def allow(url: str) -> None:
        if not url.startswith(SCHEME):
            return
        location = parse_location(url)
        if not is_allowed(farm.settings, caller.project_id, caller.project_name, location):
            raise RefusedError(
                "asset_inaccessible", f"{location}: your project may not name that place"
            )

    return allow


def verify_places(farm: Farm, caller: Caller, urls: Iterable[str | None]) -> None:
    """Look whether what is named in buckets may be, and is there; asks the bucket.

    Raises:
        RefusedError: it may not, or is not.
    """
    allow = allowed_to(farm, caller)
    for url in urls:
        if url is not None and url.startswith(SCHEME):
            allow(url)
            try:
                verify(farm.store, parse_location(url))
            except FetchError as error:
                raise RefusedError("asset_inaccessible", str(error)) from None
