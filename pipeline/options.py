"""What a dub may be told, with the defaults and why they are so."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from pipeline.errors import ParameterError
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

    def __post_init__(self) -> None:
        if not self.segment_seconds > 0:
            raise ParameterError("--segment-seconds must be more than 0")
        if self.workers < 1:
            raise ParameterError("--workers must be at least 1")
        if self.box is not None and self.box.is_empty():
            raise ParameterError("--box is empty: it is X1,Y1,X2,Y2 with X1 < X2 and Y1 < Y2")
        if not 1 <= self.fps <= 1000:
            raise ParameterError("--fps must be between 1 and 1000")


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
