"""Examples of what is answered of the farm, of keys, messages and the log."""

from typing import Any, Final

from api import farm_schemas as farm
from api import project_schemas as project
from api.examples import BATCH, CREATED, FINISHED, JOB, NOW, SHA256, STARTED, STEP

_WORKER: Final = "0199a4d0-77aa-7c11-b1f2-93d4c5e6f708"
_KEY: Final = "0199a3b2-5d10-7e9f-a8c4-1b2d3e4f5a60"
_ENDPOINT: Final = "0199a3b4-0c21-7f3a-9d8e-2c4b6a8d0e1f"
_DELIVERY: Final = "0199a4e1-9b42-7a6d-8c5f-3e2d1c0b9a87"
_VIEW: Final = "0199a3c0-8f55-7b4c-9e1d-5a6b7c8d9e0f"
_NEW_KEY: Final = project.Key(
    id=_KEY,
    name="night batches",
    prefix="lf_7Qm2Xc9k",
    scopes=["submit"],
    createdAt=CREATED,
    expiresAt="2027-02-18T00:00:00Z",
    revokedAt=None,
    lastUsedAt=NOW,
    isOwn=False,
)

_DELIVERED: Final = project.Delivery(
    id=_DELIVERY,
    createdAt=FINISHED,
    event="generation.completed",
    generationId=JOB,
    batchId=None,
    endpointId=_ENDPOINT,
    url="https://studio.example/dubbed",
    state="delivered",
    attempts=1,
    nextAttemptAt=None,
    deliveredAt=FINISHED,
    lastStatus=204,
    lastError=None,
)

_HAPPENED: Final = farm.Event(
    id="81273-44102",
    kind="step.completed",
    at=NOW,
    generationId=JOB,
    stepId="4710",
    data={"from": "running", "stage": "render", "attempt": 1, "segmentIndex": 16},
)

_CELL: Final = farm.MatrixCell(
    row=1,
    request_id="harbour-fra",
    id=JOB,
    state="rendering",
    attention=False,
    error_code=None,
)

_ESTIMATE: Final = farm.Estimate(
    estimatedFrameCount=132_480,
    estimatedGenerationCost=5.37,
    seconds=5520.0,
    frameRate=24.0,
    estimatedSeconds=2890.0,
    estimatedGpuSeconds=16_110.0,
    stages={"prepare": 61.0, "detect": 880.0, "track": 9.0, "render": 1820.0, "stitch": 120.0},
    basis="measured",
    pricePerHour=1.2,
)

_BUCKET: Final = farm.Bucket(
    at=CREATED,
    ready=212.0,
    waiting=28.0,
    running=8.0,
    workers=8.0,
    queuedSeconds=9120.0,
    frames=26_400,
    steps=106,
    framesPerSecond=440.0,
)

