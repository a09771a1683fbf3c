"""What clients are answered, as the OpenAPI document has it; more fields may come beside these."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from infra.db.states import Desired, JobState, Stage, StepState

Id = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Url = Annotated[str, Field(json_schema_extra={"format": "uri"})]


_LEFT_OUT = "sound stream 2 (vorbis, eng) is left out: MP4 cannot hold vorbis; name the output .mkv"
_NOTE = "3 frames are tagged with other colours than the film, from frame 9 of the output on"


class Error(TypedDict):
    """Why a request was refused. ``GET /v2/errors`` lists the codes."""

    statusCode: int
    error: str
    error_code: str
    message: str
    suggestion: str


class ErrorEntry(TypedDict):
    """A code, and what to do about it."""

    code: str
    statusCode: int | None
    message: str
    suggestion: str


class Model(TypedDict):
    """A network that ``model`` can name."""

    id: str
    name: str
    type: str
    version: str
    description: str


class RenderedWith(TypedDict):
    """What made the mouths of a generation: the network, its weights, and where it ran.

    ``checkpoint`` is the name the weights are known by, or of their file. ``precision`` and
    ``devices`` are known once a part is rendered.
    """

    network: str
    checkpoint: str | None
    checkpointSha256: str | None
    precision: str | None
    devices: list[str]


class ReportSummary(TypedDict):
    """The part of a report that fits into a list; ``GET /v2/generate/{id}/report`` has it all.

    ``leftOut`` has a sentence for each track and each part of the picture that is missed in the
    output; ``notes`` has one for whatever else a person should know of the picture.
    """

    frames: dict[str, int]
    network: dict[str, Any]
    leftOut: Annotated[list[str], Field(examples=[[_LEFT_OUT]])]
    notes: Annotated[list[str], Field(examples=[[_NOTE]])]


class Generation(TypedDict):
    """A job as clients know it, and what this farm tells beyond that."""

    id: Id
    createdAt: Time
    status: Literal["PENDING", "PROCESSING", "COMPLETED", "FAILED", "REJECTED"]
    model: str
    input: list[dict[str, Any]]
    options: dict[str, Any]
    segments: list[dict[str, Any]] | None
    outputUrl: Url | None
    outputDuration: float | None
    segmentOutputUrl: None
    previewUrl: str | None
    outputFileName: str | None
    webhookUrl: str | None
    error: str | None
    error_code: str | None
    failure: str | None
    warnings: list[str]
    network: str | None
    state: JobState
    desired: Desired
    stage: Stage | None
    progress: Annotated[float, Field(ge=0, le=1)]
    eta: float | None
    attention: bool
    priority: int
    name: str | None
    labels: list[str]
    language: str | None
    project: str
    outputName: str | None
    outputSha256: str | None
    outputSizeBytes: int | None
    startedAt: Time | None
    finishedAt: Time | None
    stages: dict[str, dict[str, Any]]
    gpuSeconds: Annotated[float, Field(ge=0)]
    gpuCost: float | None
    renderedWith: RenderedWith | None
    report: ReportSummary | None


class Step(TypedDict):
    """A stage of a segment, or of the whole job."""

    id: Annotated[str, Field(pattern="^[0-9]+$")]
    stage: Stage
    segmentIndex: int
    state: StepState
    attempt: int
    frames: int
    framesDone: int
    range: list[int] | None
    reused: bool
    keptOriginal: bool
    held: bool
    losses: int
    failures: int
    notBefore: Time | None
    errorClass: str | None
    error_code: str | None
    error: str | None
    createdAt: Time
    startedAt: Time | None
    finishedAt: Time | None


class ActionResult(TypedDict):
    """What a bulk action did to one generation."""

    id: Id
    ok: bool
    state: JobState | None
    error_code: str | None
    message: str | None


class ActionResults(TypedDict):
    """What a bulk action did."""

    action: str
    succeeded: int
    failed: int
    results: list[ActionResult]
    nextCursor: str | None


class TouchedStep(Step):
    """A step of a range, and whether the action was for it."""

    changed: bool


class RangeResult(TypedDict):
    """What was done to a range."""

    action: str
    frames: list[int]
    steps: list[TouchedStep]


class Asset(TypedDict):
    """An input that generations can have."""

    id: Id
    createdAt: Time
    updatedAt: Time
    name: str
    url: str | None
    size: int | None
    format: str | None
    type: Literal["VIDEO", "AUDIO", "IMAGE"]
    inputType: Literal["UPLOAD", "URL"]
    visibility: str
    sha256: str | None


class AssetPage(TypedDict):
    """A page of assets."""

    items: list[Asset]
    nextCursor: str | None
    totalCount: int | None


class PutAddress(TypedDict):
    """Where one PUT goes, and the address to register then."""

    uploadUrl: Url
    url: Url
    expiresIn: int


class UploadSummary(TypedDict):
    """An upload in parts."""

    id: Id
    name: str
    type: Literal["VIDEO", "AUDIO", "IMAGE"]
    size: int
    partSize: int
    parts: int
    fingerprint: str | None
    createdAt: Time


class MissingPart(TypedDict):
    """Bytes [start, end) of the file, and where to PUT them."""

    number: int
    start: int
    end: int
    url: Url


class UploadState(UploadSummary):
    """What of an upload has arrived, and where the rest goes."""

    receivedParts: int
    receivedBytes: int
    missing: list[MissingPart]
    nextPart: int | None
    expiresIn: int


class Uploads(TypedDict):
    """Uploads under way."""

    items: list[UploadSummary]


class BatchMetrics(TypedDict):
    """Rows by what became of them."""

    total_generations: int
    success_count: int
    failed_count: int
    pending_count: int


class RefusedRow(TypedDict):
    """A row that made no generation, and why."""

    row: int
    request_id: str | None
    title: str | None
    language: str | None
    error_code: str | None
    error: str | None


class Batch(TypedDict):
    """Generations submitted together. A list leaves out the rows refused and the GPU time."""

    id: Id
    created_at: Time
    status: Literal["PENDING", "JOBS_CREATED", "PROCESSING", "COMPLETED", "FAILED"]
    metrics: BatchMetrics
    webhookUrl: str | None
    outputUrl: str | None
    kind: str
    name: str
    rows: int
    refusedRows: int
    states: dict[str, int]
    progress: float
    languages: list[str]
    error_code: str | None
    error: str | None
    readAt: Time | None
    finishedAt: Time | None
    gpuSeconds: NotRequired[Annotated[float, Field(ge=0)]]
    gpuCost: NotRequired[float | None]
    errors: NotRequired[list[RefusedRow]]


class CheckedBatch(TypedDict):
    """What a dry run found."""

    status: Literal["VALIDATED"]
    rows: int
    refusedRows: int
    errors: list[RefusedRow]


class Languages(TypedDict):
    """A batch of one title in several languages."""

    batch: Batch
    generations: list[Generation]
