"""How much room a dub takes at the least, from what a look at its inputs tells.

Every figure is a floor. What would have fitted must never be refused, so what is not known counts
as nothing.
"""

from fractions import Fraction
from typing import Final

from pipeline.media.info import MediaInfo, VideoInfo
from pipeline.media.packets import CUTTABLE_CODECS
from pipeline.output.encode import DEFAULT_CRF, choose_encoder

#: Containers that hold little but their streams; others are padded, or hold what is no stream.
_DENSE: Final = frozenset({"mov", "matroska", "mxf"})

#: Of a file in one of these, what is not picture or sound, at the most.
_REST: Final = Fraction(1, 10)

#: Bytes of a container's own: in all, and for each frame in its index.
_HEAD, _INDEX = 64 << 10, 64

#: Bytes of a sample of sound, at the most; no codec makes it larger than that.
_SAMPLE_BYTES: Final = 4

#: Bytes a pixel of a frame takes at CRF 18, at the least. Faces that speak took 0.013 to 0.021, a
#: still of test bars 0.00016.
_PIXEL_BYTES: Final = 0.001

#: What is as dense as that as it comes in is not made a twentieth of its size.
_SHRINKING: Final = 20

#: By so much more CRF, half the size.
_HALVING_CRF: Final = 6


def least_cut_bytes(info: MediaInfo) -> int:
    """Of a film's segment objects: the packets of its picture; 0 where nothing is certain.

    Args:
        info: of a film that is not kept as one piece, as far as one can tell from it.
    """
    container = info.container.split(",")[0]
    others = {stream.kind for stream in info.others}
    if info.video is None or container not in _DENSE or others & {"video", "attachment"}:
        return 0
    if info.video.codec not in CUTTABLE_CODECS or info.duration is None:
        return 0
    sound = sum(
        audio.sample_rate * audio.channels * _SAMPLE_BYTES * info.duration for audio in info.audio
    )
    index = _HEAD + _INDEX * info.duration * info.video.frame_rate
    return max(0, int(info.size_bytes * (1 - _REST) - sound - index))


def least_encoded_bytes(info: MediaInfo, seconds: Fraction | None, crf: float | None) -> int:
    """Of the dubbed picture, encoded; 0 where nothing is certain.

    Args:
        info: of the film.
        seconds: how long the dialogue is, if known.
        crf: as ordered.
    """
    video = info.video
    if video is None or seconds is None or info.duration is None:
        return 0
    frames = min(seconds, info.duration) * video.frame_rate
    quality = DEFAULT_CRF[choose_encoder(video)] if crf is None else crf
    scale = min(1.0, 2 ** ((DEFAULT_CRF["libx264"] - quality) / _HALVING_CRF))
    dense = float(frames) * _pixels(video) * _PIXEL_BYTES * scale
    return int(min(dense, least_cut_bytes(info) / _SHRINKING))


def _pixels(video: VideoInfo) -> int:
    return video.width * video.height
