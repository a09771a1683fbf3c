"""What a dub may be told, with the defaults and why they are so."""

import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

from pipeline.errors import FaceChoiceError, ParameterError, TimelineError
from pipeline.geometry import Box

SyncMode = Literal["cut_off", "loop", "bounce", "silence", "remap"]
FaceChoice = Literal["largest", "all"]
Blend = Literal["feather", "box"]
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
KeepAudio = Literal["all", "none"]

#: Long enough that opening a segment costs nothing, short enough that a kill costs little.
DEFAULT_SEGMENT_SECONDS = 10.0

#: A directory of frames says nothing of its rate; the original project assumes this one.
DEFAULT_FPS = Fraction(25)

#: Nothing of the film or of the dialogue is lost in this mode.
DEFAULT_SYNC_MODE: SyncMode = "silence"

PRESETS: Final = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
)

#: The quality scale of both encoders. 0 stands for lossless.
CRF_RANGE: Final = (0.0, 51.0)

#: What numbers may be, both ends included. Beyond these nobody means it, and it would be found out
#: late: by a clock that overflows, or a machine full of processes.
LIMITS: Final[dict[str, tuple[float, float]]] = {
    "crf": CRF_RANGE,
    "fps": (1, 1000),
    "mel_offset_ms": (-10_000, 10_000),
    "segment_seconds": (0.01, 86_400),
    "workers": (1, 256),
}

#: Seconds, a day: no film is longer.
LONGEST: Final = 86_400

#: Pixels: of a side of a picture, and of a pad. Larger pictures are not taken.
LARGEST_SIDE, LARGEST_PAD = 65_535, 4096

#: FFmpeg's rates, and its counts of frames, are of 32-bit integers.
_LARGEST_INTEGER: Final = 2**31 - 1

#: As in BCP 47: ISO 639 first, then script, region and so on.
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_LONGEST_LANGUAGE: Final = 35


@dataclass(frozen=True, slots=True)
class FilmRange:
    """A part of the film, half-open, in seconds from its first frame."""

    start: Fraction
    end: Fraction

    def __str__(self) -> str:
        return f"{float(self.start):g}-{float(self.end):g} s"


@dataclass(frozen=True, slots=True)
class Clip(FilmRange):
    """A part of the film with the dialogue it is to have.

    Attributes:
        dialogue: which of the job's dialogues, counted from 0.
        dialogue_start, dialogue_end: the part of it, in seconds; None goes on to its end. Where
            it is shorter than the part of the film, silence follows; what is longer is cut.
    """

    dialogue: int = 0
    dialogue_start: Fraction = Fraction(0)
    dialogue_end: Fraction | None = None

    def __post_init__(self) -> None:
        if self.dialogue < 0 or self.dialogue_start < 0:
            raise TimelineError(
                f"{self}: the dialogue's own start must not be negative", field="timeline"
            )
        if self.dialogue_end is not None and self.dialogue_end <= self.dialogue_start:
            raise TimelineError(
                f"{self}: its part of the dialogue ends before it starts", field="timeline"
            )


@dataclass(frozen=True, slots=True)
class FacePoint:
    """A point on the face that is to be dubbed: pixels of an upright frame, counted from 0."""

    frame: int
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class DubOptions:
    """The choices that shape the output.

    Attributes:
        sync_mode: what gives way when film and dialogue differ in length.
        faces: who is dubbed: the most prominent face of each shot, or all.
        box: a fixed place of the one face, in pixels of the upright picture; no detection.
        pads: pixels added to a face's box at the top, bottom, left and right; None chooses what
            the networks were trained with.
        blend: ``feather`` adds only what changed; ``box`` replaces the box as the original does.
        mel_offset_ms: shifts the sound under the picture; positive makes lips later.
        segment_seconds: how the work is cut. It does not change a pixel before encoding.
        workers: segments worked on at once, each in a process of its own beyond the first.
        crf, preset: as in x264 and x265; None chooses for the codec.
        language: ISO 639 tag of the dubbed track.
        keep_audio: whether the source's own audio tracks follow the dubbed one.
        timeline: parts of the film with the dialogue of each. What none covers keeps picture and
            sound, and the film keeps its length, whatever the sync mode; empty lays one dialogue
            over the whole film.
        keep_original: parts of the film whose picture stays as it is under the dialogue.
        chosen: points on the faces to dub, one for each shot to be dubbed; empty leaves the choice
            to ``faces``.
    """

    sync_mode: SyncMode = DEFAULT_SYNC_MODE
    faces: FaceChoice = "largest"
    box: Box | None = None
    pads: tuple[int, int, int, int] | None = None
    blend: Blend = "feather"
    mel_offset_ms: float = 0.0
    segment_seconds: float = DEFAULT_SEGMENT_SECONDS
    workers: int = 1
    crf: float | None = None
    preset: str | None = None
    language: str | None = None
    keep_audio: KeepAudio = "all"
    fps: Fraction = DEFAULT_FPS
    timeline: tuple[Clip, ...] = ()
    keep_original: tuple[FilmRange, ...] = ()
    chosen: tuple[FacePoint, ...] = ()

    def __post_init__(self) -> None:
        for field in LIMITS:
            _check_limits(field, getattr(self, field))
        if max(self.fps.as_integer_ratio()) > _LARGEST_INTEGER:
            raise ParameterError(
                "the frame rate has too many digits; give it as a fraction, such as 30000/1001",
                field="fps",
            )
        if self.preset is not None and self.preset not in PRESETS:
            raise ParameterError(
                f"the preset must be one of {', '.join(PRESETS)}, not {self.preset!r}",
                field="preset",
            )
        if self.language is not None:
            _check_language(self.language)
        _check_faces(self)
        _check_ranges("timeline", self.timeline)
        _check_ranges("keep_original", self.keep_original)


