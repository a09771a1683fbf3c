"""What a generation will take, before it is ordered."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request

from api.bodies import media_type, order_from_json, read_body
from api.body_schemas import json_body
from api.errors import RefusedError
from api.estimates import estimate
from api.farm import FarmHere, Submitter
from api.requests import GenerationRequest

router = APIRouter(tags=["generations"])


_EXAMPLE: Final = {
    "model": "wav2lip",
    "input": [
        {"type": "video", "url": "https://media.example/film.mp4"},
        {"type": "audio", "url": "https://media.example/fra.wav"},
    ],
    "options": {"sync_mode": "silence"},
}


async def _order(request: Request) -> GenerationRequest:
    if media_type(request) not in {"application/json", ""}:
        raise RefusedError("content_type_unsupported", "send JSON; name files by url or assetId")
    return order_from_json(await read_body(request))


@router.post("/v2/analyze/cost", openapi_extra=json_body(GenerationRequest, _EXAMPLE))
def estimate_cost(
    order: Annotated[GenerationRequest, Depends(_order)], caller: Submitter, farm: FarmHere
) -> list[dict[str, Any]]:
    """Look at a generation's inputs: frames, length, the farm's time and the cost.

    The same JSON as for ordering it. A few bytes of each input are read; nothing is ordered.
    """
    return [estimate(farm, caller, order)]
