"""What a probed media file looks like to the rest of the pipeline."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

#: For a file that does not say, as one frame cannot.
DEFAULT_FRAME_RATE = Fraction(25)

#: AVCOL_*_UNSPECIFIED for space, primaries and transfer; for the range it is 0.
UNSPECIFIED = 2
UNSPECIFIED_RANGE = 0

#: BT.601's and BT.2020's transfer is BT.709's; the two matrices of BT.601 are one.
_SAME_TRANSFER = {6: 1, 14: 1, 15: 1}
_SAME_SPACE = {6: 5}


@dataclass(frozen=True, slots=True)
class ColorTags:
    """How the samples mean light: the numbers of ITU-T H.273, as FFmpeg has them.

    ``range``: 0 unspecified, 1 limited, 2 full. The others: 2 is unspecified.
    """

    range: int = UNSPECIFIED_RANGE
    space: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    def meaning(self) -> dict[str, int]:
        """What is specified, by field; numbers that mean the same are one number."""
        named = {
            "range": self.range or UNSPECIFIED_RANGE,
            "space": _SAME_SPACE.get(self.space, self.space),
            "primaries": self.primaries or UNSPECIFIED,
            "transfer": _SAME_TRANSFER.get(self.transfer, self.transfer) or UNSPECIFIED,
        }
        silent = {"range": UNSPECIFIED_RANGE}
        return {k: v for k, v in named.items() if v != silent.get(k, UNSPECIFIED)}


@dataclass(frozen=True, slots=True)
class MasteringDisplay:
    """SMPTE ST 2086. Chromaticities as CIE xy; luminance in cd/m²."""

    red: tuple[Fraction, Fraction]
    green: tuple[Fraction, Fraction]
    blue: tuple[Fraction, Fraction]
    white: tuple[Fraction, Fraction]
    min_luminance: Fraction
    max_luminance: Fraction

    def x265_string(self) -> str:
        """As x265's ``master-display`` wants it: steps of 0.00002 and of 0.0001 cd/m²."""

        def point(xy: tuple[Fraction, Fraction]) -> str:
            return f"({round(xy[0] * 50000)},{round(xy[1] * 50000)})"

        light = f"({round(self.max_luminance * 10000)},{round(self.min_luminance * 10000)})"
        return (
            f"G{point(self.green)}B{point(self.blue)}R{point(self.red)}"
            f"WP{point(self.white)}L{light}"
        )


@dataclass(frozen=True, slots=True)
class HdrMetadata:
    """Static HDR metadata; ``max_cll`` and ``max_fall`` in cd/m², None where absent."""

    mastering: MasteringDisplay | None
    max_cll: int | None
    max_fall: int | None


@dataclass(frozen=True, slots=True)
class Crop:
    """Lines and columns of the stored picture that are not to be shown."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """Any stream: ``kind`` is video, audio, subtitle, data, attachment or unknown.

    ``codec`` is the name of FFmpeg's codec descriptor, not of a decoder: mp3, not mp3float. It is
    None where there is no decoder for it.
    """

    index: int
    kind: str
    codec: str | None
    language: str | None
    title: str | None
    disposition: tuple[str, ...]
    start: Fraction | None
    duration: Fraction | None
    metadata: dict[str, str] = field(hash=False)

    @property
    def is_default(self) -> bool:
        return "default" in self.disposition


@dataclass(frozen=True, slots=True)
class AudioInfo(StreamInfo):
    """Sound; ``sample_format`` is the decoder's, as in FFmpeg: s16, fltp …"""

    sample_rate: int
    channels: int
    layout: str
    sample_format: str


@dataclass(frozen=True, slots=True)
class VideoInfo(StreamInfo):
    """The picture stream.

    ``pix_fmt`` is the decoder's; frames come in ``planar_format`` with ``bit_depth`` bits (see
    planes.py). ``rotation`` is what players turn the picture by, in degrees counter-clockwise, from
    ``display_matrix`` (nine numbers, as FFmpeg has them; a mirrored picture shows only there);
    frames come unrotated. ``frame_rate`` is the average; ``frames`` is the container's count, None
    where it has none.

    ``width`` and ``height`` are what is shown, and frames come without what ``crop`` hides; that is
    the container's crop, in whole chroma samples: decoders have applied the bitstream's already.
    ``chroma_location`` is AVChromaLocation. ``carries`` names what else the picture comes with: see
    extras.py. ``change`` says what is not the same all over the film, and where; ``interlaced_at``
    is the second at which woven fields were seen, None where none were.
    """

    width: int
    height: int
    pix_fmt: str
    planar_format: str
    bit_depth: int
    time_base: Fraction
    frame_rate: Fraction
    frames: int | None
    sample_aspect_ratio: Fraction | None
    rotation: int
    display_matrix: tuple[int, ...] | None
    color: ColorTags
    hdr: HdrMetadata | None
    interlaced_at: Fraction | None
    timecode: str | None
    dolby_vision: bool
    has_dynamic_hdr: bool
    crop: Crop | None = None
    chroma_location: int = 0
    carries: tuple[str, ...] = ()
    change: str | None = None


@dataclass(frozen=True, slots=True)
class Chapter:
    start: Fraction
    end: Fraction
    title: str | None


@dataclass(frozen=True, slots=True)
class Jump:
    """From this packet of a stream on, counted from 0, its times are moved by ``shift`` seconds."""

    packet: int
    shift: Fraction


@dataclass(frozen=True, slots=True)
class Clock:
    """How a file's times are placed on one clock without jumps; see :mod:`pipeline.media.clock`.

    Attributes:
        jumps: by stream, in order; a stream without any keeps its own times.
        broken: streams that have no place on that clock, and why.
        end: when the picture (or the first sound) ends, in seconds; None where nothing jumps.
    """

    jumps: dict[int, tuple[Jump, ...]] = field(default_factory=dict, hash=False)
    broken: dict[int, str] = field(default_factory=dict, hash=False)
    end: Fraction | None = None

    def shift(self, stream: int, packet: int) -> Fraction:
        """Seconds that a packet of a stream, counted from 0, is moved by."""
        shift = Fraction(0)
        for jump in self.jumps.get(stream, ()):
            if jump.packet > packet:
                break
            shift = jump.shift
        return shift


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """A probed file. Times and durations are in seconds.

    ``clock`` and ``changing`` (streams that cannot be copied as they are, and why) are known once
    all of it was read.
    """

    path: Path
    container: str
    size_bytes: int
    start: Fraction
    duration: Fraction | None
    video: VideoInfo | None
    audio: tuple[AudioInfo, ...]
    others: tuple[StreamInfo, ...]
    chapters: tuple[Chapter, ...]
    metadata: dict[str, str] = field(hash=False)
    clock: Clock = Clock()
    changing: dict[int, str] = field(default_factory=dict, hash=False)

    @property
    def sound(self) -> AudioInfo | None:
        """The sound a player would choose: of those that decode a default one, else the first."""
        usable = [s for s in self.audio if s.codec is not None and s.sample_rate and s.channels]
        chosen = [s for s in usable if s.is_default]
        return next(iter(chosen or usable), None)
