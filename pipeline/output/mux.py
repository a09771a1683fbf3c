"""The streams, in order of time, and all the source says of them, become the output."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from pipeline.media.ffmpeg_program import ffmpeg_path
from pipeline.media.info import MediaInfo, VideoInfo
from pipeline.media.opening import FORMATS, known_demuxer, open_media
from pipeline.media.straightening import LEAD
from pipeline.output.containers import COVER_FILES, QUICKTIME_LANGUAGES, KeptStream, OutputPlan
from pipeline.output.encode import choose_encoder
from pipeline.output.interleave import MOVIE_TIMESCALE
from pipeline.output.join import Timing
from pipeline.output.keys import key_options
from pipeline.running.commands import PROTOCOLS

#: What muxers write of the picture as it was encoded before; mkvmerge adds a language, "BPS-eng".
_STALE_TAGS = frozenset(
    (
        "ENCODER",
        "DURATION",
        "ALPHA_MODE",  # Matroska's, of a picture whose alpha is gone
        "BPS",
        "NUMBER_OF_FRAMES",
        "NUMBER_OF_BYTES",
        "_STATISTICS_TAGS",
        "_STATISTICS_WRITING_APP",
        "_STATISTICS_WRITING_DATE_UTC",
    )
)

#: What MP4 says of itself; in another container it would be untrue.
_BRAND_TAGS = frozenset(("major_brand", "minor_version", "compatible_brands", "encoder"))


@dataclass(frozen=True)
class Mux:
    """Calls of ffmpeg that copy the source's streams, and that make the output.

    Attributes:
        info: the source.
        plan: what of it is kept.
        timing: of the dubbed picture.
        language, title: of the dubbed track.
        straight: by index, copies of streams of the source whose clock jumps; see
            :mod:`pipeline.media.straightening`.
    """

    info: MediaInfo
    plan: OutputPlan
    timing: Timing
    language: str | None
    title: str
    straight: Mapping[int, Path] = field(default_factory=dict)

    # By hand, not with ffmpeg-python: -map_metadata and -map_chapters name inputs by number, and it
    # numbers them as it likes.

    def lay_out_argv(
        self, dialogue: Path, spoken: Path, files: Mapping[KeptStream, Path]
    ) -> list[str]:
        """Each stream into a file of its own, placed on the output's timeline."""
        argv = [*_ffmpeg(), "-itsoffset", _seconds(self.start), *_input(dialogue), *self._source()]
        places = {kept: f"1:{kept.stream.index}" for kept in files}
        straight = [kept for kept in files if kept.stream.index in self.straight]
        for number, kept in enumerate(straight, start=2):
            argv += ["-itsoffset", _seconds(-self.info.start - LEAD)]
            argv += _input(self.straight[kept.stream.index])
            places[kept] = f"{number}:0"
        argv += ["-map", "0:0", *self._plain("copy", spoken)]
        for kept, path in files.items():
            argv += ["-map", places[kept], *self._plain(kept.codec, path)]
        return argv

    def _plain(self, codec: str, path: Path) -> list[str]:
        options = ["-map_metadata", "-1", "-map_chapters", "-1", "-c", codec, *self._ending()]
        if self.plan.container != "matroska":
            options += ["-write_btrt", "0"]
        return [*options, *self._container(path)]

    def argv(
        self,
        gathered: Path,
        out: Path,
        chapters: Path | None = None,
        covers: Mapping[KeptStream, Path] | None = None,
    ) -> list[str]:
        """All streams of ``gathered`` and the source's files within files, tagged.

        Args:
            gathered: picture, dialogue and what is kept of the source, in order of time.
            out: the file to write.
            chapters: take the place of the source's own; see :func:`write_chapters`.
            covers: those that are to be attachments; see :func:`write_covers`.
        """
        covers = covers or {}
        mapped = [kept for kept in self.plan.kept if kept not in covers]
        argv = [*_ffmpeg(), *_hdr_options(self.info.video), *_input(gathered), *self._source()]
        if chapters is not None:
            argv += ["-f", "ffmetadata", "-i", f"file:{chapters.absolute()}"]
        argv += ["-map", "0:0", "-map", "0:1"]
        following = 2
        for kept in mapped:
            argv += ["-map", f"1:{kept.stream.index}" if kept.is_file else f"0:{following}"]
            following += not kept.is_file
        for path in covers.values():
            argv += ["-attach", f"file:{path.absolute()}"]
        argv += ["-map_metadata", "1", "-map_chapters", "1" if chapters is None else "2"]
        argv += ["-c", "copy"]
        argv += _picture_options(self.info) + _dialogue_options(self.language, self.title)
        argv += (
            _kept_options(mapped)
            + _cover_options(list(covers), 2 + len(mapped))
            + self._language_options()
            + _brand_options(self.info)
            + key_options(self.info.metadata, self.plan.container)
            + self._ending()
        )
        if self.plan.container != "matroska":
            argv += _mp4_options(self.info)
        elif self.info.video is not None:
            argv += ["-r:v:0", str(self.info.video.frame_rate)]
        return argv + self._container(out)

    def _language_options(self) -> list[str]:
        if self.plan.container != "mov":
            return []
        languages = [None, self.language, *(kept.stream.language for kept in self.plan.kept)]
        options: list[str] = []
        for place, language in enumerate(languages):
            if language in QUICKTIME_LANGUAGES:
                options += [f"-metadata:s:{place}", f"language={QUICKTIME_LANGUAGES[language]}"]
        return options

    @property
    def start(self) -> Fraction:
        """Seconds of the output at which picture and dialogue start; the source's earliest is 0."""
        return self.timing.start_seconds - self.info.start

    def _source(self) -> list[str]:
        return ["-itsoffset", _seconds(-self.info.start), *_input(self.info.path), "-copyts"]

    def _ending(self) -> list[str]:
        """Whatever is left of the source's sound and text after the last frame goes."""
        return ["-t", _seconds(self.start + self.timing.duration_seconds)]

    def _container(self, out: Path) -> list[str]:
        # bitexact: no name of the build, no random identifiers; equal inputs give equal files.
        options = ["-fflags", "+bitexact", "-strict", "experimental"]
        if self.plan.container != "matroska":
            options += ["-movie_timescale", str(MOVIE_TIMESCALE)]
        return [*options, "-f", self.plan.container, f"file:{out.absolute()}"]


