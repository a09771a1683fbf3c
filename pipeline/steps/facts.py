"""What stages tell each other, as JSON: what was prepared, what was tracked, and the steps ahead.

Light to import: a process that only hands steps out needs neither OpenCV nor torch.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from pydantic import TypeAdapter

from pipeline.artifacts import Read, artifact_key
from pipeline.options import DubOptions

Facts = TypeVar("Facts")

#: Raised when what the render stage writes changes.
RENDER_VERSION = 5

#: The file of a rendered range's artifact.
SEGMENT_FILE = "segment.nut"

#: What its frames carried, and both: what an artifact must hold.
SEEN_FILE = "seen.json"
RANGE_FILES = (SEGMENT_FILE, SEEN_FILE)

#: What may lie beside it: before and after, as a small film and a picture.
PREVIEW_FILE, STILL_FILE = "preview.mp4", "still.jpg"


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """Which network a job is rendered with.

    Attributes:
        name: ``wav2lip`` or ``draft``.
        checkpoint_sha256: of its weights, None where it has none.
        digest: of all that determines what it draws, precision included; that is known where it
            was loaded.
        device, precision: for the report, likewise.
        checkpoint: the name of the weights' file, where it was loaded.
    """

    name: str
    checkpoint_sha256: str | None = None
    digest: str | None = None
    device: str | None = None
    precision: str | None = None
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True)
class DetectStep:
    """A segment to be looked through; its artifact is ``artifact_key``."""

    segment_index: int
    frames: int
    artifact_key: str
    reads: tuple[Read, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job that was prepared: all that later stages are told of it.

    Attributes:
        options: as ordered.
        network: as chosen, not loaded.
        detector: its name; None where the face's place is given.
        source_key, sound_key: artifacts of the inputs.
        source_name, dialogue_name, output_name: of the files, as messages and the report have them.
        frames: of the source, as its packets promise them.
        frame_rate: of the source, on average.
        source_seconds, dialogue_seconds: their lengths.
        more_dialogue_names: of the dialogues a timeline has beyond the first.
        left_out: a sentence for each stream of the source, and for what its picture carries, that
            will be missed in the output; and for each place where frames of a folder seem to be
            missing.
        boxes_key: artifact of the boxes that say who is dubbed; None where there are none.
    """

    options: DubOptions
    network: NetworkFacts
    detector: str | None
    source_key: str
    sound_key: str
    source_name: str
    dialogue_name: str
    output_name: str
    frames: int
    frame_rate: Fraction
    source_seconds: float
    dialogue_seconds: float
    more_dialogue_names: tuple[str, ...] = ()
    boxes_key: str | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RenderStep:
    """Output frames [start, end) to be rendered.

    Attributes:
        segment_index: among the ranges of the output.
        dubbed: digest of all that determines the dubbed frames but the network; None where nobody
            is dubbed.
        untouched: the same of the frames as they are in the source.
        reads: what rendering it takes.
    """

    segment_index: int
    start: int
    end: int
    dubbed: str | None
    untouched: str
    reads: tuple[Read, ...]

    @property
    def frames(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Tracked:
    """A job that was tracked.

    Attributes:
        tracks_key: artifact that says who is dubbed where, in the source's true numbering.
        frames: of the source, as decoding gave them.
        output_frames: of the output.
        output_seconds: its length.
        ranges: how many render steps there are.
        kept_original: segments of the source nobody looked through, so that nobody is dubbed there.
    """

    tracks_key: str
    frames: int
    output_frames: int
    output_seconds: float
    ranges: int
    kept_original: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rendered:
    """A range that was rendered: its artifact, and with which network."""

    artifact_key: str
    network: NetworkFacts


def render_key(step: RenderStep, network_digest: str | None, *, untouched: bool = False) -> str:
    """The artifact of a range; made without opening a file.

    Args:
        step: the range.
        network_digest: of the network as loaded; not asked for where nobody is dubbed.
        untouched: the original is to be kept there.
    """
    if step.dubbed is None or untouched:
        return artifact_key("render", RENDER_VERSION, frames=step.untouched)
    if network_digest is None:
        raise ValueError("which network?")
    return artifact_key("render", RENDER_VERSION, frames=step.dubbed, network=network_digest)


def to_json(facts: Any) -> Any:
    """Plain values for an object of any of the classes above."""
    return TypeAdapter(type(facts)).dump_python(facts, mode="json")


def from_json(kind: type[Facts], values: Any) -> Facts:
    """The other way round; what does not fit raises pydantic.ValidationError, a ValueError."""
    return TypeAdapter(kind).validate_python(values)