def _check_limits(field: str, value: float | Fraction | None) -> None:
    """Raises ParameterError where the value is none the field may have."""
    low, high = LIMITS[field]
    # Written so that what is not a number fails, too.
    if value is not None and not low <= value <= high:
        raise ParameterError(
            f"{field.replace('_', ' ')} must be between {low:g} and {high:g}", field=field
        )


def _check_language(tag: str) -> None:
    if len(tag) > _LONGEST_LANGUAGE or not _LANGUAGE.fullmatch(tag):
        raise ParameterError(
            f"{tag[:_LONGEST_LANGUAGE]!r} is not a language tag such as fra or pt-BR",
            field="language",
        )


def _check_faces(options: DubOptions) -> None:
    """Raises ParameterError where a face cannot be there, whatever the film."""
    box, points = options.box, options.chosen
    if box is not None and box.is_empty():
        raise ParameterError(
            "the box is empty: it is X1,Y1,X2,Y2 with X1 < X2 and Y1 < Y2", field="box"
        )
    if box is not None and not all(0 <= side <= LARGEST_SIDE for side in astuple(box)):
        raise ParameterError("the box lies outside of any picture", field="box")
    if any(abs(pad) > LARGEST_PAD for pad in options.pads or ()):
        raise ParameterError(f"a pad has at most {LARGEST_PAD} pixels", field="pads")
    if points and box is not None:
        raise FaceChoiceError("give either the face's box or a point on it, not both", field="box")
    for point in points:
        is_inside = all(0 <= place <= LARGEST_SIDE for place in (point.x, point.y))
        if not is_inside or not 0 <= point.frame <= _LARGEST_INTEGER:
            raise FaceChoiceError(
                f"no film has a frame {point.frame} with {point.x},{point.y} in it", field="chosen"
            )


def _check_ranges(field: str, ranges: Sequence[FilmRange]) -> None:
    """Raises TimelineError where they are empty, out of order or overlap."""
    for each in ranges:
        if each.end > LONGEST:
            raise TimelineError(f"a time range ends after {LONGEST} s", field=field)
        if not 0 <= each.start < each.end:
            raise TimelineError(
                f"{each}: a time range starts at 0 or later and ends after it", field=field
            )
    for before, after in pairwise(ranges):
        if after.start < before.start:
            raise TimelineError(
                f"{after} comes after {before}: put time ranges in order", field=field
            )
        if after.start < before.end:
            raise TimelineError(f"{after} overlaps {before}", field=field)


@dataclass(frozen=True, slots=True)
class NetworkChoice:
    """Which network to build, where. A few words, so it can be sent to another process.

    Attributes:
        name: ``wav2lip`` or ``draft``.
        checkpoint: weights of ``wav2lip``.
        device: ``auto``, ``cpu`` or ``cuda:N``.
    """

    name: Literal["wav2lip", "draft"]
    checkpoint: Path | None = None
    device: str = "auto"
    precision: Precision = "auto"


@dataclass(frozen=True, slots=True)
class DetectorChoice:
    """Which face detector to build: ``centerface``, or ``yunet`` with its weights."""

    name: Literal["centerface", "yunet"] = "centerface"
    weights: Path | None = None
