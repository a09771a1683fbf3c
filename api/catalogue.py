"""Every error code the API answers with: its status, what it means and what to do.

The codes that start with ``generation_`` and the two 429s are those lip-sync clients know already;
the others are ours. ``GET /v2/errors`` shows this table.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of error.

    Attributes:
        status: of the HTTP answer; None for what happens to a job after it was accepted, and is
            told in the generation's ``error_code``.
        message: what is wrong.
        suggestion: what the user can do.
    """

    status: int | None
    message: str
    suggestion: str


#: Codes of requests that are refused. An accepted job may end with some of them, too.
REFUSALS: Final[dict[str, Entry]] = {
    "unauthorized": Entry(
        401, "The API key is missing or not valid.", "Send a valid key in the header x-api-key."
    ),
    "forbidden": Entry(
        403, "The API key may not do this.", "Use a key with the scope that is named."
    ),
    "not_found": Entry(404, "There is no such thing.", "Check the address."),
    "generation_not_found": Entry(
        404, "There is no such generation in your project.", "Check the id and the key's project."
    ),
    "webhook_not_found": Entry(
        404, "Your project has no such address or message.", "List them under /v2/webhooks."
    ),
    "key_not_found": Entry(
        404, "Your project has no such key that works.", "List them with GET /v2/keys."
    ),
    "view_not_found": Entry(
        404, "Your project has no such saved view.", "List them with GET /v2/views."
    ),
    "view_conflict": Entry(
        409,
        "The saved view cannot be as well as those there are.",
        "Take another name, or change or delete the one there is.",
    ),
    "step_not_found": Entry(
        404, "The generation has no such step.", "List them with GET /v2/generate/{id}/steps."
    ),
    "asset_not_found": Entry(
        404, "There is no such asset in your project.", "Upload it with POST /v2/assets first."
    ),
    "asset_inaccessible": Entry(
        400,
        "The input cannot be read from its bucket.",
        "Check the address, and that the farm's settings let your project name it.",
    ),
    "asset_in_use": Entry(
        409, "Generations have that asset as an input.", "Delete those generations first."
    ),
    "upload_not_found": Entry(
        404, "There is no such upload under way in your project.", "Begin it again."
    ),
    "upload_incomplete": Entry(
        409,
        "Not all of the file has arrived.",
        "Send what is missing: GET /v2/assets/uploads/{id} says what, and where to.",
    ),
    "output_not_ready": Entry(
        404, "The generation has no output yet.", "Wait until its status is COMPLETED."
    ),
    "output_missing": Entry(
        404,
        "The generation ended without an output.",
        "Its error says why; retry it if it failed, else order it anew.",
    ),
    "method_not_allowed": Entry(
        405, "The address does not take this method.", "See the API guide."
    ),
    "state_conflict": Entry(
        409, "What the generation is now does not allow this.", "Look at its state first."
    ),
    "idempotency_key_conflict": Entry(
        409,
        "The Idempotency-Key was used for another request.",
        "Take a new key for a new request; repeat the old one unchanged.",
    ),
    "request_too_large": Entry(
        413, "The request is larger than the farm takes.", "Send less, or ask who runs the farm."
    ),
    "request_invalid": Entry(400, "The request cannot be read.", "Mend what the message names."),
    "content_type_unsupported": Entry(
        415, "The body is of a kind the address does not take.", "Send JSON or multipart/form-data."
    ),
    "generation_input_validation_failed": Entry(
        400, "A field of the request is wrong.", "Mend what the message names."
    ),
    "generation_unsupported_model": Entry(
        400, "The farm has no such model.", "Take one that GET /v2/models lists."
    ),
    "generation_video_missing": Entry(
        400, "There is no film among the inputs.", "Send one video: a file, a url or an assetId."
    ),
    "generation_audio_missing": Entry(
        400,
        "There is no dialogue among the inputs.",
        "Send one audio: a file, a url or an assetId.",
    ),
    "generation_input_too_many_visual": Entry(
        400, "There is more than one film among the inputs.", "Send exactly one."
    ),
    "generation_input_audio_invalid": Entry(
        400, "The dialogue cannot be used.", "Send a recording; text is not spoken here."
    ),
    "generation_input_video_inaccessible": Entry(
        400, "The film could not be fetched.", "Check its address, or upload the file."
    ),
    "generation_input_audio_inaccessible": Entry(
        400, "The dialogue could not be fetched.", "Check its address, or upload the file."
    ),
    "generation_input_segments_invalid": Entry(
        400,
        "The time ranges cannot be used.",
        "Send segments within the film that do not overlap, each with an audio input's refId.",
    ),
    "generation_input_face_selection_invalid": Entry(
        400,
        "The choice of faces cannot be used.",
        "Take a point on a face of the frame, a box for each frame, or auto_detect.",
    ),
    "batch_not_found": Entry(
        404, "There is no such batch in your project.", "Check the id and the key's project."
    ),
    "batch_canceled": Entry(
        409, "The batch was canceled.", "Send it again with another Idempotency-Key."
    ),
    "batch_file_too_large": Entry(
        413, "The batch's file is larger than the farm takes.", "Send it as several batches."
    ),
    "batch_too_many_requests": Entry(
        400, "The batch has more rows than the farm takes.", "Send it as several batches."
    ),
    "batch_insufficient_records": Entry(
        400, "The batch has no row that can be used.", "Send one row or more."
    ),
    "batch_invalid_jsonl": Entry(
        400, "A line is no JSON object of the kind a batch has.", "Mend the line that is named."
    ),
    "batch_invalid_csv": Entry(
        400, "The table cannot be read.", "Send CSV in UTF-8 with a row that names the columns."
    ),
    "batch_duplicate_request_id": Entry(
        400, "Two rows have the same request_id.", "Give every row one of its own."
    ),
    "batch_invalid_endpoint": Entry(
        400, "A row asks for something else than a generation.", "The endpoint is /v2/generate."
    ),
    "generation_media_metadata_missing": Entry(
        400, "An input is damaged or is no media.", "Check that it plays, then send it again."
    ),
    "concurrency_limit_reached": Entry(
        429, "Your project has as many generations at work as it may.", "Wait until some end."
    ),
    "rate_limit_exceeded": Entry(429, "Too many requests.", "Wait as long as Retry-After says."),
    "generation_infra_storage_error": Entry(
        503, "The farm's bucket does not answer.", "Try again shortly."
    ),
    "generation_database_error": Entry(
        503, "The farm's database does not answer.", "Try again shortly."
    ),
    "generation_infra_service_unavailable": Entry(
        503, "A part of the farm does not answer.", "Try again shortly."
    ),
    "generation_unhandled_error": Entry(
        500, "A bug in lipfarm.", "Please report it, with the request's id."
    ),
}

#: What may become of an accepted job.
OUTCOMES: Final[dict[str, Entry]] = {
    "generation_audio_length_exceeded": Entry(
        None, "The dialogue is longer than the farm takes.", "Shorten it."
    ),
    "generation_timeout": Entry(
        None, "A step made no progress for too long.", "Retry; if it repeats, look at its attempts."
    ),
    "generation_pipeline_failed": Entry(
        None, "A step failed for good.", "Look at the generation's steps; retry what failed."
    ),
    "generation_infra_resource_exhausted": Entry(
        None, "Memory or disk ran out on every worker tried.", "Retry when the farm has more."
    ),
    "generation_canceled": Entry(
        None, "It was canceled.", "Submit it again if that was a mistake."
    ),
}

CATALOGUE: Final[dict[str, Entry]] = REFUSALS | OUTCOMES
