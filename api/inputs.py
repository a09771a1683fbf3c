"""Which film and which dialogue an order means."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from api.errors import RefusedError
from api.output_names import name_of, safe_name
from api.requests import GenerationRequest, Input, check_url
from api.s3_places import Allow
from api.timelines import Segment, dialogues_of
from api.uploads import Upload
from infra.db.assets import AssetKind, create_asset, get_asset, ref_of
from infra.db.orders import AssetRef
from infra.errors import NotFoundError

Place = Upload | UUID | str

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where a job's inputs are: uploaded just now, known as assets, or at URLs.

    ``more_dialogues`` are those of a timeline beyond the first, in the order of the film.
    """

    source: Place
    dialogue: Place
    source_is_image: bool = False
    more_dialogues: tuple[Place, ...] = ()


def choose_inputs(order: GenerationRequest, uploads: dict[str, Upload]) -> Inputs:
    """The film and the dialogue among all inputs of an order.

    Args:
        order: names some of them.
        uploads: came beside it, as ``video`` and ``audio``.

    Raises:
        RefusedError: one is missing, doubled, or of a kind that is not taken.
    """
    _refuse_unsupported(order)
    visual: list[Place] = [i.place() for i in order.input if i.type in {"video", "image"}]
    audio: list[tuple[str | None, Place]] = [
        (i.refId, i.place()) for i in order.input if i.type == "audio"
    ]
    visual += [uploads["video"]] if "video" in uploads else []
    audio += [("audio", uploads["audio"])] if "audio" in uploads else []
    if len(visual) > 1:
        raise RefusedError("generation_input_too_many_visual")
    source = _only(visual, "generation_video_missing")
    dialogue = _only([place for _, place in audio], "generation_audio_missing")
    is_image = any(i.type == "image" for i in order.input)
    if order.segments:
        if is_image:
            raise _no_segments("a still image has no times; segments need a video")
        dialogue, *more = _places_heard(order.segments, audio)
        return Inputs(source, dialogue, more_dialogues=tuple(more))
    if len(audio) > 1:
        raise _no_segments(f"there are {len(audio)} audio inputs; say in segments which goes where")
    return Inputs(source, dialogue, is_image)


def _places_heard(
    segments: Sequence[Segment], audio: Sequence[tuple[str | None, Place]]
) -> list[Place]:
    """The audio inputs of segments, in the order of the film; an uploaded one is ``audio``."""
    named = {name: place for name, place in audio if name is not None}
    if len(named) < len(audio):
        raise _no_segments("every audio input needs a refId of its own")
    return [named[name] for name in dialogues_of(segments, named)]


def _no_segments(message: str) -> RefusedError:
    return RefusedError("generation_input_segments_invalid", f"segments: {message}")


def enter_asset(
    session: Session, project_id: UUID, kind: AssetKind, place: Place, allow: Allow
) -> AssetRef:
    """The input as a row; ``allow`` refuses URLs its sender may not name.

    Raises:
        RefusedError: there is no such asset, or it is of another kind.
    """
    if isinstance(place, Upload):
        return create_asset(
            session,
            project_id,
            place.kind,
            place.name,
            asset_id=place.asset_id,
            object_key=place.object_key,
            size_bytes=place.size_bytes,
            sha256=place.sha256,
        )
    if isinstance(place, str):
        allow(place)
        name = safe_name(name_of(place), default=kind)
        return create_asset(session, project_id, kind, name, source_url=place)
    try:
        asset = get_asset(session, project_id, place)
    except NotFoundError:
        code = "audio" if kind == "audio" else "video"
        raise RefusedError(
            f"generation_input_{code}_inaccessible", f"there is no asset {place} in your project"
        ) from None
    return ref_of(asset)


def _refuse_unsupported(order: GenerationRequest) -> None:
    if any(i.type == "text" or i.provider is not None for i in order.input):
        raise RefusedError(
            "generation_input_audio_invalid",
            "text is not spoken here; send a recording as an input of type audio",
        )
    if any(i.segments_secs or i.segments_frames for i in order.input):
        raise _no_segments("an input has no segments of its own; send the request's segments")
    speaker = order.options.active_speaker_detection
    if speaker is not None:
        speaker.check(has_box=order.options.box is not None)
        if speaker.bounding_boxes_url is not None:
            try:
                check_url(speaker.bounding_boxes_url)
            except ValueError as error:
                raise RefusedError(
                    "generation_input_face_selection_invalid", f"bounding_boxes_url: {error}"
                ) from None


def _only(places: list[Place], missing: str) -> Place:
    if not places:
        raise RefusedError(missing)
    return places[0]


def echo_of(order: GenerationRequest, source: AssetRef, dialogue: AssetRef) -> list[dict[str, str]]:
    """The inputs as the generation shows them: uploads by their assets."""
    named = [_echo(i) for i in order.input]
    types = {i["type"] for i in named}
    if not types & {"video", "image"}:
        named.insert(0, {"type": "video", "assetId": str(source.id)})
    if "audio" not in types:
        named.append({"type": "audio", "assetId": str(dialogue.id)})
    return named


def _echo(given: Input) -> dict[str, str]:
    shown = given.model_dump(mode="json", exclude_none=True)
    return {name: str(shown[name]) for name in ("type", "url", "assetId", "refId") if name in shown}