def write_chapters(info: MediaInfo, first: Fraction, stretch: Fraction, out: Path) -> None:
    """The source's chapters for ffmpeg, moved as the picture is, which starts at ``first`` s."""

    def place(seconds: Fraction) -> int:
        return round((first + (seconds - first) * stretch - info.start) * 10**6)

    lines = [";FFMETADATA1"]
    for chapter in info.chapters:
        lines += ["[CHAPTER]", "TIMEBASE=1/1000000"]
        lines += [f"START={place(chapter.start)}", f"END={place(chapter.end)}"]
        title = re.sub(r"([=;#\\\n])", r"\\\1", chapter.title or "")
        lines += [f"title={title}"] if title else []
    out.write_text("\n".join(lines) + "\n")


def write_covers(info: MediaInfo, plan: OutputPlan, folder: Path) -> dict[KeptStream, Path]:
    """A file for each cover of an MKV: what is not attached there is a track of one frame."""
    covers = {kept: folder / f"cover{kept.stream.index}" for kept in plan.kept if kept.is_cover}
    if plan.container != "matroska":
        return {}
    for kept, path in covers.items():
        with open_media(info.path) as container:
            packet = next(container.demux(container.streams[kept.stream.index]))
            path.write_bytes(bytes(packet))
    return covers


