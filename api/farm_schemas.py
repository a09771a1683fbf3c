"""What is answered of the farm and of the work in it, as the OpenAPI document has it."""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from api.schemas import Batch, Id, Step, Time
from infra.db.states import JobState, Stage


class Queue(TypedDict):
    """How a queue stands."""

    queue: str
    ready: int
    waiting: int
    running: int
    workers: int
    queuedSeconds: float | None
    oldestReadyAt: Time | None


class Speed(TypedDict):
    """What one worker does in a second."""

    unit: Literal["frame", "step"]
    perSecond: float


class StuckJob(TypedDict):
    """A generation that does not get on."""

    id: Id
    name: str | None
    state: JobState
    language: str | None
    since: Time | None


class FarmStanding(TypedDict):
    """How the farm stands."""

    sampledAt: Time | None
    queues: list[Queue]
    workers: dict[str, int]
    speeds: dict[str, Speed]
    jobs: dict[str, int]
    attention: int
    stuckMinutes: float
    stuck: list[StuckJob]


class Bucket(TypedDict):
    """A stretch of time of one queue."""

    at: Time
    ready: float
    waiting: float
    running: float
    workers: float
    queuedSeconds: float
    frames: int
    steps: int
    framesPerSecond: float


class Samples(TypedDict):
    """How the queues went."""

    bucketSeconds: float
    queues: dict[str, list[Bucket]]


class WorkersStep(TypedDict):
    """A step a worker has in hand; of another project's, not whose."""

    generationId: Id | None
    generationName: str | None
    stepId: str | None
    stage: Stage
    segmentIndex: int | None
    attempt: int
    frames: int
    framesDone: int
    framesPerSecond: float | None
    startedAt: Time | None


class WorkersBench(TypedDict):
    """A stage of a generation that a worker leaves to others."""

    generationId: Id
    generationName: str | None
    stage: Stage
    at: Time


class Worker(TypedDict):
    """A worker of the farm."""

    id: Id
    name: str
    hostname: str
    pid: int
    state: str
    device: str
    queues: list[str]
    slots: int
    startedAt: Time
    heartbeatAt: Time
    freeBytes: int | None
    failedJobs: int
    steps: list[WorkersStep]
    benched: list[WorkersBench]


class Estimate(TypedDict):
    """What a generation will take."""

    estimatedFrameCount: int
    estimatedGenerationCost: float
    seconds: float
    frameRate: float
    estimatedSeconds: float
    estimatedGpuSeconds: float
    stages: dict[str, float]
    basis: Literal["measured", "assumed"]
    pricePerHour: float


class StageStrip(TypedDict):
    """All steps of a stage, a letter and a size for each."""

    stage: Stage
    ids: list[int]
    sizes: list[int]
    states: str
    frames: int
    framesDone: int
    startedAt: Time | None
    finishedAt: Time | None


class RunningStep(TypedDict):
    """A step somebody works on."""

    id: int
    frames: int
    framesDone: int
    attempt: int
    startedAt: Time | None
    worker: str | None


class Strip(TypedDict):
    """All steps of a generation."""

    id: Id
    letters: dict[str, str]
    frameRate: float | None
    stages: list[StageStrip]
    running: list[RunningStep]


class Attempt(TypedDict):
    """Who tried a step, and how it ended."""

    number: int
    worker: str | None
    startedAt: Time | None
    endedAt: Time | None
    outcome: str | None
    framesDone: int | None
    errorClass: str | None
    error_code: str | None
    error: str | None
    logTail: str | None


class Attempts(TypedDict):
    """A step and its attempts."""

    step: Step
    attempts: list[Attempt]


class Event(TypedDict):
    """Something that happened."""

    id: str
    kind: str
    at: Time
    generationId: Id
    stepId: str | None
    data: dict[str, Any]


class EventPage(TypedDict):
    """A page of events."""

    items: list[Event]
    nextCursor: str | None


