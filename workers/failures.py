"""What an exception means: the one place where the classes of failure are told apart."""

import errno
from dataclasses import fields
from typing import Final

from infra.db.orders import Failure, FailureKind
from infra.errors import FetchError, InfraError, ServiceUnavailableError, StoreFullError
from infra.storage.stopping import TransferStoppedError
from pipeline.errors import (
    InputError,
    MemoryExhaustedError,
    OutputError,
    PipelineError,
    StorageFullError,
)
from pipeline.options import DubOptions
from workers.runner import NoProgressError, RunnerDiedError

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)

#: What the fields errors are about are called in an order; others are none of an order's.
_FIELDS: Final = {each.name: f"options.{each.name}" for each in fields(DubOptions)} | {
    "output": "outputFileName",
    "timeline": "segments",
    "chosen": "options.active_speaker_detection",
}

#: An error that is none of these is a ``resource`` failure: it speaks against the worker, another
#: one tries, up to a few times, and a worker that does it to several jobs must prove itself.
#: Exhausted memory, missing weights and our own bugs all are. A full disk is not: it empties
#: itself, or a person does it, and no step should have failed meanwhile.
_KINDS: Final[tuple[tuple[type[Exception], FailureKind], ...]] = (
    (InputError, "content"),
    (OutputError, "content"),
    (FetchError, "content"),
    (ServiceUnavailableError, "infrastructure"),
    (TransferStoppedError, "infrastructure"),
    (RunnerDiedError, "death"),
)


def classify(error: Exception) -> Failure:
    """Class, code and message of an error; the message is one line.

    Args:
        error: anything a stage raised, here or in a runner.
    """
    if _is_full(error):
        return Failure("infrastructure", StoreFullError.code, _message(error))
    for known, kind in _KINDS:
        if isinstance(error, known):
            return Failure(kind, _code(error), _message(error))
    return Failure("resource", _code(error), _message(error))


def _code(error: Exception) -> str:
    if isinstance(error, PipelineError | InfraError):
        return error.code
    if isinstance(error, RunnerDiedError):
        return "runner_died"
    if isinstance(error, NoProgressError):
        return "no_progress"
    if isinstance(error, MemoryError):
        return MemoryExhaustedError.code
    return "internal_error"


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    return isinstance(error, StoreFullError | StorageFullError)


def _message(error: Exception) -> str:
    line = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, PipelineError | InfraError):
        field = None if error.field is None else _FIELDS.get(error.field)
        return line if field is None else f"{line} ({field})"
    if isinstance(error, RunnerDiedError | NoProgressError):
        return line
    return f"{type(error).__name__}: {line}"
