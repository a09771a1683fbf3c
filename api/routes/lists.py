"""What the farm offers, and what can go wrong."""

from importlib.metadata import version
from typing import Any, Final

from fastapi import APIRouter

from api.catalogue import CATALOGUE
from api.farm import Reader
from api.requests import Network

router = APIRouter(tags=["lists"])

_NETWORKS: Final[dict[Network, str]] = {
    "auto": "Wav2Lip: the farm's checkpoint, else the small one that comes along, else draft.",
    "wav2lip": "Wav2Lip, the network of the paper.",
    "draft": "Built in, for previews; needs no checkpoint.",
}


@router.get("/v2/models")
def list_models(_caller: Reader) -> list[dict[str, Any]]:
    """The networks a generation's ``model`` can name."""
    return [
        {
            "id": name,
            "name": name,
            "type": "lipsync",
            "version": version("lipfarm"),
            "description": description,
        }
        for name, description in _NETWORKS.items()
    ]


@router.get("/v2/errors")
def list_errors() -> list[dict[str, Any]]:
    """Every error code, with what to do about it. Needs no key."""
    return [
        {
            "code": code,
            "statusCode": entry.status,
            "message": entry.message,
            "suggestion": entry.suggestion,
        }
        for code, entry in CATALOGUE.items()
    ]
