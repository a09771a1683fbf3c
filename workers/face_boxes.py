"""Boxes that say whose face is dubbed: sent with the order, or fetched from where it says.

They are not among the job's parameters: those go to every worker with every step.
"""

import json
import uuid
from pathlib import Path
from typing import Final

from infra.db.jobs import boxes_of
from infra.errors import FetchError
from infra.storage.fetching import fetch_url
from pipeline.errors import FaceChoiceError
from workers.step import StepAtWork

#: Of a file of boxes; twenty hours of film fit in.
_MOST_BYTES: Final = 64 << 20


def bring_boxes(step: StepAtWork) -> Path | None:
    """The boxes as a JSON file here; None where the order has none.

    Raises:
        FaceChoiceError: they cannot or must not be fetched.
        ServiceUnavailableError: the URL's server is away.
    """
    given = step.lease.claim.job_params.get("face_boxes")
    if given is None:
        return None
    folder = step.pins.add(f"boxes-{uuid.uuid4().hex}")
    folder.mkdir()
    path = folder / "boxes.json"
    if "url" not in given:
        with step.farm.database.transaction() as session:
            path.write_text(json.dumps(boxes_of(session, step.lease.claim.job_id)))
        return path
    try:
        fetch_url(
            given["url"],
            path,
            max_bytes=_MOST_BYTES,
            wanted="list of boxes",
            private_addresses=step.farm.settings.fetch_private_addresses,
            should_stop=step.lease.is_interrupted,
        )
    except FetchError as error:
        raise FaceChoiceError(f"the boxes of the face to dub: {error}") from error
    return path
