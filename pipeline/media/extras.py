"""What a picture may carry beside its samples, colours and times: by name, and what becomes of it.

The names are FFmpeg's, of frame side data where there is such a kind; they are what reports and
tests go by. Whatever a dub cannot carry over is told in the report, never dropped without a word.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import av

from pipeline.media.info import ColorTags
from pipeline.media.sidedata import all_side_data, side_data_kinds

#: Carried over by the encoder.
CAPTIONS = "A53_CC"

#: Facts that are no side data.
ALPHA, STEREOSCOPIC, SPHERICAL_VIEW = "alpha", "STEREO3D", "SPHERICAL"

_NOT_ENCODED = "the encoders have no room for it"
_DYNAMIC = "it describes the picture as it was graded, and the mouths are new"
_CONTAINER = "the output's container is not told of it"

#: What is lost: in words, and why.
LEFT_OUT = {
    ALPHA: ("the alpha channel", "H.264 and HEVC as they are encoded here have none"),
    STEREOSCOPIC: ("the stereoscopic (3D) layout", _CONTAINER),
    SPHERICAL_VIEW: ("the spherical (360°) projection", _CONTAINER),
    "REFERENCE_DISPLAYS_3D": ("the 3D reference displays", _NOT_ENCODED),
    "VIEW_ID": ("the views beyond the first (MV-HEVC)", "one view is decoded"),
    "LCEVC": ("the LCEVC enhancement layer", "the base layer is decoded"),
    "ICC_PROFILE": ("the ICC profile", _NOT_ENCODED),
    "EXIF": ("the EXIF data of each picture", _NOT_ENCODED),
    "AFD": ("the active format description (AFD)", _NOT_ENCODED),
    "S12M_TIMECODE": ("the timecode of each picture (SMPTE 12M)", _NOT_ENCODED),
    "SEI_UNREGISTERED": ("user data of each picture (unregistered SEI)", _NOT_ENCODED),
    "AMBIENT_VIEWING_ENVIRONMENT": ("the ambient viewing environment", _NOT_ENCODED),
    "DYNAMIC_HDR_PLUS": ("HDR10+ dynamic metadata", _DYNAMIC),
    "DYNAMIC_HDR_VIVID": ("HDR Vivid dynamic metadata", _DYNAMIC),
    "DYNAMIC_HDR_SMPTE_2094_APP5": ("SMPTE ST 2094-50 dynamic metadata", _DYNAMIC),
    "DOVI_RPU_BUFFER": ("Dolby Vision dynamic metadata", _DYNAMIC),
    "DOVI_METADATA": ("Dolby Vision dynamic metadata", _DYNAMIC),
}

#: By which encoders sign their streams: x264 and x265. That is no fact of the picture.
_SIGNATURES = {
    bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef"),
    bytes.fromhex("2ca2de09b51747dbbb55a4fe7fc2fc4e"),
}


def extras_of(frame: av.VideoFrame) -> set[str]:
    """The names of what a decoded frame carries."""
    found = side_data_kinds(frame) & {*LEFT_OUT, CAPTIONS}
    if "SEI_UNREGISTERED" in found:
        identities = {data[:16] for data in all_side_data(frame, "SEI_UNREGISTERED")}
        if identities <= _SIGNATURES:
            found.remove("SEI_UNREGISTERED")
    if has_alpha(frame.format):
        found.add(ALPHA)
    return found


def has_alpha(pix_fmt: av.VideoFormat) -> bool:
    """Whether a pixel format has a channel of opacity; a palette may have."""
    return any(component.is_alpha for component in pix_fmt.components)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was met in the frames of an output, or of a part of it, while they were encoded.

    Attributes:
        frames: how many there are.
        extras: names of what they carried.
        captions_dropped: frames whose captions were not encoded: see ``SegmentEncoder.encode``.
        interlaced: frames that the decoder calls interlaced; ``first_interlaced`` is the first.
        other_colors: frames tagged with other colours than the film; ``first_other_colors`` ….
    """

    frames: int = 0
    extras: tuple[str, ...] = ()
    captions_dropped: int = 0
    interlaced: int = 0
    first_interlaced: int | None = None
    other_colors: int = 0
    first_other_colors: int | None = None

    def followed_by(self, other: "Seen") -> "Seen":
        """Both parts, one after the other."""

        def first(mine: int | None, theirs: int | None) -> int | None:
            if mine is not None or theirs is None:
                return mine
            return self.frames + theirs

        return Seen(
            frames=self.frames + other.frames,
            extras=tuple(sorted({*self.extras, *other.extras})),
            captions_dropped=self.captions_dropped + other.captions_dropped,
            interlaced=self.interlaced + other.interlaced,
            first_interlaced=first(self.first_interlaced, other.first_interlaced),
            other_colors=self.other_colors + other.other_colors,
            first_other_colors=first(self.first_other_colors, other.first_other_colors),
        )

    def save(self, path: Path) -> None:
        """Write it as JSON; :meth:`load` reads it."""
        path.write_text(json.dumps(asdict(self)) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Seen":
        values = json.loads(path.read_text())
        return cls(**{**values, "extras": tuple(values["extras"])})


def see(frame: av.VideoFrame, color: ColorTags, *, captions_dropped: bool) -> Seen:
    """What one frame of a film of those colours shows."""
    own = ColorTags(
        frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc
    ).meaning()
    wanted = color.meaning()
    is_other = any(wanted.get(what, value) != value for what, value in own.items())
    return Seen(
        frames=1,
        extras=tuple(sorted(extras_of(frame))),
        captions_dropped=int(captions_dropped),
        interlaced=int(frame.interlaced_frame),
        first_interlaced=0 if frame.interlaced_frame else None,
        other_colors=int(is_other),
        first_other_colors=0 if is_other else None,
    )
