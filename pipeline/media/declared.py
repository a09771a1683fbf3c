"""What a container declares of its picture stream and PyAV has no field for.

libavformat knows it all, as fields and side data of AVCodecParameters. Its Matroska muxer writes
that down as elements with published numbers (RFC 9559), so the header of a Matroska file without a
packet, made of the stream in memory, tells it whatever container the stream came from.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
from av.video.stream import VideoStream

from pipeline.media.info import Crop
from pipeline.media.promises import ebml_number

#: Elements that hold others, on the way to a track's video settings: Segment, Tracks, TrackEntry,
#: Video, Colour, Projection.
_MASTERS = frozenset({0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x55B0, 0x7670})

_CROP_LEFT, _CROP_TOP, _CROP_RIGHT, _CROP_BOTTOM = 0x54CC, 0x54BB, 0x54DD, 0x54AA
_CHROMA_ACROSS, _CHROMA_DOWN = 0x55B7, 0x55B8
_STEREO_MODE, _PROJECTION_TYPE = 0x53B8, 0x7671

#: AVChromaLocation by the two sitings: 1 with the first luma sample, 2 half way to the next.
_CHROMA_LOCATIONS = {(1, 2): 1, (2, 2): 2, (1, 1): 3, (2, 1): 4}


@dataclass(frozen=True, slots=True)
class Declared:
    """``chroma_location`` is AVChromaLocation, 0 where nothing says."""

    crop: Crop | None = None
    chroma_location: int = 0
    is_stereoscopic: bool = False
    is_spherical: bool = False


def declared(stream: VideoStream) -> Declared:
    """What the stream's container says; nothing where no Matroska file can hold such a stream."""
    header = io.BytesIO()
    try:
        with av.open(header, "w", format="matroska") as muxer:
            copy = muxer.add_stream_from_template(stream, opaque=True)
            copy.time_base = stream.time_base or Fraction(1, av.time_base)
            muxer.start_encoding()
    except (av.FFmpegError, ValueError):
        return Declared()
    found = dict(_elements(header.getvalue()))
    edges = [found.get(i, 0) for i in (_CROP_LEFT, _CROP_TOP, _CROP_RIGHT, _CROP_BOTTOM)]
    sitings = (found.get(_CHROMA_ACROSS, 0), found.get(_CHROMA_DOWN, 0))
    return Declared(
        crop=Crop(*edges) if any(edges) else None,
        chroma_location=_CHROMA_LOCATIONS.get(sitings, 0),
        is_stereoscopic=found.get(_STEREO_MODE, 0) > 0,
        is_spherical=found.get(_PROJECTION_TYPE, 0) > 0,
    )


def _elements(data: bytes) -> Iterator[tuple[int, int]]:
    """Numbers by their element."""
    position = 0
    while position < len(data):
        identity, position = ebml_number(data, position, keep_marker=True)
        length, start = ebml_number(data, position, keep_marker=False)
        position = start if identity in _MASTERS else start + length
        if identity not in _MASTERS:
            yield identity, int.from_bytes(data[start:position], "big")