#: By shape.
EXAMPLES: Final[dict[Any, Any]] = {
    project.Key: _NEW_KEY,
    project.NewKey: project.NewKey(**_NEW_KEY, key="lf_7Qm2Xc9k…"),
    project.Endpoint: project.Endpoint(
        id=_ENDPOINT,
        url="https://studio.example/dubbed",
        events=["generation.completed", "generation.failed"],
        description="Post-production",
        createdAt=CREATED,
        disabledAt=None,
    ),
    project.Secret: project.Secret(
        secret="whsec_…",  # noqa: S106 -- none
        createdAt=CREATED,
        former=[project.FormerSecret(createdAt=CREATED, expiresAt=FINISHED)],
    ),
    project.Delivery: _DELIVERED,
    project.DeliveryDetail: project.DeliveryDetail(
        **_DELIVERED,
        payload={"id": JOB, "status": "COMPLETED"},
        attemptList=[
            project.DeliveryAttempt(number=1, at=FINISHED, status=204, error=None, milliseconds=83)
        ],
    ),
    project.DeliveryPage: project.DeliveryPage(items=[_DELIVERED], nextCursor=None),
    project.AuditPage: project.AuditPage(
        items=[
            project.AuditEntry(
                id="9041",
                at=NOW,
                actor="night batches",
                keyId=_KEY,
                action="generation.retry",
                objectKind="generation",
                objectId=JOB,
                detail={},
                requestId="5f2a9c",
                address="192.0.2.17",
            )
        ],
        nextCursor=None,
    ),
    farm.FarmStanding: farm.FarmStanding(
        sampledAt=NOW,
        queues=[
            farm.Queue(
                queue="gpu",
                ready=212,
                waiting=28,
                running=8,
                workers=8,
                queuedSeconds=9120.0,
                oldestReadyAt=STARTED,
            )
        ],
        workers={"online": 8, "draining": 0, "sick": 0},
        speeds={"render": farm.Speed(unit="frame", perSecond=55.0)},
        jobs={"rendering": 1, "completed": 1},
        attention=0,
        stuckMinutes=10,
        stuck=[],
    ),
    farm.Samples: farm.Samples(bucketSeconds=60.0, queues={"gpu": [_BUCKET]}),
    farm.Worker: farm.Worker(
        id=_WORKER,
        name="gpu-03",
        hostname="render-03",
        pid=1402,
        state="online",
        device="cuda:0",
        queues=["gpu"],
        slots=1,
        startedAt=CREATED,
        heartbeatAt=NOW,
        freeBytes=412_316_860_416,
        failedJobs=0,
        steps=[
            farm.WorkersStep(
                generationId=JOB,
                generationName="The Harbour",
                stepId="4712",
                stage="render",
                segmentIndex=18,
                attempt=1,
                frames=250,
                framesDone=118,
                framesPerSecond=54.2,
                startedAt=NOW,
            )
        ],
        benched=[],
    ),
    farm.Estimate: _ESTIMATE,
    farm.Strip: farm.Strip(
        id=JOB,
        letters={"q": "queued", "r": "running", "c": "completed", "f": "failed"},
        frameRate=24.0,
        stages=[
            farm.StageStrip(
                stage="render",
                ids=[4709, 4710, 4712],
                sizes=[250, 250, 250],
                states="ccr",
                frames=750,
                framesDone=618,
                startedAt=STARTED,
                finishedAt=None,
            )
        ],
        running=[
            farm.RunningStep(
                id=4712, frames=250, framesDone=118, attempt=1, startedAt=NOW, worker="gpu-03"
            )
        ],
    ),
    farm.Attempts: farm.Attempts(
        step=STEP,
        attempts=[
            farm.Attempt(
                number=3,
                worker="gpu-03",
                startedAt=STEP["startedAt"],
                endedAt=STEP["finishedAt"],
                outcome="failed",
                framesDone=0,
                errorClass="content",
                error_code="media_unusable",
                error=STEP["error"],
                logTail="render: frame 4250 cannot be decoded\n",
            )
        ],
    ),
    farm.EventPage: farm.EventPage(items=[_HAPPENED], nextCursor="81273-44102"),
    farm.Matrix: farm.Matrix(
        id=BATCH,
        languages=["fra", "pt-BR"],
        titles=[
            farm.MatrixTitle(title="The Harbour", cells={"fra": [_CELL]}, states={"rendering": 1})
        ],
        states={"rendering": 1, "completed": 1},
        refusedRows=1,
        nextCursor=None,
    ),
    farm.Report: farm.Report(
        report_version=1,
        lipfarm="0.1.0",
        source={"path": "harbour.mov", "sha256": SHA256, "seconds": 5520.0, "is_still": False},
        dialogue={"path": "harbour.fra.wav", "sha256": SHA256, "seconds": 5519.8},
        output={"path": "harbour.fra.mov", "sha256": SHA256, "size_bytes": 98_214_007_113},
        network={"name": "wav2lip", "device": "cuda:0", "precision": "fp16, picked for CUDA"},
        detector="yunet",
        options={"sync_mode": "cut_off", "faces": "largest"},
        frames={"in": 132_480, "out": 132_480, "dubbed": 88_102, "passed_through": 44_378},
        picture=farm.PictureReport(
            kept=["the chroma location (left)"],
            left_out=[
                farm.LeftOutOfPicture(
                    what="the alpha channel",
                    why="the output has none",
                    note="left out of the picture: the alpha channel; the output has none",
                )
            ],
        ),
        picture_seconds=5520.0,
        sound_seconds=5520.0,
        av_offset_ms=0.0,
        streams=[{"kind": "video", "codec": "dubbed"}, {"kind": "audio", "codec": "pcm_s24le"}],
        left_out=[
            farm.LeftOutStream(
                kind="audio",
                index=2,
                codec="vorbis",
                language="eng",
                title=None,
                reason="MOV cannot hold vorbis",
                way_out="name the output .mkv",
                note="sound stream 2 (vorbis, eng) is left out: MOV cannot hold vorbis; "
                "name the output .mkv",
            )
        ],
        kept_original=[{"start": 4250, "end": 4500, "reason": "asked for"}],
        shots=[{"start": 0, "end": 212, "faces_seen": 1, "spans": []}],
    ),
    project.View: project.View(
        id=_VIEW,
        name="Night shift",
        filter={"show": "attention", "label": "season 1"},
        createdAt=CREATED,
    ),
    project.SignedIn: project.SignedIn(project="studio", scopes=["submit"], expiresAt=FINISHED),
    farm.Alive: farm.Alive(status="ok"),
    farm.Ready: farm.Ready(status="ok", database="ok", bucket="ok", redis="ok"),
}
