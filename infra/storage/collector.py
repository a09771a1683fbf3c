"""Garbage in the bucket: unfinished and uncommitted uploads, unused artifacts, deleted jobs' films.

An object is garbage when no row says that it counts and it is older than any upload under way; both
are asked again right before it is deleted.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from infra.crash_points import crash_point
from infra.db.garbage import (
    forget_old_uploads,
    forget_unused_artifacts,
    keys_that_count,
    unused_artifacts,
)
from infra.db.session import Database
from infra.storage.objects import ObjectStore, UnfinishedUpload

#: Only what lies here is the farm's to delete.
_PREFIX: Final = "projects/"

_KEYS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Garbage:
    """An object that is to go."""

    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Ages:
    """How old what has to be before it goes; a client's upload of a film may take days."""

    orphans: timedelta
    unused_artifacts: timedelta
    client_uploads: timedelta = timedelta(days=7)


def find_garbage(database: Database, store: ObjectStore, ages: Ages) -> Iterator[Garbage]:
    """What :func:`collect_garbage` would delete now; nothing is changed."""
    with database.transaction() as session:
        unused = dict(unused_artifacts(session, ages.unused_artifacts.total_seconds()))
    for objects in _old_objects(store, ages.orphans):
        counted = _that_count(database, objects)
        for each in objects:
            if each.key not in counted or each.key.rpartition("/")[0] + "/" in unused:
                yield each
    for upload in _old_uploads(database, store, ages.orphans):
        yield Garbage(upload.key, upload.size)


def collect_garbage(database: Database, store: ObjectStore, ages: Ages) -> list[Garbage]:
    """Forget artifacts nobody uses, then delete every object no row counts.

    May be killed anywhere and run twice at once.

    Returns:
        What was deleted.
    """
    with database.transaction() as session:
        forget_unused_artifacts(session, ages.unused_artifacts.total_seconds())
        forget_old_uploads(session, ages.client_uploads.total_seconds())
    deleted = []
    for objects in _old_objects(store, ages.orphans):
        counted = _that_count(database, objects)
        garbage = [each for each in objects if each.key not in counted]
        crash_point("collector.after_list_before_delete")
        again = _that_count(database, garbage)
        gone = [each for each in garbage if each.key not in again]
        store.delete(each.key for each in gone)
        deleted += gone
    for upload in _old_uploads(database, store, ages.orphans):
        store.abort(upload)
        deleted.append(Garbage(upload.key, upload.size))
    return deleted


def _old_objects(store: ObjectStore, age: timedelta) -> Iterator[list[Garbage]]:
    """Everything of the farm's that no upload under way can be, some hundreds at a time."""
    oldest = datetime.now(UTC) - age
    old = (
        Garbage(each["Key"], each["Size"])
        for each in store.list_objects(_PREFIX)
        if each["LastModified"] < oldest
    )
    while objects := list(itertools.islice(old, _KEYS_AT_ONCE)):
        yield objects


def _old_uploads(database: Database, store: ObjectStore, age: timedelta) -> list[UnfinishedUpload]:
    """Begun so long ago that whoever began them is gone; their parts take room all the same."""
    oldest = datetime.now(UTC) - age
    old = [each for each in store.list_unfinished(_PREFIX) if each.started_at < oldest]
    counted = _that_count(database, old)
    return [each for each in old if each.key not in counted]


def _that_count(
    database: Database, objects: Sequence[Garbage] | Sequence[UnfinishedUpload]
) -> set[str]:
    if not objects:
        return set()
    with database.transaction() as session:
        return keys_that_count(session, [each.key for each in objects])
