"""How the pipeline tells how far it is, without knowing who listens."""

from typing import Protocol


class Progress(Protocol):
    """Told by the stages; a terminal, a log or a heartbeat listens."""

    def start_stage(self, stage: str, frames: int) -> None:
        """A stage begins; ``frames`` is its work."""

    def advance(self, frames: int) -> None:
        """So many more frames of the stage are finished, or were found finished."""

    def finish_stage(self) -> None:
        """The stage is over."""

    def note(self, message: str) -> None:
        """A sentence a person should read."""


class Silent:
    """Nobody listens."""

    def start_stage(self, stage: str, frames: int) -> None:
        pass

    def advance(self, frames: int) -> None:
        pass

    def finish_stage(self) -> None:
        pass

    def note(self, message: str) -> None:
        pass
