"""What can go wrong outside, as a tree.

::

    InfraError
    ├── UnknownCheckpointError       no checkpoint of that name is registered
    ├── CheckpointMismatchError      the bytes are not the registered ones
    ├── CheckpointUnavailableError   no mirror gave the file
    ├── CheckpointBusyError          another process is fetching the same file
    ├── StoreUnwritableError         the folder of checkpoints cannot be read or written
    └── StoreFullError               no space left; free some and start again

The shape is that of ``pipeline.errors``: one line a user can act on, a stable ``code``,
``retryable``, and the ``exit_status`` the command line returns.
"""

from typing import ClassVar


class InfraError(Exception):
    """The root. Never raised itself."""

    code: ClassVar[str] = "infra_error"
    retryable: ClassVar[bool] = False
    exit_status: ClassVar[int] = 70


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
