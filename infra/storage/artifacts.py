"""Artifacts in the bucket: a few files below a prefix that one attempt made for itself."""

import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from infra.db.orders import ArtifactFile, ArtifactRef, NewArtifact
from infra.storage.names import artifact_prefix
from infra.storage.objects import ObjectStore
from infra.storage.stopping import ShouldStop, never


def upload_artifact(
    store: ObjectStore,
    project_id: uuid.UUID,
    key: str,
    files: Mapping[str, Path],
    *,
    should_stop: ShouldStop = never,
) -> NewArtifact:
    """Upload an artifact's files under a prefix of this attempt's own.

    Raises:
        ServiceUnavailableError, TransferStoppedError: see :meth:`ObjectStore.put_file`.
    """
    prefix = artifact_prefix(project_id, key)
    stored = []
    for name, path in files.items():
        one = store.put_file(path, prefix + name, should_stop=should_stop)
        stored.append(ArtifactFile(name, one.size, one.sha256))
    return NewArtifact(key, prefix, tuple(stored))


def fetch_artifact(
    store: ObjectStore,
    artifact: ArtifactRef,
    folder: Path,
    names: Iterable[str] | None = None,
    *,
    should_stop: ShouldStop = never,
) -> None:
    """Bring files of an artifact into a folder, those that are not there yet.

    Args:
        store: the bucket.
        artifact: what to fetch.
        folder: made if need be.
        names: which of its files; None for all.

    Raises:
        ObjectMissingError, ObjectDamagedError, ServiceUnavailableError, StoreFullError,
        TransferStoppedError: see :meth:`ObjectStore.get_file`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = None if names is None else set(names)
    for file in artifact.files:
        path = folder / file.name
        if (wanted is None or file.name in wanted) and not path.exists():
            store.get_file(
                artifact.prefix + file.name,
                path,
                size=file.size,
                sha256=file.sha256,
                should_stop=should_stop,
            )
