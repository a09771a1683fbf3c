"""A claimed step at work: what stages do with it, so that each of them is a page."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.crash_points import crash_point
from infra.db.artifacts import find_artifacts, touch
from infra.db.orders import ArtifactRef, AssetRef, NewArtifact
from infra.db.session import Database
from infra.errors import FetchError, ObjectMissingError
from infra.settings import Settings
from infra.storage import s3_inputs
from infra.storage.artifacts import fetch_artifact, upload_artifact
from infra.storage.documents import WANTED
from infra.storage.names import safe_name
from infra.storage.objects import ObjectStore, StoredObject
from pipeline.artifacts import Read, Store
from workers.lease import Lease
from workers.runner import Answered, Failed
from workers.seat import Seat
from workers.workspace import Pins, Workspace

#: A stage may find only after the first look that it needs more; never so often.
_MOST_LOOKS = 6


@dataclass(frozen=True, slots=True)
class Farm:
    """What the slots of a worker share.

    Attributes:
        settings: of the process.
        device: that networks run on.
        database: for claims and results.
        objects: the bucket.
        workspace: where files are.
    """

    settings: Settings
    device: str
    database: Database
    objects: ObjectStore
    workspace: Workspace


class StepFailedError(Exception):
    """The runner answered that it failed, and why."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


@dataclass
class StepAtWork:
    """One attempt of one step.

    Attributes:
        farm: where it is worked on.
        lease: under which it is ours.
        seat: the runner that computes for it.
        pins: what of the workspace it uses.
        side_artifacts: what it made besides the artifact it completes with.
    """

    farm: Farm
    lease: Lease
    seat: Seat
    pins: Pins
    side_artifacts: list[NewArtifact] = field(default_factory=list)

    @property
    def store(self) -> Store:
        """Where the project's artifacts are on this machine."""
        return self.pins.store

    @property
    def project_id(self) -> uuid.UUID:
        """Whose step it is."""
        return self.lease.claim.project_id

    def find(self, keys: Iterable[str]) -> dict[str, ArtifactRef]:
        """Those of the artifacts that exist; they will not be collected for a while."""
        with self.farm.database.transaction() as session:
            found = find_artifacts(session, self.project_id, keys)
            touch(session, [artifact.id for artifact in found.values()])
        return found

    def fetch(self, reads: Iterable[Read]) -> None:
        """Bring files of artifacts into the store, those that are not there yet.

        Raises:
            ObjectMissingError: there is no such artifact, or no such object.
            InfraError: see :func:`infra.storage.artifacts.fetch_artifact`.
        """
        missing = []
        for read in reads:
            self.pins.add(read.key)
            if not self.store.holds(read):
                missing.append(read)
        found = self.find({read.key for read in missing}) if missing else {}
        for read in missing:
            if read.key not in found:
                raise ObjectMissingError(f"the artifact {read.key} is gone; retry the job's start")
            self._fetch(found[read.key], read)

    def fetch_asset(self, asset: AssetRef) -> Path:
        """Bring an input here; its path, which has its name.

        Raises:
            StorageFullError: it does not fit here.
            InfraError: see :meth:`ObjectStore.get_file`.
        """
        key = f"asset-{asset.id}"
        folder = self.pins.add(key)
        path = folder / safe_name(asset.name)
        with self.farm.workspace.fetching(folder):
            if not path.exists():
                folder.mkdir(exist_ok=True)
                self._fetch_asset(asset, path)
        return path

    def _fetch_asset(self, asset: AssetRef, path: Path) -> None:
        size, digest = asset.size_bytes, asset.sha256
        self.farm.workspace.make_room(size or 0)
        should_stop, store = self.lease.is_interrupted, self.farm.objects
        if asset.object_key is not None:
            store.get_file(
                asset.object_key, path, size=size, sha256=digest, should_stop=should_stop
            )
        elif asset.source_url is not None and asset.source_url.startswith(s3_inputs.SCHEME):
            # Read where it is: a film's copy in the farm's bucket would be one too many.
            s3_inputs.fetch(
                store,
                s3_inputs.parse_location(asset.source_url),
                path,
                max_bytes=self.farm.settings.max_upload_bytes,
                size=size,
                sha256=digest,
                wanted=WANTED[asset.kind],
                should_stop=should_stop,
            )
        else:
            raise FetchError(f"{asset.name} was not fetched")

    def compute(self, work: str, given: Mapping[str, Any], *, counts: bool = True) -> Any:
        """Have the runner compute; what it misses is brought.

        Args:
            work: its name in :mod:`workers.works`.
            given: what it is given.
            counts: whether its frames are the step's.

        Raises:
            StepFailedError: it raised.
            InterruptedStepError, NoProgressError, RunnerDiedError: see :meth:`Runner.run`.
        """
        for _ in range(_MOST_LOOKS):
            answer = self.seat.compute(self.lease, work, dict(given), counts=counts)
            if isinstance(answer, Failed):
                raise StepFailedError(answer)
            if isinstance(answer, Answered):
                return answer.answer
            self.fetch(Read(key, names) for key, names in answer.reads)
        raise ObjectMissingError(f"{work} never has all it reads")

    def upload(self, key: str) -> NewArtifact:
        """Put an artifact of the store into the bucket, under a name of this attempt's own.

        Raises:
            InfraError: see :func:`infra.storage.artifacts.upload_artifact`.
        """
        folder = self.pins.add(key)
        self.lease.computed = True
        crash_point("step.before_upload")
        return upload_artifact(
            self.farm.objects,
            self.project_id,
            key,
            {path.name: path for path in sorted(folder.iterdir())},
            should_stop=self.lease.is_interrupted,
        )

    def upload_file(self, path: Path, key: str) -> StoredObject:
        """Put one file into the bucket."""
        return self.farm.objects.put_file(path, key, should_stop=self.lease.is_interrupted)

    def _fetch(self, artifact: ArtifactRef, read: Read) -> None:
        folder = self.store.path(read.key)
        with self.farm.workspace.fetching(folder):
            fetch_artifact(
                self.farm.objects,
                artifact,
                folder,
                read.names,
                should_stop=self.lease.is_interrupted,
            )
