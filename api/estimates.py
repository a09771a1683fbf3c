"""What a generation will be: frames, seconds, the farm's time, money."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm import Session

from api.errors import RefusedError
from api.farm import Farm
from api.inputs import Place, choose_inputs
from api.options import SyncMode
from api.requests import GenerationRequest
from api.s3_places import allowed_to
from infra.db.assets import get_asset
from infra.db.costs import seconds_a_frame
from infra.db.progress import SHARES
from infra.db.projects import Caller
from infra.db.states import QUEUE_OF, STAGES, Stage
from infra.errors import FetchError, NotFoundError, ServiceUnavailableError
from infra.media_length import MediaLength, UnmeasurableError, measure
from infra.storage.documents import WANTED
from infra.storage.s3_inputs import SCHEME, parse_location

#: Workers' seconds for a frame where the farm has no figures of its own yet: a core without a GPU.
ASSUMED_SECONDS_A_FRAME: Final = 0.1

_SECONDS_AN_HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class Length:
    """Of an output."""

    frames: int
    seconds: float
    frame_rate: float


def estimate(farm: Farm, caller: Caller, order: GenerationRequest) -> dict[str, Any]:
    """Look at an order's inputs and say what it will take.

    Raises:
        RefusedError: the order cannot be right, or an input cannot be looked at.
    """
    network = order.network()
    length = _length_of(farm, caller, order)
    with farm.database.transaction() as session:
        known = seconds_a_frame(session, caller.project_id, network)
    stages = {stage: length.frames * _cost(known, stage) for stage in STAGES}
    gpu = sum(seconds for stage, seconds in stages.items() if QUEUE_OF[stage] == "gpu")
    return {
        "estimatedFrameCount": length.frames,
        "estimatedGenerationCost": round(gpu / _SECONDS_AN_HOUR * farm.settings.price_per_hour, 6),
        # Beyond what other clients know:
        "seconds": round(length.seconds, 3),
        "frameRate": round(length.frame_rate, 3),
        "estimatedSeconds": round(sum(stages.values()), 3),
        "estimatedGpuSeconds": round(gpu, 3),
        "stages": {stage: round(seconds, 3) for stage, seconds in stages.items()},
        "basis": "measured" if "render" in known else "assumed",
        "pricePerHour": farm.settings.price_per_hour,
    }


def output_length(
    film: MediaLength, dialogue: MediaLength, sync_mode: SyncMode, fps: Fraction
) -> Length:
    """How long an output becomes.

    Args:
        film: or a still picture, which lasts as long as the dialogue.
        dialogue: the whole of it.
        sync_mode: what gives way when they differ in length.
        fps: of a still picture.
    """
    spoken = dialogue.seconds or 0.0
    if film.seconds is None:
        return Length(max(1, round(spoken * fps)), spoken, float(fps))
    rate = film.frame_rate or (film.frames or 0) / film.seconds or float(fps)
    frames = film.frames or round(film.seconds * rate)
    if sync_mode == "silence":
        seconds = max(film.seconds, spoken)
    elif sync_mode == "cut_off":
        seconds = min(film.seconds, spoken)
    else:
        seconds = spoken
    if seconds == film.seconds:
        return Length(frames, seconds, rate)
    return Length(max(1, round(seconds * frames / film.seconds)), seconds, rate)


def _length_of(farm: Farm, caller: Caller, order: GenerationRequest) -> Length:
    options = order.settled_options()
    inputs = choose_inputs(order, {})
    film = _measured(farm, caller, inputs.source, "video")
    if order.segments:  # they take parts of a film, which stays as long as it is
        return output_length(film, film, "silence", Fraction(options.fps))
    dialogue = _measured(farm, caller, inputs.dialogue, "audio")
    return output_length(film, dialogue, options.sync_mode, Fraction(options.fps))


def _measured(farm: Farm, caller: Caller, place: Place, kind: str) -> MediaLength:
    with farm.database.transaction() as session:
        url, is_inside = _address(session, farm, caller, place, kind)
    try:
        found = measure(
            url,
            private_addresses=is_inside or farm.settings.fetch_private_addresses,
            wanted=WANTED[kind],
        )
    except FetchError as error:
        raise RefusedError(f"generation_input_{kind}_inaccessible", str(error)) from None
    except ServiceUnavailableError as error:
        if is_inside:
            raise  # the farm's own bucket
        raise RefusedError(f"generation_input_{kind}_inaccessible", str(error)) from None
    except UnmeasurableError as error:
        raise RefusedError("generation_media_metadata_missing", f"{kind}: {error}") from None
    if (kind == "audio" and not found.has_audio) or (
        kind == "video" and found.frames is None and found.seconds is not None
    ):
        raise RefusedError(
            "generation_media_metadata_missing", f"{kind}: it has no track of {kind}"
        )
    return found


def _address(
    session: Session, farm: Farm, caller: Caller, place: Place, kind: str
) -> tuple[str, bool]:
    """Where the API can read an input, and whether that is the farm's own bucket."""
    if isinstance(place, str):
        return _readable(farm, caller, place)
    assert isinstance(place, UUID)  # noqa: S101 -- nothing is uploaded with an estimate
    try:
        asset = get_asset(session, caller.project_id, place)
    except NotFoundError:
        raise RefusedError(
            f"generation_input_{kind}_inaccessible", f"there is no asset {place} in your project"
        ) from None
    if asset.object_key is not None:
        return farm.store.address_inside(asset.object_key), True
    return _readable(farm, caller, asset.source_url or "")


def _readable(farm: Farm, caller: Caller, url: str) -> tuple[str, bool]:
    if not url.startswith(SCHEME):
        return url, False
    allowed_to(farm, caller)(url)
    location = parse_location(url)
    return farm.store.address_inside(location.key, bucket=location.bucket), True


def _cost(known: Mapping[Stage, float], stage: Stage) -> float:
    """Of a frame; for a stage nothing is known of, its usual share of the others or of all."""
    if stage in known:
        return known[stage]
    shares = sum(SHARES[each] for each in known)
    whole = sum(known.values()) / shares if "render" in known else ASSUMED_SECONDS_A_FRAME
    return SHARES[stage] * whole
