"""What can go wrong outside, as a tree.

::

    InfraError
    ├── UnknownCheckpointError       no checkpoint of that name is registered
    ├── CheckpointMismatchError      the bytes are not the registered ones
    ├── CheckpointUnavailableError   no mirror gave the file
    ├── CheckpointBusyError          another process is fetching the same file
    ├── StoreUnwritableError         the folder of checkpoints cannot be read or written
    ├── StoreFullError               no space left; free some and start again
    ├── SettingsError                a LIPFARM_… variable is missing or makes no sense
    ├── ServiceUnavailableError      Postgres, Redis or the object store does not answer
    ├── FencedError                  the step is another attempt's now: drop everything, say nothing
    ├── IllegalMoveError             no such move from the state it is in (docs/states.md)
    ├── NotFoundError                no such job, step, asset … in this project
    ├── ObjectMissingError           the bucket does not hold what a row says it does
    ├── ObjectDamagedError           the bytes are not those that were stored
    └── FetchError                   an input URL cannot or must not be fetched
        └── DialogueFetchError       that of a dialogue

The shape is that of ``pipeline.errors``: one line a user can act on, a stable ``code``,
``retryable``, the ``exit_status`` the command line returns, and ``field``, what is to be changed.
"""

from typing import ClassVar


class InfraError(Exception):
    """The root. Never raised itself."""

    code: ClassVar[str] = "infra_error"
    retryable: ClassVar[bool] = False
    exit_status: ClassVar[int] = 70

    def __init__(self, message: str = "", *, field: str | None = None) -> None:
        """Say what is wrong; ``field`` names the parameter that is to be changed."""
        super().__init__(message)
        self.field = field


class UnknownCheckpointError(InfraError):
    """No checkpoint of that name is registered."""

    code = "checkpoint_unknown"
    exit_status = 2


class CheckpointMismatchError(InfraError):
    """The bytes are not the registered ones."""

    code = "checkpoint_mismatch"
    exit_status = 4


class CheckpointUnavailableError(InfraError):
    """No mirror gave the file."""

    code = "checkpoint_unavailable"
    retryable = True
    exit_status = 4


class CheckpointBusyError(InfraError):
    """Another process is fetching the same file."""

    code = "checkpoint_busy"
    retryable = True
    exit_status = 4


class StoreUnwritableError(InfraError):
    """The folder of checkpoints cannot be read or written."""

    code = "store_unwritable"
    exit_status = 5


class StoreFullError(InfraError):
    """No space is left on the device."""

    code = "store_full"
    retryable = True
    exit_status = 6


class SettingsError(InfraError):
    """A ``LIPFARM_…`` variable is missing or makes no sense."""

    code = "settings_invalid"
    exit_status = 2


class ServiceUnavailableError(InfraError):
    """Postgres, Redis or the object store does not answer."""

    code = "service_unavailable"
    retryable = True
    exit_status = 9


class FencedError(InfraError):
    """The step is another attempt's now: drop everything, say nothing."""

    code = "fenced"


class IllegalMoveError(InfraError):
    """No such move from the state it is in (docs/states.md)."""

    code = "illegal_move"
    exit_status = 2


class NotFoundError(InfraError):
    """No such job, step, asset … in this project."""

    code = "not_found"
    exit_status = 2


class ObjectMissingError(InfraError):
    """The bucket does not hold what a row says it does."""

    code = "object_missing"
    retryable = True


class ObjectDamagedError(InfraError):
    """The bytes are not those that were stored."""

    code = "object_damaged"
    retryable = True


class FetchError(InfraError):
    """An input URL cannot or must not be fetched."""

    code = "fetch_failed"


class DialogueFetchError(FetchError):
    """A dialogue's URL cannot or must not be fetched."""

    code = "dialogue_fetch_failed"
