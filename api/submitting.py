"""From an order to a job, in one transaction."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from api.errors import RefusedError
from api.inputs import choose_inputs, echo_of, enter_asset
from api.orders import Order
from api.output_names import output_name
from api.requests import GenerationRequest
from api.s3_places import Allow
from api.timelines import clips_of
from infra.db.assets import AssetKind
from infra.db.jobs import ConflictError, NewJob, create_job, get_job
from infra.db.models import Job
from infra.db.orders import AssetRef
from infra.db.projects import Caller


def submit(session: Session, caller: Caller, order: Order, allow: Allow) -> tuple[Job, bool]:
    """Enter a job; ``allow`` refuses inputs' URLs the caller may not name.

    Returns:
        The job and whether it is new; with a known idempotency key it is the earlier one.

    Raises:
        RefusedError: the order cannot be right, or its idempotency key was another one's.
    """
    inputs = choose_inputs(order.request, order.uploads)
    kind: AssetKind = "image" if inputs.source_is_image else "video"
    # Assets of an order that was known already must not stay.
    savepoint = session.begin_nested()
    source = enter_asset(session, caller.project_id, kind, inputs.source, allow)
    dialogue = enter_asset(session, caller.project_id, "audio", inputs.dialogue, allow)
    more = [
        enter_asset(session, caller.project_id, "audio", place, allow)
        for place in inputs.more_dialogues
    ]
    try:
        new = new_job(order.request, source, dialogue, more)
        new = replace(new, idempotency_key=order.idempotency_key, request_digest=order.digest)
        job, is_new = create_job(session, caller.project_id, new)
    except ConflictError as error:
        raise RefusedError("idempotency_key_conflict", str(error)) from None
    if is_new:
        savepoint.commit()
        return job, True
    job_id = job.id
    savepoint.rollback()
    return get_job(session, caller.project_id, job_id), False


def new_job(
    request: GenerationRequest,
    source: AssetRef,
    dialogue: AssetRef,
    more_dialogues: Sequence[AssetRef] = (),
) -> NewJob:
    """The job a request asks for, its inputs found.

    Raises:
        RefusedError: it cannot be right.
    """
    options = request.settled_options()
    language, speaker = options.language, options.active_speaker_detection
    return NewJob(
        source_id=source.id,
        dialogue_id=dialogue.id,
        more_dialogue_ids=tuple(each.id for each in more_dialogues),
        boxes=None if speaker is None else speaker.bounding_boxes,
        params=_params(request),
        request=_echo(request, source, dialogue),
        name=request.name or source.name,
        labels=tuple(request.labels),
        language=language,
        output_name=output_name(request.outputFileName, source.name, language),
        priority=request.priority,
        webhook_url=request.webhookUrl,
    )


def _params(request: GenerationRequest) -> dict[str, Any]:
    options = request.settled_options()
    dub = options.dub_options() | {"timeline": clips_of(request.segments or [])}
    params = {"options": dub, "network": request.network()}
    speaker = options.active_speaker_detection
    place = None if speaker is None else speaker.boxes_place()
    return params if place is None else params | {"face_boxes": place}


def _echo(request: GenerationRequest, source: AssetRef, dialogue: AssetRef) -> dict[str, Any]:
    options = request.settled_options()
    shown: dict[str, Any] = {
        "model": request.model,
        "input": echo_of(request, source, dialogue),
        "options": options.model_dump(mode="json", exclude_none=True),
        "outputFileName": request.outputFileName,
        "warnings": request.warnings(),
    }
    if request.segments:
        shown["segments"] = [
            each.model_dump(mode="json", exclude_none=True) for each in request.segments
        ]
    # As long as the film, so they have a table of their own and no answer shows them.
    shown["options"].get("active_speaker_detection", {}).pop("bounding_boxes", None)
    return shown
