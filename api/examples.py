"""Examples of what clients are answered, for the OpenAPI document.

One title, "The Harbour", is dubbed into French and Brazilian Portuguese. Each example is of its
shape's own type, so that whoever changes a shape is told by the type checker.
"""

from typing import Any, Final

from api import schemas

JOB: Final = "0199a4de-2c3b-7d54-9a53-6a0e51d7c2f1"
BATCH: Final = "0199a4de-1f00-7b0e-8f6c-0d3e5a9b7c42"
_UPLOAD: Final = "0199a4dd-4e10-7c2b-a9f8-7d6c5b4a3f21"
_FILM: Final = "0199a4dc-b7e2-7d90-8a1b-4c5d6e7f8091"

CREATED: Final = "2026-11-20T21:04:11.218000Z"
STARTED: Final = "2026-11-20T21:04:12.530000Z"
NOW: Final = "2026-11-20T21:16:40.002000Z"
FINISHED: Final = "2026-11-20T21:31:05.771000Z"
SHA256: Final = "3299bb36f44bc33ce298e435440c44b66a9d4114fd067d8d51cb02e27a01e62f"

_ERROR: Final = schemas.ErrorEntry(
    code="output_not_ready",
    statusCode=404,
    message="There is no output yet.",
    suggestion="Wait until its status is COMPLETED.",
)

_MODEL: Final = schemas.Model(
    id="wav2lip",
    name="wav2lip",
    type="lipsync",
    version="0.1.0",
    description="Wav2Lip, the network of the paper.",
)

_GENERATION: Final = schemas.Generation(
    id=JOB,
    createdAt=CREATED,
    status="PROCESSING",
    model="auto",
    input=[
        {"type": "video", "url": "https://media.example/harbour.mov"},
        {"type": "audio", "url": "https://media.example/harbour.fra.wav"},
    ],
    options={"sync_mode": "cut_off"},
    segments=None,
    outputUrl=None,
    outputDuration=None,
    segmentOutputUrl=None,
    previewUrl=None,
    outputFileName="harbour.fra",
    webhookUrl="https://studio.example/dubbed",
    error=None,
    error_code=None,
    failure=None,
    warnings=[],
    network="wav2lip",
    state="rendering",
    desired="run",
    stage="render",
    progress=0.62,
    eta=540.0,
    attention=False,
    priority=10,
    name="The Harbour",
    labels=["season 1"],
    language="fra",
    project="studio",
    outputName=None,
    outputSha256=None,
    outputSizeBytes=None,
    startedAt=STARTED,
    finishedAt=None,
    stages={
        "render": {
            "steps": 240,
            "running": 8,
            "reused": 0,
            "keptOriginal": 2,
            "workerSeconds": 5410.2,
            "lostSeconds": 31.8,
        }
    },
    gpuSeconds=5442.0,
    gpuCost=1.81,
    renderedWith=schemas.RenderedWith(
        network="wav2lip",
        checkpoint="wav2lip_gan",
        checkpointSha256="ca9ab7b7b812c0e80a6e70a5977c545a1e8a365a6c49d5e533023c034d7ac3d8",
        precision="float16",
        devices=["cuda:0"],
    ),
    report=None,
)

STEP: Final = schemas.Step(
    id="4711",
    stage="render",
    segmentIndex=17,
    state="failed",
    attempt=3,
    frames=250,
    framesDone=0,
    range=[4250, 4500],
    reused=False,
    keptOriginal=False,
    held=False,
    losses=0,
    failures=3,
    notBefore=None,
    errorClass="content",
    error_code="media_unusable",
    error="frames 4250 to 4500 cannot be decoded",
    createdAt=STARTED,
    startedAt="2026-11-20T21:09:02.114000Z",
    finishedAt="2026-11-20T21:09:44.870000Z",
)

_ASSET: Final = schemas.Asset(
    id=_FILM,
    createdAt=CREATED,
    updatedAt=CREATED,
    name="harbour.mov",
    url="s3://media-in/harbour.mov",
    size=118_111_600_640,
    format="mov",
    type="VIDEO",
    inputType="UPLOAD",
    visibility="private",
    sha256=SHA256,
)

_UPLOADING: Final = schemas.UploadSummary(
    id=_UPLOAD,
    name="harbour.mov",
    type="VIDEO",
    size=118_111_600_640,
    partSize=67_108_864,
    parts=1760,
    fingerprint=None,
    createdAt=CREATED,
)

_MISSING: Final = schemas.MissingPart(
    number=1760,
    start=118_044_491_776,
    end=118_111_600_640,
    url="https://bucket.example/harbour.mov?partNumber=1760&X-Amz-Signature=…",
)

_BATCH_METRICS: Final = schemas.BatchMetrics(
    total_generations=3, success_count=1, failed_count=1, pending_count=1
)

_REFUSED_ROW: Final = schemas.RefusedRow(
    row=3,
    request_id="harbour-xx",
    title="The Harbour",
    language=None,
    error_code="request_invalid",
    error="language: 'xx' is no ISO 639 code",
)

_BATCH_ANSWER: Final = schemas.Batch(
    id=BATCH,
    created_at=CREATED,
    status="PROCESSING",
    metrics=_BATCH_METRICS,
    webhookUrl=None,
    outputUrl=None,
    kind="catalogue",
    name="season 1",
    rows=3,
    refusedRows=1,
    states={"completed": 1, "rendering": 1},
    progress=0.67,
    languages=["fra", "pt-BR"],
    error_code=None,
    error=None,
    readAt=STARTED,
    finishedAt=None,
    gpuSeconds=12_650.4,
    gpuCost=4.22,
    errors=[_REFUSED_ROW],
)

#: By shape.
EXAMPLES: Final[dict[Any, Any]] = {
    schemas.ErrorEntry: _ERROR,
    schemas.Model: _MODEL,
    schemas.Generation: _GENERATION,
    schemas.Step: STEP,
    schemas.ActionResults: schemas.ActionResults(
        action="retry",
        succeeded=1,
        failed=0,
        results=[
            schemas.ActionResult(id=JOB, ok=True, state="queued", error_code=None, message=None)
        ],
        nextCursor=None,
    ),
    schemas.RangeResult: schemas.RangeResult(
        action="keep-original",
        frames=[4250, 4500],
        steps=[schemas.TouchedStep(**STEP, changed=True)],
    ),
    schemas.Asset: _ASSET,
    schemas.AssetPage: schemas.AssetPage(items=[_ASSET], nextCursor=None, totalCount=1),
    schemas.PutAddress: schemas.PutAddress(
        uploadUrl="https://bucket.example/uploads/harbour.mov?X-Amz-Signature=…",
        url="https://bucket.example/uploads/harbour.mov",
        expiresIn=3600,
    ),
    schemas.UploadState: schemas.UploadState(
        **_UPLOADING,
        receivedParts=1759,
        receivedBytes=118_044_491_776,
        missing=[_MISSING],
        nextPart=None,
        expiresIn=3600,
    ),
    schemas.Uploads: schemas.Uploads(items=[_UPLOADING]),
    schemas.Batch: _BATCH_ANSWER,
    schemas.Languages: schemas.Languages(batch=_BATCH_ANSWER, generations=[_GENERATION]),
}
