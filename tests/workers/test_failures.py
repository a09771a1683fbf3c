"""Which error is of which class."""

import errno
import uuid
from typing import Any

import pytest

from infra.db.orders import AssetRef
from infra.errors import DialogueFetchError, FetchError, ObjectDamagedError, ServiceUnavailableError
from infra.wire import wire_code
from pipeline.errors import (
    CheckpointError,
    MemoryExhaustedError,
    OutputError,
    UnreadableMediaError,
)
from workers import inputs
from workers.failures import classify
from workers.runner import NoProgressError, RunnerDiedError


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (UnreadableMediaError("no"), "content", "media_unreadable"),
        (OutputError("no"), "content", "output_unwritable"),
        (FetchError("no"), "content", "fetch_failed"),
        (DialogueFetchError("no"), "content", "dialogue_fetch_failed"),
        (ServiceUnavailableError("no"), "infrastructure", "service_unavailable"),
        (RunnerDiedError("signal 11", ""), "death", "runner_died"),
        (NoProgressError("no"), "resource", "no_progress"),
        (CheckpointError("no"), "resource", "checkpoint_unusable"),
        (MemoryExhaustedError("no"), "resource", "memory_exhausted"),
        (MemoryError(), "resource", "memory_exhausted"),
        (ObjectDamagedError("no"), "resource", "object_damaged"),
        (OSError(errno.ENOSPC, "no"), "infrastructure", "store_full"),
        (ZeroDivisionError("no"), "resource", "internal_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_every_error_has_its_class(error, kind, code):
    failure = classify(error)
    assert (failure.kind, failure.code) == (kind, code)


def test_a_message_is_one_line():
    assert classify(RuntimeError("two\n  lines")).message == "RuntimeError: two lines"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("video", "generation_input_video_inaccessible"),
        ("image", "generation_input_video_inaccessible"),
        ("audio", "generation_input_audio_inaccessible"),
    ],
)
def test_an_input_that_is_not_there_is_told_by_its_kind(
    monkeypatch: pytest.MonkeyPatch, kind: str, code: str
) -> None:
    def refuse(*_: object) -> None:
        raise FetchError("a web page, not a film")

    monkeypatch.setattr(inputs, "_fetch", refuse)
    asset = AssetRef(uuid.uuid4(), kind, "film", None, "https://media.example/film", None, None)
    with pytest.raises(FetchError) as refused:
        inputs.bring_input(Any, asset)  # type: ignore[arg-type]
    assert wire_code(classify(refused.value).code) == code
