"""What is in a media file, read in process; and why it cannot be dubbed, where it cannot.

The colours and the HDR metadata are those of the first *decoded* frame: containers may say
something else (a remux that lost them is common), and what the decoder says is what the picture
is. Where the frame leaves a tag open, the container's is taken.
"""

import re
import struct
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import DataStream, Disposition, Stream
from av.video.stream import VideoStream

from pipeline.errors import UnreadableMediaError, UnusableMediaError
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
from pipeline.media.opening import check_regular_file, one_line, open_media, picture_stream
from pipeline.media.planes import bit_depth, planar_format
from pipeline.media.sidedata import side_data, side_data_kinds
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

#: Packets of the picture stream that are tried for a first frame before giving up.
FIRST_FRAME_PACKETS = 300

#: AVCodecContext.field_order: 0 unknown, 1 progressive, above that interlaced of some kind.
_PROGRESSIVE_FIELD_ORDER = 1

#: MP4 sample entries of Dolby Vision streams whose base layer is not a picture of its own.
_DOLBY_VISION_TAGS = frozenset({"dvh1", "dvhe", "dva1", "dvav", "dav1"})

#: MP4 sample entries of encrypted streams (ISO/IEC 23001-7).
_ENCRYPTED_TAGS = frozenset({"encv", "enca", "drmi", "drms"})


def probe(path: Path | str) -> MediaInfo:
    """Read what a media file holds. Decodes one frame and reads no more than it must.

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
        video = None if picture is None else _video_info(path, container, picture)
        streams = [s for s in container.streams if s is not picture]
        return MediaInfo(
            path=path,
            container=container.format.name,
            size_bytes=size,
            start=Fraction(container.start_time or 0, av.time_base),
            duration=None
            if container.duration is None
            else Fraction(container.duration, av.time_base),
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
    if video.interlaced:
        raise UnusableMediaError(
            f"{name}: is interlaced, and woven fields would be encoded as frames; deinterlace it"
            " first, for example with ffmpeg -i IN -vf bwdif -c:a copy OUT"
        )
    if video.dolby_vision and video.color.transfer in (0, UNSPECIFIED):
        raise UnusableMediaError(
            f"{name}: is Dolby Vision without a base layer that can be shown by itself (profile 5);"
            " dub an HDR10 or SDR version"
        )
    return video


def require_dialogue(info: MediaInfo) -> AudioInfo:
    """The sound of a file that is to be the dialogue: its default audio stream.

    Raises:
        UnusableMediaError: it has none.
    """
    usable = [s for s in info.audio if s.codec is not None and s.channels > 0]
    if not usable:
        raise UnusableMediaError(f"{one_line(info.path)}: holds no sound to dub with")
    return next((s for s in usable if s.is_default), usable[0])


def _require_decodable(path: Path, stream: VideoStream) -> None:
    if stream.codec_tag in _ENCRYPTED_TAGS:
        raise UnreadableMediaError(f"{one_line(path)}: its picture is encrypted")
    if stream.codec_context is None:
        raise UnreadableMediaError(f"{one_line(path)}: no decoder for its picture's codec")


def _first_frame(path: Path, container: InputContainer, stream: VideoStream) -> av.VideoFrame:
    for packet in islice(container.demux(stream), FIRST_FRAME_PACKETS):
        try:
            decoded = packet.decode()
        except av.FFmpegError:
            continue  # a damaged start: the next keyframe may do
        if decoded:
            return decoded[0]
    raise UnreadableMediaError(f"{one_line(path)}: its picture does not decode")


def _video_info(path: Path, container: InputContainer, stream: VideoStream) -> VideoInfo:
    # The container's tags, before decoding overwrites them with the bitstream's.
    context = stream.codec_context
    declared = ColorTags(
        context.color_range, context.colorspace, context.color_primaries, context.color_trc
    )
    frame = _first_frame(path, container, stream)
    pix_fmt = frame.format.name
    kinds = side_data_kinds(frame)
    matrix = _display_matrix(frame)
    return VideoInfo(
        **_common(stream),
        width=frame.width,
        height=frame.height,
        pix_fmt=pix_fmt,
        planar_format=planar_format(pix_fmt),
        bit_depth=bit_depth(planar_format(pix_fmt)),
        time_base=stream.time_base or Fraction(1, av.time_base),
        frame_rate=stream.average_rate or stream.guessed_rate or DEFAULT_FRAME_RATE,
        frames=stream.frames or None,
        sample_aspect_ratio=stream.sample_aspect_ratio or None,
        rotation=frame.rotation % 360,
        display_matrix=matrix,
        color=_color_tags(frame, declared),
        hdr=_hdr_metadata(frame),
        interlaced=frame.interlaced_frame or context.field_order > _PROGRESSIVE_FIELD_ORDER,
        timecode=_timecode(container, stream),
        dolby_vision=stream.codec_tag in _DOLBY_VISION_TAGS
        or bool(kinds & {"DOVI_RPU_BUFFER", "DOVI_METADATA"}),
        has_dynamic_hdr=bool(kinds & {"DYNAMIC_HDR_PLUS", "DYNAMIC_HDR_VIVID"}),
    )


def _color_tags(frame: av.VideoFrame, declared: ColorTags) -> ColorTags:
    planar = planar_format(frame.format.name)
    if frame.format.is_rgb or frame.format.has_palette:
        # planes.to_planar makes BT.709 limited of it; the light itself stays as it was.
        return ColorTags(1, 1, frame.color_primaries, frame.color_trc)
    full = planar != frame.format.name and frame.format.name.startswith("yuvj")

    def either(decoded: int, contained: int) -> int:
        return contained if decoded == UNSPECIFIED else decoded

    return ColorTags(
        range=2 if full else frame.color_range or declared.range,
        space=either(frame.colorspace, declared.space),
        primaries=either(frame.color_primaries, declared.primaries),
        transfer=either(frame.color_trc, declared.transfer),
    )


def _display_matrix(frame: av.VideoFrame) -> tuple[int, ...] | None:
    raw = side_data(frame, "DISPLAYMATRIX")
    return None if raw is None else struct.unpack("=9i", raw[:36])


def _hdr_metadata(frame: av.VideoFrame) -> HdrMetadata | None:
    light = side_data(frame, "CONTENT_LIGHT_LEVEL")
    mastering = _mastering_display(frame)
    if light is None and mastering is None:
        return None
    max_cll, max_fall = struct.unpack("=2I", light[:8]) if light else (None, None)
    return HdrMetadata(mastering=mastering, max_cll=max_cll, max_fall=max_fall)


def _mastering_display(frame: av.VideoFrame) -> MasteringDisplay | None:
    """From AVMasteringDisplayMetadata: x, y of R, G, B and white; darkest, brightest; 2 flags."""
    raw = side_data(frame, "MASTERING_DISPLAY_METADATA")
    if raw is None:
        return None
    *numbers, has_primaries, has_luminance = struct.unpack("=22i", raw[:88])
    if not (has_primaries and has_luminance):
        return None
    rx, ry, gx, gy, bx, by, wx, wy, darkest, brightest = (
        Fraction(n, d or 1) for n, d in zip(numbers[::2], numbers[1::2], strict=True)
    )
    return MasteringDisplay((rx, ry), (gx, gy), (bx, by), (wx, wy), darkest, brightest)


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
        channels=stream.channels,
        layout=stream.layout.name,
        sample_format=stream.format.name if stream.format else "",
    )


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
