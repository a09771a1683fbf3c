"""What workers and the database hand each other: plain values, all of them JSON-able."""

import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from infra.db.states import Queue, Stage

#: What a failure means; :mod:`infra.db.verdicts` has the answer to each.
#:
#: - ``infrastructure``: database, bucket or network; tried again for ever, at no charge.
#: - ``resource``: this worker cannot (memory, device, disk, no progress); another one tries.
#: - ``content``: what came in cannot be worked on; trying again is no use.
#: - ``death``: the runner died; three of these put the step into quarantine.
FailureKind = Literal["infrastructure", "resource", "content", "death"]


@dataclass(frozen=True, slots=True)
class AssetRef:
    """An input: its object, or, until it was fetched, where it comes from."""

    id: uuid.UUID
    kind: str
    name: str
    object_key: str | None
    source_url: str | None
    size_bytes: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A step that is ours for a lease; ``attempt`` is the fence.

    Attributes:
        frames: of the step, 0 where they do not count.
        params: the step's own, as its :class:`NewStep` gave them.
        artifact_key: what it will make, where that is known beforehand.
        job_params: ``{"options": {…}, "network": …}``.
        job_facts: what earlier stages learned, by stage.
        more_dialogues: those of a timeline beyond the first, in their order.
    """

    step_id: int
    attempt: int
    job_id: uuid.UUID
    project_id: uuid.UUID
    stage: Stage
    queue: Queue
    segment_index: int
    frames: int
    params: dict[str, Any]
    artifact_key: str | None
    job_params: dict[str, Any]
    job_facts: dict[str, Any]
    source: AssetRef
    dialogue: AssetRef
    language: str | None
    output_name: str | None
    more_dialogues: tuple[AssetRef, ...] = ()


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """One object of an artifact, below its prefix."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class NewArtifact:
    """What an attempt uploaded, under a prefix of its own."""

    key: str
    prefix: str
    files: tuple[ArtifactFile, ...]

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class ArtifactRef:
    """An artifact that counts."""

    id: uuid.UUID
    key: str
    prefix: str
    files: tuple[ArtifactFile, ...]


@dataclass(frozen=True, slots=True)
class NewStep:
    """A step of the next stage. With a key whose artifact exists, it is done as it is made."""

    segment_index: int
    frames: int = 0
    params: dict[str, Any] = field(default_factory=dict)
    artifact_key: str | None = None


@dataclass(frozen=True, slots=True)
class JobOutput:
    """The dubbed film in the bucket, its report, and a small film of before and after, if any."""

    object_key: str
    sha256: str
    size_bytes: int
    seconds: float
    report: dict[str, Any]
    preview_key: str | None = None


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a completed step leaves.

    Attributes:
        artifact: what it made or found; None where there is nothing to find again.
        reused: it was there already, nothing was computed.
        facts: merged into the job's facts under the name of the stage.
        next_steps: of the next stage, from prepare and track alone; every other stage is followed
            by one step for the whole job.
        output: from stitch alone.
    """

    artifact: NewArtifact | None = None
    reused: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    next_steps: tuple[NewStep, ...] = ()
    output: JobOutput | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed; ``code`` is stable, ``message`` is one line for a person."""

    kind: FailureKind
    code: str
    message: str
    log_tail: str = ""
