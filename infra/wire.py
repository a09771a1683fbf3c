"""What lip-sync clients call the farm's states and failures; files and webhooks say it too."""

from typing import Final

from infra.db.states import JobState

#: The wire knows five statuses. A canceled job is FAILED there, with a code that says so, as a
#: client that waits for an end must see one; ``state`` has the farm's own word.
STATUS_OF: Final[dict[JobState, str]] = {
    "queued": "PENDING",
    "preparing": "PROCESSING",
    "detecting": "PROCESSING",
    "tracking": "PROCESSING",
    "rendering": "PROCESSING",
    "stitching": "PROCESSING",
    "completed": "COMPLETED",
    "failed": "FAILED",
    "rejected": "REJECTED",
    "canceled": "FAILED",
}

#: What the wire calls a failure of the pipeline or the farm; all others are
#: ``generation_pipeline_failed``. The farm's own code rides along as ``failure``.
_WIRE_CODES: Final[dict[str, str]] = {
    "canceled": "generation_canceled",
    "input_error": "generation_input_validation_failed",
    "parameter_invalid": "generation_input_validation_failed",
    "timeline_invalid": "generation_input_segments_invalid",
    "face_choice_invalid": "generation_input_face_selection_invalid",
    "media_unusable": "generation_input_validation_failed",
    "media_unreadable": "generation_media_metadata_missing",
    "fetch_failed": "generation_input_video_inaccessible",
    "dialogue_fetch_failed": "generation_input_audio_inaccessible",
    "storage_full": "generation_infra_resource_exhausted",
    "store_full": "generation_infra_resource_exhausted",
    "memory_exhausted": "generation_infra_resource_exhausted",
    "no_progress": "generation_timeout",
    "service_unavailable": "generation_infra_service_unavailable",
    "object_missing": "generation_infra_storage_error",
    "object_damaged": "generation_infra_storage_error",
    "internal_error": "generation_unhandled_error",
}


def wire_code(code: str) -> str:
    """The code lip-sync clients know for a job's failure."""
    return _WIRE_CODES.get(code, "generation_pipeline_failed")
