"""The job a request is about; of another project's there is none."""

import contextlib
from collections.abc import Iterator

from sqlalchemy.orm import Session

from api.errors import RefusedError
from api.orders import parse_id
from infra.db.jobs import get_job
from infra.db.models import Job
from infra.db.projects import Caller
from infra.errors import NotFoundError


def the_job(session: Session, caller: Caller, generation_id: str) -> Job:
    """The job of that id.

    Raises:
        RefusedError: the caller's project has none.
    """
    with found(generation_id):
        return get_job(session, caller.project_id, parse_id(generation_id, "generation_not_found"))


@contextlib.contextmanager
def found(generation_id: str) -> Iterator[None]:
    """A job that is not found is refused as such."""
    try:
        yield
    except NotFoundError:
        raise RefusedError(
            "generation_not_found", f"there is no generation {generation_id} in your project"
        ) from None
