"""What is in a media file, read in process; and why it cannot be dubbed, where it cannot.

The colours and the HDR metadata are those of *decoded* frames: containers may say something else
(a remux that lost them is common), and what the decoder says is what the picture is. Where the
frames leave a tag open, the container's is taken.
"""

import ctypes
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import DataStream, Disposition, Stream
from av.video.stream import VideoStream

from pipeline.errors import UnreadableMediaError, UnusableMediaError
from pipeline.media.declared import Declared, declared
from pipeline.media.extras import ALPHA, SPHERICAL_VIEW, STEREOSCOPIC
from pipeline.media.info import (
    DEFAULT_FRAME_RATE,
    UNSPECIFIED,
    AudioInfo,
    Chapter,
    ColorTags,
    HdrMetadata,
    MasteringDisplay,
    MediaInfo,
    StreamInfo,
    VideoInfo,
)
from pipeline.media.looks import change_between, color_of, first_look, look_around
from pipeline.media.opening import check_regular_file, one_line, open_media, picture_stream
from pipeline.media.planes import bit_depth, planar_format, whole_samples
from pipeline.media.wholeness import require_whole

__all__ = [
    "AudioInfo",
    "Chapter",
    "ColorTags",
    "HdrMetadata",
    "MasteringDisplay",
    "MediaInfo",
    "StreamInfo",
    "VideoInfo",
    "probe",
    "require_dialogue",
    "require_source",
]

#: The largest picture that is taken: 8K DCI and UHD, upright or lying.
MAX_LONG_SIDE = 8192
MAX_SHORT_SIDE = 4320

#: The smallest: one macroblock.
MIN_SIDE = 16

#: AVCodecContext.field_order: 0 unknown, 1 progressive, above that interlaced of some kind.
_PROGRESSIVE_FIELD_ORDER = 1

#: MP4 sample entries of Dolby Vision streams whose base layer is not a picture of its own.
_DOLBY_VISION_TAGS = frozenset({"dvh1", "dvhe", "dva1", "dvav", "dav1"})

#: MP4 sample entries of encrypted streams (ISO/IEC 23001-7).
_ENCRYPTED_TAGS = frozenset({"encv", "enca", "drmi", "drms"})


def probe(path: Path | str, *, everywhere: bool = False) -> MediaInfo:
    """Read what a media file holds. Decodes one frame and reads no more than it must.

    Args:
        path: the file.
        everywhere: look at the picture in several places, too, as a film asks for: what begins
            later, or changes, is told.

    Raises:
        UnreadableMediaError: it cannot be opened, is cut short, or its picture does not decode.
    """
    path = Path(path)
    size = check_regular_file(path).st_size
    with open_media(path) as container:
        picture = picture_stream(container)
        if picture is not None:
            _require_decodable(path, picture)
        require_whole(path, container, size)
        video = (
            None
            if picture is None
            else _video_info(path, container, picture, everywhere=everywhere)
        )
        streams = [s for s in container.streams if s is not picture]
        return MediaInfo(
            path=path,
            container=container.format.name,
            size_bytes=size,
            start=Fraction(container.start_time or 0, av.time_base),
            duration=_seconds(container),
            video=video,
            audio=tuple(_audio_info(s) for s in streams if isinstance(s, av.AudioStream)),
            others=tuple(
                StreamInfo(**_common(s)) for s in streams if not isinstance(s, av.AudioStream)
            ),
            chapters=_chapters(container),
            metadata=dict(container.metadata),
        )


