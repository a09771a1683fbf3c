"""The last stage: encoded segments, dialogue and the source's other streams become the output.

Two passes, neither of which decodes a picture: the segments are joined into one stream with exact
times, then one mux puts everything together. The output's time zero is the source's earliest
stream, so picture, original sound, subtitles and chapters keep their places to each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.media.info import MediaInfo, VideoInfo
from pipeline.options import KeepAudio
from pipeline.output.containers import OutputPlan, check_container, container_of
from pipeline.output.encode import choose_encoder
from pipeline.output.join import Timing, join_segments
from pipeline.output.publish import check_output, publishing
from pipeline.output.verify import Expected, priming, verify_output
from pipeline.running.commands import PROTOCOLS, ffmpeg_path, run

__all__ = ["Timing", "check_container", "check_output", "container_of", "join_segments", "stitch"]

#: How the dubbed track is called in players' menus.
DUBBED_TITLE = "Dubbed"

#: Seconds the mux may take: a floor, plus one for every MB it reads.
_MUX_FLOOR_SECONDS = 300.0
_BYTES_PER_SECOND = 1e6

#: Ticks a second of MP4's edit lists. Their default, 1000, would move a start by half a ms.
_MOVIE_TIMESCALE = 240_000

#: What muxers write of the picture as it was encoded before; mkvmerge adds a language, "BPS-eng".
_STALE_TAGS = frozenset(
    (
        "ENCODER",
        "DURATION",
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


def stitch(
    segments: Sequence[Path],
    timing: Timing,
    info: MediaInfo,
    dialogue: Path,
    output: Path,
    work_dir: Path,
    *,
    keep_audio: KeepAudio = "all",
    language: str | None = None,
    title: str = DUBBED_TITLE,
) -> dict[str, Any]:
    """Join, mux, verify, and only then give the output its name.

    Args:
        segments: files of :class:`pipeline.output.encode.SegmentEncoder`, in order.
        timing: of all their frames.
        info: the source, probed; everything but picture and dialogue is copied from it.
        dialogue: the track of ``encode_dialogue``; it starts with the picture.
        output: MP4, MOV or MKV, by its extension.
        work_dir: a folder with room for the joined picture.
        keep_audio: whether the source's own sound follows the dubbed track.
        language, title: tags of the dubbed track.

    Returns:
        Facts for the report; see :func:`pipeline.output.verify.verify_output`.

    Raises:
        OutputError: see check_container and check_output.
        StorageFullError, ToolError.
        InternalError: segments do not fit together, or the output is not what was ordered.
    """
    assert info.video is not None  # noqa: S101 -- for the type checker; the source was required to
    plan = check_container(info, output, keep_audio)
    joined = work_dir / "joined.mp4"
    mux = _Mux(joined, dialogue, info, plan, timing, language, title)
    try:
        join_segments(segments, timing, info.video, joined)
        with publishing(output) as temporary:
            size = sum(path.stat().st_size for path in (joined, dialogue, info.path))
            run(mux.argv(temporary), timeout=_MUX_FLOOR_SECONDS + size / _BYTES_PER_SECOND)
            expected = Expected(timing.pts, timing.time_base, plan, language, priming(dialogue))
            return verify_output(temporary, expected)
    finally:
        joined.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Mux:
    """What one call of ffmpeg puts together."""

    joined: Path
    dialogue: Path
    info: MediaInfo
    plan: OutputPlan
    timing: Timing
    language: str | None
    title: str

    def argv(self, out: Path) -> list[str]:
        # By hand, not with ffmpeg-python: -map_metadata and -map_chapters name inputs by number,
        # and it numbers them as it likes.
        start = self.timing.start_seconds - self.info.start
        placed = ["-itsoffset", _seconds(start)]
        argv = [ffmpeg_path(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y"]
        argv += [*placed, *_hdr_options(self.info.video), *_input(self.joined)]
        argv += [*placed, *_input(self.dialogue)]
        argv += ["-itsoffset", _seconds(-self.info.start), *_input(self.info.path)]
        argv += ["-copyts", "-map", "0:v:0", "-map", "1:a:0"]
        for kept in self.plan.kept:
            argv += ["-map", f"2:{kept.stream.index}"]
        argv += ["-map_metadata", "2", "-map_chapters", "2", "-c", "copy"]
        argv += _kept_options(self.plan) + _picture_options(self.info)
        argv += _dialogue_options(self.language, self.title)
        # Whatever is left of the source's sound and text after the last frame goes.
        argv += ["-t", _seconds(start + self.timing.duration_seconds)]
        argv += _container_options(self.info, self.plan)
        return [*argv, "-f", self.plan.container, f"file:{out.absolute()}"]


def _input(path: Path) -> list[str]:
    # "file:" and an absolute path: no name can be an option, a protocol or a pattern.
    return ["-protocol_whitelist", PROTOCOLS, "-i", f"file:{path.absolute()}"]


def _seconds(value: Fraction) -> str:
    """As ffmpeg reads it: to the microsecond, no exponent."""
    return f"{float(value):.6f}"


def _kept_options(plan: OutputPlan) -> list[str]:
    """Codec and tags of the source's other streams; none of their sound is the default any more."""
    options: list[str] = []
    for place, kept in enumerate(plan.kept, start=2):
        # Naming any -map_metadata ends ffmpeg's own copying of tags, so each stream is named.
        options += [f"-map_metadata:s:{place}", f"2:s:{kept.stream.index}"]
        if kept.codec != "copy":
            options += [f"-c:{place}", kept.codec]
    for place in range(1, len(plan.audio) + 1):
        options += [f"-disposition:a:{place}", "-default"]
    return options


