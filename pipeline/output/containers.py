"""What the output's container can hold, and what becomes of each of the source's streams.

A stream is copied where the container holds its codec. Else text subtitles become the container's
own, and what decodes without loss becomes PCM of the same samples. What is left is left out, by
itself: it never refuses the film, nor costs another stream.

Codecs have the names of FFmpeg's descriptors. The tables are what players and libavformat agree on,
not all that libavformat can be made to write: Vorbis in MP4, for one, plays nearly nowhere.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.errors import OutputError
from pipeline.media.info import AudioInfo, MediaInfo, StreamInfo
from pipeline.media.opening import one_line
from pipeline.options import KeepAudio, SyncMode
from pipeline.output.keys import has_camera_keys

Container = Literal["mp4", "mov", "matroska"]

#: By the output's extension.
CONTAINERS: dict[str, Container] = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
}

#: As messages have them.
_NAMES: dict[Container, str] = {"mp4": "MP4", "mov": "MOV", "matroska": "MKV"}

_PCM = frozenset(
    f"pcm_{kind}{order}" for kind in ("s16", "s24", "s32", "f32", "f64") for order in ("le", "be")
)
_MPEG_AUDIO = frozenset(("aac", "ac3", "eac3", "mp2", "mp3", "alac"))
_MPEG_VIDEO = frozenset(("h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"))
_TEXT = frozenset(("subrip", "ass", "webvtt", "text", "mov_text"))

#: Pictures that are covers where they are attached to an MKV: ending and media type of the file.
COVER_FILES = {
    "mjpeg": ("jpg", "image/jpeg"),
    "png": ("png", "image/png"),
    "gif": ("gif", "image/gif"),
    "tiff": ("tiff", "image/tiff"),
}

#: Layouts that players take PCM for by its number of channels; sides count as backs.
_GUESSED_LAYOUTS = frozenset(
    ("stereo", "2.1", "4.0", "5.0", "5.0(side)", "5.1", "5.1(side)", "6.1", "7.1")
)
_MOST_FLAC_CHANNELS = 8

#: Codecs that go in as they are, by the kind of stream; a cover is a picture attached to the file.
HELD: dict[Container, dict[str, frozenset[str]]] = {
    "mp4": {
        "video": _MPEG_VIDEO | {"av1", "vp9", "png"},
        "cover": frozenset(("mjpeg", "png", "bmp")),
        "audio": _MPEG_AUDIO | _PCM | {"opus", "flac", "dts"},
        "subtitle": frozenset(("mov_text",)),
    },
    "mov": {
        "video": _MPEG_VIDEO
        | {"png", "prores", "dnxhd", "dvvideo", "cfhd", "jpeg2000", "hap", "qtrle", "v210"}
        | {"svq1", "svq3", "cinepak", "h263"},
        "audio": _MPEG_AUDIO
        | _PCM
        | {"pcm_s8", "pcm_u8", "pcm_alaw", "pcm_mulaw", "mp1", "adpcm_ima_qt", "qdm2", "qdmc"}
        | {"mace3", "mace6", "amr_nb", "amr_wb", "gsm"},
        "subtitle": frozenset(("mov_text", "eia_608")),
    },
    "matroska": {
        "video": _MPEG_VIDEO
        | {"av1", "vp8", "vp9", "theora", "ffv1", "prores", "jpeg2000", "dirac", "msmpeg4v3"},
        "cover": frozenset(COVER_FILES),
        "audio": _MPEG_AUDIO
        | (_PCM - {"pcm_f32be", "pcm_f64be"})
        | {"pcm_u8", "opus", "flac", "dts", "mp1", "vorbis", "truehd", "mlp", "tta", "wavpack"},
        "subtitle": (_TEXT - {"mov_text"}) | {"hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"},
    },
}

#: What text subtitles become where they cannot stay what they are.
_TEXT_CODEC: dict[Container, str] = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip"}

#: Sound besides PCM that decodes to the samples that were encoded.
_LOSSLESS = frozenset(("s302m", "flac", "alac", "tta", "wavpack"))

#: Decoded as 32 bits of which the lowest 8 are empty.
_24_BITS = frozenset(
    ("pcm_bluray", "pcm_dvd", "s302m", "pcm_lxf", "pcm_u24le", "pcm_u24be", "pcm_s24le_planar")
)

#: PCM of the samples a decoder gives. None of the containers has 64-bit integers.
_PCM_CODEC = {
    "u8": "pcm_u8",
    "s16": "pcm_s16le",
    "s32": "pcm_s32le",
    "flt": "pcm_f32le",
    "dbl": "pcm_f64le",
}

#: MOV knows languages by the Macintosh's numbers, to which ffmpeg gives these names; other names
#: than them are ISO 639-2's own, and a language without a number stays untagged.
QUICKTIME_LANGUAGES = {
    "bod": "tib",
    "cym": "wel",
    "deu": "ger",
    "ell": "gre",
    "eus": "baq",
    "fas": "per",
    "hye": "arm",
    "isl": "ice",
    "kat": "geo",
    "mkd": "mac",
    "msa": "may",
    "mya": "bur",
    "nld": "dut",
    "sqi": "alb",
    "swe": "sve",
    "zho": "chi",
}


@dataclass(frozen=True, slots=True)
class KeptStream:
    """A stream of the source that goes into the output; ``codec`` is ``copy`` or an encoder."""

    stream: StreamInfo
    codec: str = "copy"

    @property
    def is_file(self) -> bool:
        """An attachment or a cover: a file within the file, with no place in time."""
        return self.stream.kind == "attachment" or self.is_cover

    @property
    def is_cover(self) -> bool:
        return _is_cover(self.stream)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A stream of the source that stays behind.

    Attributes:
        stream: which one.
        reason: why.
        way_out: what would keep it; empty where nothing would, or need be done.
        is_missed: it was not asked for, and nothing in the output takes its place.
    """

    stream: StreamInfo
    reason: str
    way_out: str = ""
    is_missed: bool = True

    def __str__(self) -> str:
        told = f"{_name(self.stream)} is left out: {self.reason}"
        return f"{told}; {self.way_out}" if self.way_out else told


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """What the output holds besides the dubbed picture and sound.

    Attributes:
        container: FFmpeg's name of the muxer.
        kept: streams of the source, sound first, in the source's order.
        left_out: streams that stay behind, and why.
    """

    container: Container
    kept: tuple[KeptStream, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def audio(self) -> tuple[KeptStream, ...]:
        return tuple(kept for kept in self.kept if kept.stream.kind == "audio")

    def without(self, unused: Collection[KeptStream], reason: str) -> "OutputPlan":
        """These stay behind, too."""
        kept = tuple(each for each in self.kept if each not in unused)
        left_out = tuple(LeftOut(each.stream, reason) for each in unused)
        return OutputPlan(self.container, kept, self.left_out + left_out)


def container_of(output: Path) -> Container:
    """By extension; raises OutputError for one that is none of ours."""
    try:
        return CONTAINERS[output.suffix.lower()]
    except KeyError:
        known = ", ".join(CONTAINERS)
        raise OutputError(f"{one_line(output)}: the name must end in one of {known}") from None


def plan_output(
    info: MediaInfo,
    output: Path,
    keep_audio: KeepAudio = "all",
    moved_by: SyncMode | None = None,
) -> OutputPlan:
    """Decide, before any work, what goes into the output.

    Timecode tracks and the text track of MP4 chapters are not copied: the muxer writes new ones
    from the timecode and the chapters.

    Args:
        info: the source, probed.
        output: its extension is the container.
        keep_audio: whether the source's own sound goes in.
        moved_by: the sync mode, where it shows the frames at other times than the film does; then
            only files within the file go in.

    Raises:
        OutputError: the extension is unknown.
    """
    container = container_of(output)
    kept: list[KeptStream] = []
    left_out: list[LeftOut] = []
    for stream in (*info.audio, *info.others):
        codec = _choose_codec(stream, container)
        if stream.kind == "audio" and keep_audio == "none":
            left_out.append(LeftOut(stream, "original sound is not wanted", is_missed=False))
        elif _is_cover(stream) and has_camera_keys(info.metadata, container):
            reason = f"{_NAMES[container]} cannot hold a cover beside a camera's keys"
            left_out.append(LeftOut(stream, reason, "name the output .mkv"))
        elif stream.index in info.clock.broken:
            left_out.append(LeftOut(stream, info.clock.broken[stream.index]))
        elif stream.index in info.changing:
            reason = info.changing[stream.index]
            left_out.append(LeftOut(stream, reason, "encode it anew in the source first"))
        elif codec is None:
            left_out.append(_leave_out(stream, container, info))
        elif moved_by is not None and not KeptStream(stream).is_file:
            reason = f"the sync mode {moved_by} moves the picture in time"
            left_out.append(LeftOut(stream, reason, "choose the sync mode silence"))
        else:
            kept.append(KeptStream(stream, codec))
    return OutputPlan(container, tuple(kept), tuple(left_out))


def _choose_codec(stream: StreamInfo, container: Container) -> str | None:
    """How a stream goes in: copied, or by which encoder; None where it cannot."""
    if stream.kind == "attachment":
        return "copy" if container == "matroska" else None
    kind = "cover" if _is_cover(stream) else stream.kind
    if isinstance(stream, AudioInfo):
        return _choose_sound_codec(stream, container)
    if stream.codec in HELD[container].get(kind, ()):
        return "copy"
    if stream.kind == "subtitle" and stream.codec in _TEXT:
        return _TEXT_CODEC[container]
    return None


def _choose_sound_codec(audio: AudioInfo, container: Container) -> str | None:
    if not (audio.sample_rate and audio.channels):
        return None
    if _loses_layout(audio, container):
        is_whole = audio.sample_format.startswith(("u8", "s16", "s32"))
        # Of channels in an order of their own ffmpeg changes the names, not the order.
        is_usual = "(" not in audio.layout.removesuffix("(back)").removesuffix("(side)")
        fits = audio.channels <= _MOST_FLAC_CHANNELS and is_whole and is_usual
        return "flac" if fits else None
    if audio.codec in HELD[container]["audio"]:
        return "copy"
    return _lossless_codec(audio, container)


def _loses_layout(audio: AudioInfo, container: Container) -> bool:
    """Whether it would be PCM in MKV, which has no layout, and players would misplace channels."""
    if container != "matroska" or not (audio.codec or "").startswith("pcm_"):
        return False
    is_named = re.fullmatch(r"\d+ channels", audio.layout) is None
    return audio.channels > 1 and is_named and audio.layout not in _GUESSED_LAYOUTS


def _lossless_codec(audio: AudioInfo, container: Container) -> str | None:
    """PCM of the same samples, for sound that decodes without loss."""
    name = audio.codec or ""
    # The decoder of pcm_s24daud drops 8 bits.
    if name == "pcm_s24daud" or not (name.startswith("pcm_") or name in _LOSSLESS):
        return None
    codec = _PCM_CODEC.get(audio.sample_format.removesuffix("p"))
    if codec == "pcm_s32le" and name in _24_BITS:
        codec = "pcm_s24le"
    if codec == "pcm_u8" and container == "mp4":
        codec = "pcm_s16le"
    return codec


def _leave_out(stream: StreamInfo, container: Container, info: MediaInfo) -> LeftOut:
    if any(key.lower() == "timecode" for key in stream.metadata):
        return LeftOut(stream, "written anew from the timecode", is_missed=False)
    if stream.kind == "data" and stream.codec in ("bin_data", "text") and info.chapters:
        return LeftOut(stream, "written anew from the chapters", is_missed=False)
    if stream.kind in ("data", "unknown"):
        return LeftOut(stream, "data that no muxer can copy")
    if stream.kind != "attachment" and stream.codec is None:
        return LeftOut(stream, "there is no decoder for its codec")
    if isinstance(stream, AudioInfo) and not (stream.sample_rate and stream.channels):
        return LeftOut(stream, "its rate and channels are unknown")
    what = stream.codec or "attachments"
    if isinstance(stream, AudioInfo) and _loses_layout(stream, container):
        what = f"the channel layout of {what}"
    if _is_cover(stream):
        what = f"{what} as a cover"
    return LeftOut(stream, f"{_NAMES[container]} cannot hold {what}", _way_out(stream))


def _way_out(stream: StreamInfo) -> str:
    """The first container that holds it, as a file's ending."""
    for ending in (".mkv", ".mov", ".mp4"):
        if _choose_codec(stream, CONTAINERS[ending]) is not None:
            return f"name the output {ending}"
    return "convert it in the source first"


def _is_cover(stream: StreamInfo) -> bool:
    return "attached_pic" in stream.disposition


def _name(stream: StreamInfo) -> str:
    kind = {"audio": "sound", "video": "picture"}.get(stream.kind, stream.kind)
    words = f"{kind} stream {stream.index}"
    told = [stream.codec, stream.language, stream.title, stream.metadata.get("filename")]
    if any(told):
        words += f" ({', '.join(part for part in told if part)})"
    return one_line(words)
