"""What the output's container can hold, and what becomes of each of the source's streams.

The tables are what players and libavformat agree on, not all that libavformat can be made to write:
Vorbis in MP4, for one, plays nearly nowhere.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.errors import OutputError
from pipeline.media.info import MediaInfo, StreamInfo
from pipeline.media.opening import one_line
from pipeline.options import KeepAudio

Container = Literal["mp4", "mov", "matroska"]

#: By the output's extension.
CONTAINERS: dict[str, Container] = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
}

_PCM = frozenset(
    f"pcm_{kind}{bits}{order}"
    for kind, bits in (("s", 16), ("s", 24), ("s", 32), ("f", 32))
    for order in ("le", "be")
)
_MPEG_AUDIO = frozenset(("aac", "ac3", "eac3", "mp2", "mp3", "alac"))
_PICTURES = frozenset(("mjpeg", "png"))
_VIDEO = frozenset(("h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video")) | _PICTURES
_TEXT = frozenset(("subrip", "srt", "ass", "ssa", "webvtt", "text", "mov_text"))

#: Codecs that go in as they are.
_HELD: dict[Container, dict[str, frozenset[str]]] = {
    "mp4": {
        "video": _VIDEO,
        "audio": _MPEG_AUDIO | _PCM | {"opus", "flac", "dts", "dca", "mp1"},
        "subtitle": frozenset(("mov_text",)),
    },
    "mov": {
        "video": _VIDEO - {"av1", "vp9"} | {"prores", "dnxhd", "dvvideo"},
        "audio": _MPEG_AUDIO | _PCM | {"pcm_u8", "pcm_alaw", "pcm_mulaw", "adpcm_ima_qt", "qdm2"},
        "subtitle": frozenset(("mov_text", "eia_608")),
    },
    "matroska": {
        "video": _VIDEO | {"prores", "vp8", "theora", "ffv1", "vc1", "wmv3", "msmpeg4v3"},
        "audio": _MPEG_AUDIO
        | (_PCM - {"pcm_f32be"})
        | {"opus", "flac", "dts", "dca", "mp1", "vorbis", "truehd", "mlp", "tta", "wavpack"}
        | {"pcm_u8", "pcm_alaw", "pcm_mulaw", "wmav1", "wmav2", "wmapro", "adpcm_ms"},
        "subtitle": (_TEXT - {"mov_text"})
        | {"hdmv_pgs_subtitle", "pgssub", "dvd_subtitle", "dvdsub", "dvb_subtitle", "dvbsub"}
        | {"hdmv_text_subtitle"},
        "attachment": frozenset(),
    },
}

#: What text subtitles become where they cannot stay what they are.
_TEXT_CODEC: dict[Container, str] = {"mp4": "mov_text", "mov": "mov_text", "matroska": "srt"}

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
        return self.stream.kind == "attachment" or "attached_pic" in self.stream.disposition


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
    left_out: tuple[tuple[StreamInfo, str], ...]

    @property
    def audio(self) -> tuple[KeptStream, ...]:
        return tuple(kept for kept in self.kept if kept.stream.kind == "audio")

    def without(self, unused: Collection[KeptStream], reason: str) -> "OutputPlan":
        """These stay behind, too."""
        kept = tuple(each for each in self.kept if each not in unused)
        left_out = tuple((each.stream, reason) for each in unused)
        return OutputPlan(self.container, kept, self.left_out + left_out)


def container_of(output: Path) -> Container:
    """By extension; raises OutputError for one that is none of ours."""
    try:
        return CONTAINERS[output.suffix.lower()]
    except KeyError:
        known = ", ".join(CONTAINERS)
        raise OutputError(f"{one_line(output)}: the name must end in one of {known}") from None


def check_container(info: MediaInfo, output: Path, keep_audio: KeepAudio = "all") -> OutputPlan:
    """Decide, before any work, what goes into the output.

    Timecode tracks and the text track of MP4 chapters are not copied: the muxer writes new ones
    from the timecode and the chapters. Data streams that only a camera's own software reads are
    left out, and named in the plan.

    Raises:
        OutputError: the extension is unknown, or a stream of sound, picture or text cannot live in
            that container; it names the stream and says what would help.
    """
    container = container_of(output)
    kept: list[KeptStream] = []
    left_out: list[tuple[StreamInfo, str]] = []
    if keep_audio == "all":
        kept += [KeptStream(audio, _codec(audio, container, output)) for audio in info.audio]
    else:
        left_out += [(audio, "original sound is not wanted") for audio in info.audio]
    for stream in info.others:
        if stream.kind in ("data", "unknown") or (stream.codec is None and not _is_file(stream)):
            left_out.append((stream, _why_no_data(stream, info)))
        else:
            kept.append(KeptStream(stream, _codec(stream, container, output)))
    return OutputPlan(container, tuple(kept), tuple(left_out))


def _codec(stream: StreamInfo, container: Container, output: Path) -> str:
    held = _HELD[container]
    is_cover = "attached_pic" in stream.disposition
    if is_cover and container == "mov":
        raise OutputError(f"{_name(stream)} cannot live in MOV: name the output .mp4 or .mkv")
    if stream.kind == "attachment" and "attachment" in held:
        return "copy"
    if stream.codec in held.get(stream.kind, ()):
        return "copy"
    if stream.kind == "subtitle" and stream.codec in _TEXT:
        return _TEXT_CODEC[container]
    wanted = output.suffix.lower()[1:].upper()
    raise OutputError(f"{_name(stream)} cannot live in {wanted}: {_way_out(stream, container)}")


def _name(stream: StreamInfo) -> str:
    kind = {"audio": "sound", "video": "picture", "subtitle": "subtitle"}.get(stream.kind)
    words = [f"{kind or stream.kind} stream {stream.index}"]
    told = [stream.codec, stream.language, stream.title, stream.metadata.get("filename")]
    words += [f"({', '.join(part for part in told if part)})"] if any(told) else []
    return one_line(" ".join(words))


def _way_out(stream: StreamInfo, container: Container) -> str:
    ways = [] if container == "matroska" else ["name the output .mkv"]
    if stream.kind == "audio":
        ways.append("drop the original sound with --keep-audio none")
    return " or ".join(ways) or "remove it from the source first"


def _is_file(stream: StreamInfo) -> bool:
    return stream.kind == "attachment"


def _why_no_data(stream: StreamInfo, info: MediaInfo) -> str:
    if any(key.lower() == "timecode" for key in stream.metadata):
        return "written anew from the timecode"
    if stream.codec in ("bin_data", "text") and info.chapters:
        return "written anew from the chapters"
    return "data that no muxer can copy"
