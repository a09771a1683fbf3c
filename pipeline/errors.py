"""What can go wrong in the pipeline, as a tree.

::

    PipelineError
    ├── InputError               the user's media; trying again changes nothing
    │   ├── UnreadableMediaError     missing, empty, not media, damaged
    │   ├── UnusableMediaError       readable, but cannot be dubbed: no picture, no sound …
    │   └── ParameterError           an option's value makes no sense for this input
    │       ├── TimelineError            a time range: out of order, beyond the film …
    │       └── FaceChoiceError          a chosen face is not where it was said to be
    ├── CheckpointError          weights missing, damaged, refused
    ├── OutputError              the output cannot be written
    ├── StorageFullError         no space left; free some and start again
    ├── MissingArtifactsError    a step's input is not in the store (in artifacts.py)
    ├── MemoryExhaustedError     device or host memory ran out; a smaller batch may pass
    ├── ToolError                ffmpeg failed or ran over its time limit
    ├── ToolUnfitError           ffmpeg is not there, too old, or lacks what is needed
    └── InternalError            a check of our own failed: a bug, please report it

Every message is one line a user can act on: what, where, what to do. ``code`` is stable and
machine-readable; ``retryable`` says whether the same call may succeed later or elsewhere;
``exit_status`` is what the command line returns. Where something that was asked for is at fault, or
would help, ``field`` names it as the code does (``segment_seconds``). A message never names an
option of a command: whoever shows it adds what the field is called there.
"""

from pathlib import Path
from typing import ClassVar


def one_line(path: Path | str) -> str:
    """The path as it may stand in a message: control characters and broken letters escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(path))


class PipelineError(Exception):
    """The root. Never raised itself."""

    code: ClassVar[str] = "pipeline_error"
    retryable: ClassVar[bool] = False
    exit_status: ClassVar[int] = 70

    def __init__(self, message: str = "", *, field: str | None = None) -> None:
        """Say what is wrong.

        Args:
            message: one line.
            field: of ``DubOptions`` or ``Order``, or the parameter, that is to be changed.
        """
        super().__init__(message)
        self.field = field


class InputError(PipelineError):
    """The input cannot be used, and trying again changes nothing."""

    code = "input_error"
    exit_status = 3


class UnreadableMediaError(InputError):
    """The file is missing, empty, damaged or not media at all."""

    code = "media_unreadable"


class UnusableMediaError(InputError):
    """The file is sound media, but not something that can be dubbed."""

    code = "media_unusable"


class ParameterError(InputError):
    """An option's value makes no sense for this input."""

    code = "parameter_invalid"
    exit_status = 2


class TimelineError(ParameterError):
    """A time range makes no sense: empty, out of order, overlapping, or beyond the film."""

    code = "timeline_invalid"


class FaceChoiceError(ParameterError):
    """There is no face where one was chosen."""

    code = "face_choice_invalid"


class CheckpointError(PipelineError):
    """The weights are missing, damaged, of another network, or refused."""

    code = "checkpoint_unusable"
    exit_status = 4


class OutputError(PipelineError):
    """The output cannot be written there, or has no name of ours."""

    code = "output_unwritable"
    exit_status = 5


class StorageFullError(PipelineError):
    """No space is left on the device."""

    code = "storage_full"
    retryable = True
    exit_status = 6


class MemoryExhaustedError(PipelineError):
    """Device or host memory ran out; a smaller batch may pass."""

    code = "memory_exhausted"
    retryable = True
    exit_status = 7


class ToolError(PipelineError):
    """ffmpeg failed, or ran over its time limit."""

    code = "tool_failed"
    retryable = True
    exit_status = 8


class ToolUnfitError(PipelineError):
    """The ffmpeg to be used is not there, is too old, or lacks what we use."""

    code = "tool_unfit"
    retryable = True  # on another machine
    exit_status = 8


class InternalError(PipelineError):
    """A check of our own failed: this is a bug."""

    code = "internal_error"
    exit_status = 70
