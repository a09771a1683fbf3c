"""Which film and which dialogue an order means."""

from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from api.errors import RefusedError
from api.output_names import name_of, safe_name
from api.requests import GenerationRequest, Input
from api.uploads import Upload
from infra.db.assets import AssetKind, create_asset, get_asset, ref_of
from infra.db.orders import AssetRef
from infra.errors import NotFoundError

Place = Upload | UUID | str

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where a job's inputs are: uploaded just now, known as assets, or at URLs."""

    source: Place
    dialogue: Place
    source_is_image: bool = False


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
    audio: list[Place] = [i.place() for i in order.input if i.type == "audio"]
    visual += [uploads["video"]] if "video" in uploads else []
    audio += [uploads["audio"]] if "audio" in uploads else []
    if len(visual) > 1:
        raise RefusedError("generation_input_too_many_visual")
    if len(audio) > 1:
        raise RefusedError(
            "generation_input_segments_invalid",
            f"there are {len(audio)} audio inputs; this farm takes one for the whole film",
        )
    source = _only(visual, "generation_video_missing")
    dialogue = _only(audio, "generation_audio_missing")
    return Inputs(source, dialogue, any(i.type == "image" for i in order.input))


def enter_asset(session: Session, project_id: UUID, kind: AssetKind, place: Place) -> AssetRef:
    """The input as a row.

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
    if order.segments or any(i.segments_secs or i.segments_frames for i in order.input):
        raise RefusedError(
            "generation_input_segments_invalid",
            "segments are not taken; the dialogue goes over the whole film",
        )
    speaker = order.options.active_speaker_detection
    if speaker is not None and speaker.asks_for_a_place():
        raise RefusedError("generation_input_face_selection_invalid")


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