def require_source(info: MediaInfo) -> VideoInfo:
    """The picture of a file that is to be dubbed.

    Raises:
        UnusableMediaError: it has none, or one that cannot be dubbed; the message says why.
    """
    name, video = one_line(info.path), info.video
    if video is None:
        raise UnusableMediaError(f"{name}: holds no picture to dub")
    long_side, short_side = sorted((video.width, video.height), reverse=True)
    size = f"{video.width}×{video.height}"
    if long_side > MAX_LONG_SIDE or short_side > MAX_SHORT_SIDE:
        limit = f"{MAX_LONG_SIDE}×{MAX_SHORT_SIDE}"
        raise UnusableMediaError(f"{name}: its picture is {size}; the limit is {limit}")
    if short_side < MIN_SIDE:
        raise UnusableMediaError(f"{name}: its picture is {size}; no face fits under {MIN_SIDE}")
    if video.rotation % 90:
        raise UnusableMediaError(
            f"{name}: is shown turned by {video.rotation}°, which is no quarter turn; turn the"
            " picture itself first, for example with ffmpeg -i IN -c:a copy OUT"
        )
    if video.interlaced_at is not None:
        where = f" at {float(video.interlaced_at):.1f} s" if video.interlaced_at > 0 else ""
        raise UnusableMediaError(
            f"{name}: is interlaced{where}, and woven fields would be encoded as frames;"
            " deinterlace it first, for example with ffmpeg -i IN -vf bwdif -c:a copy OUT"
        )
    if video.change is not None:
        raise UnusableMediaError(f"{name}: {video.change}")
    if video.dolby_vision and video.color.transfer in (0, UNSPECIFIED):
        raise UnusableMediaError(
            f"{name}: is Dolby Vision without a base layer that can be shown by itself (profile 5);"
            " dub an HDR10 or SDR version"
        )
    return video


def require_dialogue(info: MediaInfo) -> AudioInfo:
    """The sound of a file that is to be the dialogue: see :attr:`MediaInfo.sound`.

    Raises:
        UnusableMediaError: it has none.
    """
    if info.sound is None:
        raise UnusableMediaError(f"{one_line(info.path)}: holds no sound")
    return info.sound


def _require_decodable(path: Path, stream: VideoStream) -> None:
    if stream.codec_tag in _ENCRYPTED_TAGS:
        raise UnreadableMediaError(f"{one_line(path)}: its picture is encrypted")
    if stream.codec_context is None:
        raise UnreadableMediaError(f"{one_line(path)}: no decoder for its picture's codec")


def _video_info(
    path: Path, container: InputContainer, stream: VideoStream, *, everywhere: bool
) -> VideoInfo:
    # The container's tags, before decoding overwrites them with the bitstream's.
    context = stream.codec_context
    contained = ColorTags(
        context.color_range, context.colorspace, context.color_primaries, context.color_trc
    )
    first = first_look(path, container, stream)
    if first is None:
        raise UnreadableMediaError(f"{one_line(path)}: its picture does not decode")
    looks = [first]
    if everywhere:
        looks += look_around(path, _seconds(container))
    told = declared(stream)
    crop = told.crop and whole_samples(told.crop, first.pix_fmt, first.size)
    width, height = first.size
    extras = frozenset[str]().union(*(look.extras for look in looks))
    woven = Fraction(0) if context.field_order > _PROGRESSIVE_FIELD_ORDER else None
    return VideoInfo(
        **_common(stream),
        width=width - (crop.left + crop.right if crop else 0),
        height=height - (crop.top + crop.bottom if crop else 0),
        pix_fmt=first.pix_fmt,
        planar_format=planar_format(first.pix_fmt),
        bit_depth=bit_depth(planar_format(first.pix_fmt)),
        time_base=stream.time_base or Fraction(1, av.time_base),
        frame_rate=stream.average_rate or stream.guessed_rate or DEFAULT_FRAME_RATE,
        frames=stream.frames or None,
        sample_aspect_ratio=stream.sample_aspect_ratio or None,
        rotation=first.rotation,
        display_matrix=first.display_matrix,
        color=color_of(looks, contained),
        hdr=next((look.hdr for look in looks if look.hdr), None),
        interlaced_at=next((look.at for look in looks if look.is_interlaced), woven),
        timecode=_timecode(container, stream),
        dolby_vision=stream.codec_tag in _DOLBY_VISION_TAGS
        or bool(extras & {"DOVI_RPU_BUFFER", "DOVI_METADATA"}),
        has_dynamic_hdr=bool(extras & {"DYNAMIC_HDR_PLUS", "DYNAMIC_HDR_VIVID"}),
        crop=crop,
        chroma_location=told.chroma_location,
        carries=tuple(sorted(extras | _declared_extras(stream, told))),
        change=change_between(looks),
    )