class MatrixCell(TypedDict):
    """A title in one language."""

    row: int
    request_id: str | None
    id: Id | None
    state: str
    attention: bool
    error_code: str | None


class MatrixTitle(TypedDict):
    """A title, its languages, and these counted by state."""

    title: str
    cells: dict[str, list[MatrixCell]]
    states: dict[str, int]


class Matrix(TypedDict):
    """Titles × languages of a batch."""

    id: Id
    languages: list[str]
    titles: list[MatrixTitle]
    states: dict[str, int]
    refusedRows: int
    nextCursor: str | None


class LeftOutStream(TypedDict):
    """A track of the film that is not in the output.

    ``index`` is the stream's number in the film, ``reason`` why it is left out, ``way_out`` what
    would keep it, and ``note`` all of that in a sentence: null for a track that nobody wanted.
    """

    kind: Literal["video", "audio", "subtitle", "data", "attachment", "unknown"]
    index: int
    codec: str | None
    language: str | None
    title: str | None
    reason: str
    way_out: str | None
    note: str | None


class LeftOutOfPicture(TypedDict):
    """Something the film's picture carries and the output's does not; ``note`` is a sentence."""

    what: str
    why: str
    note: str


class OddFrames(TypedDict):
    """How many frames of the output are odd, and which is the first; ``note`` is a sentence."""

    frames: int
    first: int
    note: str


class PictureReport(TypedDict):
    """What became of all that the film's picture carries.

    ``interlaced`` and ``other_colors`` are there where frames were interlaced, or in other colours
    than the film.
    """

    kept: list[str]
    left_out: list[LeftOutOfPicture]
    interlaced: NotRequired[OddFrames]
    other_colors: NotRequired[OddFrames]


class Report(TypedDict):
    """What was made of what, and how; ``lipfarm dub --report`` writes the same, and its costs."""

    report_version: int
    lipfarm: str
    source: dict[str, Any]
    dialogue: dict[str, Any]
    output: dict[str, Any]
    network: dict[str, Any]
    detector: str | None
    options: dict[str, Any]
    timeline: NotRequired[list[dict[str, Any]]]
    face_choice: NotRequired[dict[str, Any]]
    frames: dict[str, int]
    picture: PictureReport
    picture_seconds: float
    sound_seconds: float
    av_offset_ms: float
    streams: list[dict[str, Any]]
    left_out: list[LeftOutStream]
    kept_original: list[dict[str, Any]]
    shots: list[dict[str, Any]]


class Alive(TypedDict):
    """The process answers."""

    status: Literal["ok"]


class Ready(TypedDict):
    """Whether the process can do its work, and what of it answers."""

    status: Literal["ok", "unavailable"]
    database: Literal["ok", "unavailable"]
    bucket: Literal["ok", "unavailable"]
    redis: Literal["ok", "unavailable"]


#: What more addresses answer, as :mod:`api.openapi` has it.
OK: dict[tuple[str, str], tuple[str, Any]] = {
    ("get", "/v2/farm"): ("200", FarmStanding),
    ("get", "/v2/farm/samples"): ("200", Samples),
    ("get", "/v2/workers"): ("200", list[Worker]),
    ("post", "/v2/analyze/cost"): ("200", list[Estimate]),
    ("get", "/v2/generate/{generation_id}/strip"): ("200", Strip),
    ("get", "/v2/generate/{generation_id}/steps/{step_id}/attempts"): ("200", Attempts),
    ("get", "/v2/generate/{generation_id}/events"): ("200", EventPage),
    ("get", "/v2/events"): ("200", EventPage),
    ("get", "/v2/batch"): ("200", list[Batch]),
    ("get", "/v2/batch/{batch_id}/matrix"): ("200", Matrix),
    ("get", "/v2/generate/{generation_id}/report"): ("200", Report),
    ("get", "/healthz"): ("200", Alive),
    ("get", "/readyz"): ("200", Ready),
}
