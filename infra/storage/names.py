"""Where what lies in the bucket. Every name is written once; a project's all share a prefix."""

import re
import unicodedata
import uuid

_UNSAFE = re.compile(r"[^\w.\- ()\[\]]+")

#: Bytes of a name; keys may have 1024 in all.
_LONGEST = 180


def asset_key(project_id: uuid.UUID, asset_id: uuid.UUID, name: str) -> str:
    """Of an input."""
    return f"projects/{project_id}/assets/{asset_id}/{safe_name(name)}"


def incoming_key(project_id: uuid.UUID, asset_id: uuid.UUID, name: str) -> str:
    """Where a client puts a file by itself; an input is a copy that it cannot overwrite."""
    return f"projects/{project_id}/incoming/{asset_id}/{safe_name(name)}"


def artifact_prefix(project_id: uuid.UUID, key: str) -> str:
    """Of one attempt's files of an artifact; another attempt gets another."""
    return f"projects/{project_id}/artifacts/{key}/{uuid.uuid4().hex}/"


def output_key(project_id: uuid.UUID, job_id: uuid.UUID, name: str) -> str:
    """Of a job's output, as one attempt made it."""
    return f"projects/{project_id}/outputs/{job_id}/{uuid.uuid4().hex}/{safe_name(name)}"


def batch_result_key(project_id: uuid.UUID, batch_id: uuid.UUID) -> str:
    """Of a batch's result, as one reconciler wrote it."""
    return f"projects/{project_id}/batches/{batch_id}/{uuid.uuid4().hex}/result.jsonl"


def safe_name(name: str) -> str:
    """A user's file name with nothing in it that means something in a path."""
    plain = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    plain = _UNSAFE.sub("_", plain).strip(". ")
    stem, dot, extension = plain.rpartition(".")
    while len(plain.encode()) > _LONGEST and stem:
        stem = stem[:-1]
        plain = f"{stem}{dot}{extension}"
    return plain[:_LONGEST] or "unnamed"