def _picture_options(info: MediaInfo) -> list[str]:
    """The picture's tags as in the source, but for those that told of its old encoding."""
    assert info.video is not None  # noqa: S101 -- for the type checker
    options = ["-map_metadata:s:v:0", f"2:s:{info.video.index}"]
    for key in info.video.metadata:
        if key.split("-")[0].upper() in _STALE_TAGS:
            options += ["-metadata:s:v:0", f"{key}="]
    if info.video.timecode is not None:
        options += ["-metadata:s:v:0", f"timecode={info.video.timecode}"]
    return options


def _dialogue_options(language: str | None, title: str) -> list[str]:
    options = ["-metadata:s:a:0", f"title={title}", "-metadata:s:a:0", f"handler_name={title}"]
    if language is not None:
        options += ["-metadata:s:a:0", f"language={language}"]
    return [*options, "-disposition:a:0", "default+dub"]


def _container_options(info: MediaInfo, plan: OutputPlan) -> list[str]:
    # bitexact: no name of the build, no random identifiers; equal inputs give equal files.
    options = ["-fflags", "+bitexact"]
    for key in info.metadata:
        if key.lower() in _BRAND_TAGS:
            options += ["-metadata", f"{key}="]
    if plan.container == "matroska":
        return options
    # faststart: the index before the data, so that playback starts while the file still arrives.
    options += ["-movflags", "+faststart", "-movie_timescale", str(_MOVIE_TIMESCALE)]
    options += ["-strict", "experimental"]
    if info.video is not None and choose_encoder(info.video) == "libx265":
        # Apple's players know HEVC in MP4 by this name alone.
        options += ["-tag:v:0", "hvc1"]
    return options


def _hdr_options(video: VideoInfo | None) -> list[str]:
    """HDR metadata for the container; the picture stream itself carries it, too."""
    if video is None or video.hdr is None or not _knows_hdr_options():
        return []
    options = []
    if video.hdr.mastering is not None:
        options += ["-mastering_display", video.hdr.mastering.x265_string()]
    if video.hdr.max_cll is not None:
        options += ["-content_light", f"{video.hdr.max_cll},{video.hdr.max_fall or 0}"]
    return options


@cache
def _knows_hdr_options() -> bool:
    """ffmpeg before version 9 has no way to write them without encoding."""
    listing = run([ffmpeg_path(), "-hide_banner", "-h", "long"], timeout=30)
    return b"-mastering_display" in listing
