"""What in the bucket still counts, by the rows; the rest is the collector's."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

# A job that is alive may read an artifact long after it was last found.
_UNUSED: Final = """
SELECT a.id, a.prefix, a.size_bytes FROM artifacts a
WHERE a.last_used_at < now() - make_interval(secs => :seconds)
  AND NOT EXISTS (
    SELECT FROM steps s JOIN jobs j ON j.id = s.job_id
    WHERE s.artifact_id = a.id AND j.finished_at IS NULL)
ORDER BY a.last_used_at LIMIT :most
"""

_FORGET: Final = text(
    f"DELETE FROM artifacts WHERE id IN (SELECT id FROM ({_UNUSED}) u) RETURNING prefix"  # noqa: S608 -- a constant
)

_COUNTS: Final = text("""
SELECT k.key FROM unnest(CAST(:keys AS text[])) AS k (key)
WHERE EXISTS (SELECT FROM artifacts a WHERE a.prefix = regexp_replace(k.key, '[^/]*$', ''))
   OR EXISTS (SELECT FROM assets s WHERE s.object_key = k.key)
   OR EXISTS (SELECT FROM asset_uploads u WHERE u.object_key = k.key)
   OR EXISTS (SELECT FROM jobs j WHERE j.output_key = k.key)
   OR EXISTS (SELECT FROM jobs j WHERE j.preview_key = k.key)
   OR EXISTS (SELECT FROM batches b WHERE b.result_key = k.key)
""")

#: Artifacts forgotten in one transaction.
_AT_ONCE: Final = 1000


def unused_artifacts(session: Session, seconds: float) -> list[tuple[str, int]]:
    """Prefix and size of artifacts no live job reads and nobody found for so long; a thousand."""
    rows = session.execute(text(_UNUSED), {"seconds": seconds, "most": _AT_ONCE})
    return [(row.prefix, row.size_bytes) for row in rows]


def forget_unused_artifacts(session: Session, seconds: float) -> int:
    """Delete the rows of a thousand of them; their objects are garbage from now on."""
    return len(session.execute(_FORGET, {"seconds": seconds, "most": _AT_ONCE}).all())


def forget_old_uploads(session: Session, seconds: float) -> int:
    """Delete the rows of uploads begun so long ago; what arrived of them is garbage from now on."""
    forget = text(
        "DELETE FROM asset_uploads WHERE created_at < now() - make_interval(secs => :seconds) "
        "RETURNING id"
    )
    return len(session.execute(forget, {"seconds": seconds}).all())


def keys_that_count(session: Session, keys: Iterable[str]) -> set[str]:
    """Those of the keys that some row says are in use."""
    return set(session.scalars(_COUNTS, {"keys": list(keys)}))
