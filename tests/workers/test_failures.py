"""Which error is of which class."""

import errno

import pytest

from infra.errors import FetchError, ObjectDamagedError, ServiceUnavailableError
from pipeline.errors import (
    CheckpointError,
    MemoryExhaustedError,
    OutputError,
    UnreadableMediaError,
)
from workers.failures import classify
from workers.runner import NoProgressError, RunnerDiedError


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (UnreadableMediaError("no"), "content", "media_unreadable"),
        (OutputError("no"), "content", "output_unwritable"),
        (FetchError("no"), "content", "fetch_failed"),
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