def _declared_extras(stream: VideoStream, told: Declared) -> set[str]:
    """What the container says the picture carries; VP8 and VP9 keep alpha beside their packets."""
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    said = {
        ALPHA: tags.get("alpha_mode", "0") != "0",
        STEREOSCOPIC: told.is_stereoscopic,
        SPHERICAL_VIEW: told.is_spherical,
    }
    return {name for name, is_there in said.items() if is_there}


def _seconds(container: InputContainer) -> Fraction | None:
    return None if container.duration is None else Fraction(container.duration, av.time_base)


def _common(stream: Stream) -> dict[str, Any]:
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    language = tags.get("language")
    kind: str | None = stream.type  # None where FFmpeg does not know
    base = stream.time_base or Fraction(1, av.time_base)
    start = None if stream.start_time is None else stream.start_time * base
    return {
        "index": stream.index,
        "kind": kind or "unknown",
        "codec": _codec_name(stream),
        "language": None if language in (None, "und") else language,
        "title": tags.get("title"),
        "disposition": tuple(d.name for d in Disposition if stream.disposition & d and d.name),
        "start": start,
        "duration": _tagged_duration(tags, start)
        if stream.duration is None
        else stream.duration * base,
        "metadata": dict(stream.metadata),
    }


def _codec_name(stream: Stream) -> str | None:
    """Of the codec; several decoders may read it, each by a name of its own."""
    context: av.CodecContext | None = stream.codec_context
    if context is not None:
        return context.codec.canonical_name
    return stream.name if isinstance(stream, DataStream) else None


def _tagged_duration(tags: dict[str, str], start: Fraction | None) -> Fraction | None:
    """Matroska keeps the end of a stream in a tag, as in 00:00:47.277000000."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", tags.get("duration", ""))
    if match is None:
        return None
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds) - (start or 0)


def _audio_info(stream: av.AudioStream) -> AudioInfo:
    common = _common(stream)
    if common["codec"] is None:
        return AudioInfo(**common, sample_rate=0, channels=0, layout="", sample_format="")
    return AudioInfo(
        **common,
        sample_rate=stream.rate,
        **_layout(stream),
        sample_format=stream.format.name if stream.format else "",
    )


def _layout(stream: av.AudioStream) -> dict[str, Any]:
    """Number and FFmpeg's name of its channels: ``5.1``, ``3 channels (FL+FC+FR)``, ``8 channels``.

    PyAV's layout borrows the stream's list of channels where these stand in an order of their own,
    and frees it with itself, which ends the process. So it is asked for once (``stream.channels``
    asks, too), and such a layout is never let go.
    """
    layout = stream.layout
    name = layout.name
    if "(" in name:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(layout))
    return {"channels": layout.nb_channels, "layout": name}


def _timecode(container: InputContainer, stream: VideoStream) -> str | None:
    """From the picture stream, else a timecode track, else the file."""
    for metadata in (
        stream.metadata,
        *(s.metadata for s in container.streams.data),
        container.metadata,
    ):
        for key, value in metadata.items():
            if key.lower() == "timecode":
                return value
    return None


def _chapters(container: InputContainer) -> tuple[Chapter, ...]:
    return tuple(
        Chapter(
            start=c["start"] * (c["time_base"] or Fraction(1)),
            end=c["end"] * (c["time_base"] or Fraction(1)),
            title=c["metadata"].get("title"),
        )
        for c in container.chapters()
    )