def _ffmpeg() -> list[str]:
    return [ffmpeg_path(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y"]


def _input(path: Path) -> list[str]:
    # "file:" and an absolute path: no name can be an option, a protocol or a pattern.
    fences = ["-protocol_whitelist", PROTOCOLS, "-format_whitelist", FORMATS]
    known = known_demuxer(path)
    return [*fences, *(("-f", known) if known else ()), "-i", f"file:{path.absolute()}"]


def _seconds(value: Fraction) -> str:
    """As ffmpeg reads it: to the microsecond, no exponent."""
    return f"{float(value):.6f}"


def _picture_options(info: MediaInfo) -> list[str]:
    """The picture's tags as in the source, but for those that told of its old encoding."""
    assert info.video is not None  # noqa: S101 -- for the type checker
    options = ["-map_metadata:s:v:0", f"1:s:{info.video.index}", "-disposition:0", "default"]
    for key in info.video.metadata:
        if key.split("-")[0].upper() in _STALE_TAGS:
            options += ["-metadata:s:v:0", f"{key}="]
    if info.video.timecode is not None:
        options += ["-metadata:s:v:0", f"timecode={info.video.timecode}"]
    for stream in info.others:
        # MOV's timecode track is written anew from the picture's tags.
        if stream.kind == "data" and "reel_name" in stream.metadata:
            options += ["-metadata:s:v:0", f"reel_name={stream.metadata['reel_name']}"]
    return options


def _dialogue_options(language: str | None, title: str) -> list[str]:
    options = ["-metadata:s:a:0", f"title={title}", "-metadata:s:a:0", f"handler_name={title}"]
    if language is not None:
        options += ["-metadata:s:a:0", f"language={language}"]
    return [*options, "-disposition:a:0", "default+dub"]


def _kept_options(mapped: Sequence[KeptStream]) -> list[str]:
    """Tags of the source's other streams; none of their sound is the default any more."""
    options: list[str] = []
    for place, kept in enumerate(mapped, start=2):
        # Naming any -map_metadata ends ffmpeg's own copying of tags, so each stream is named.
        options += [f"-map_metadata:s:{place}", f"1:s:{kept.stream.index}"]
        flags = set(kept.stream.disposition) - (
            {"default"} if kept.stream.kind == "audio" else set()
        )
        options += [f"-disposition:{place}", "+".join(sorted(flags)) or "0"]
    return options


def _cover_options(covers: Sequence[KeptStream], first: int) -> list[str]:
    """Tags of the covers that are attachments, the output's streams from ``first`` on."""
    options: list[str] = []
    for place, cover in enumerate(covers, start=first):
        ending, kind = COVER_FILES[cover.stream.codec or ""]
        told = {key.lower(): value for key, value in cover.stream.metadata.items()}
        options += [f"-metadata:s:{place}", f"filename={told.get('filename', f'cover.{ending}')}"]
        options += [f"-metadata:s:{place}", f"mimetype={kind}"]
    return options


def _brand_options(info: MediaInfo) -> list[str]:
    options: list[str] = []
    for key in info.metadata:
        if key.lower() in _BRAND_TAGS:
            options += ["-metadata", f"{key}="]
    return options


def _mp4_options(info: MediaInfo) -> list[str]:
    options: list[str] = []
    if info.video is not None and choose_encoder(info.video) == "libx265":
        # Apple's players know HEVC in MP4 by this name alone.
        options += ["-tag:v:0", "hvc1"]
    return options


def _hdr_options(video: VideoInfo | None) -> list[str]:
    """HDR metadata for the container; the picture stream itself carries it, too."""
    if video is None or video.hdr is None:
        return []
    options = []
    if video.hdr.mastering is not None:
        options += ["-mastering_display:v:0", video.hdr.mastering.x265_string()]
    if video.hdr.max_cll is not None:
        options += ["-content_light:v:0", f"{video.hdr.max_cll},{video.hdr.max_fall or 0}"]
    return options
