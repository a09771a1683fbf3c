"""Times as clients read them."""

from datetime import datetime
from typing import overload


@overload
def wire_time(when: datetime) -> str: ...
@overload
def wire_time(when: None) -> None: ...
@overload
def wire_time(when: datetime | None) -> str | None: ...
def wire_time(when: datetime | None) -> str | None:
    """ISO 8601 in UTC, with ``Z``."""
    return None if when is None else when.isoformat().replace("+00:00", "Z")
