"""Which ffmpeg is run: the one that is pinned with lipfarm, or one that was named and can as much.

The PATH is never searched: what a distribution ships differs from release to release in what it can
do and in how it places sound, and a film must not depend on the machine that made it.

``LIPFARM_FFMPEG`` names another. It is read here and nowhere else. An environment variable, as it
must hold in every process that works on a film, and those are started in three ways: by the command
line, by a worker, and by :mod:`multiprocessing`. The environment is the one thing all of them hand
on.
"""

import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path

from pipeline.errors import PipelineError, ToolUnfitError
from pipeline.media.opening import FORMATS, one_line
from pipeline.running.commands import run

FFMPEG_VARIABLE = "LIPFARM_FFMPEG"

#: The oldest that will do, and its libavformat: builds from Git have no other number. Version 8.0
#: does not know -mastering_display and -content_light, by which a copied picture keeps its HDR.
MINIMUM_VERSION = "9.0"
_MINIMUM_LIBAVFORMAT = 63


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: What our command lines name, by ffmpeg's own listing of it. Decoders go by their codec; sound and
#: text of other codecs is decoded, too, where a build can.
NEEDED: Mapping[str, frozenset[str]] = {
    "demuxer": frozenset(FORMATS.split(",")) | {"ffmetadata"},
    "decoder": _words(
        "aac ac3 alac amr_nb amr_wb ape dts eac3 flac mp2 mp3 opus truehd tta vorbis wavpack"
        " pcm_alaw pcm_mulaw pcm_u8 pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_s32be"
        " pcm_f32le pcm_f32be ass mov_text subrip text webvtt"
    ),
    "filter": _words("aformat anull aresample channelmap pan"),
    "encoder": _words("mov_text subrip pcm_u8 pcm_s16le pcm_s24le pcm_s32le pcm_f32le pcm_f64le"),
    "muxer": _words("matroska mov mp4 nut"),
    "protocol": _words("file pipe"),
    "option": _words(
        "acodec af attach c content_light copyts disposition f fflags format_whitelist"
        " hide_banner itsoffset loglevel map map_chapters map_metadata mastering_display metadata"
        " movflags movie_timescale protocol_whitelist r stdin strict t tag write_btrt y"
    ),
}

#: How ffmpeg is asked for each, and which lines of its answer name one.
_LISTINGS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "demuxer": (("-demuxers",), r"^ D[E d]* (\S+)"),
    "decoder": (("-codecs",), r"^ D\S{5} (\S+)"),
    "filter": (("-filters",), r"^ \S{2,3} (\S+) +\S+->"),
    "encoder": (("-encoders",), r"^ [VAS]\S{5} (\S+)"),
    "muxer": (("-muxers",), r"^ [D ]E[d ]* (\S+)"),
    "protocol": (("-protocols",), r"^  (\S+)$"),
    "option": (("-h", "full"), r"^ *-(\w+)"),
}

_ANSWER_SECONDS = 120.0
_WAY_OUT = (
    f"unset {FFMPEG_VARIABLE} to use the ffmpeg that comes with lipfarm, or name another,"
    f" of version {MINIMUM_VERSION} or later"
)


def ffmpeg_path() -> str:
    """The ffmpeg to run; absolute.

    One that ``LIPFARM_FFMPEG`` names is asked what it can do, once in a process for as long as its
    file stays the same. That takes a second; the pinned one needs no asking.

    Raises:
        ToolUnfitError: it is not there, too old, or lacks what we use.
    """
    named = os.environ.get(FFMPEG_VARIABLE)
    return _named(Path(named)) if named else str(pinned_ffmpeg())


def check_ffmpeg() -> None:
    """For a command to do before any work; errors as in :func:`ffmpeg_path`."""
    ffmpeg_path()


@cache
def pinned_ffmpeg() -> Path:
    """The binary inside the imageio-ffmpeg wheel.

    Not ``imageio_ffmpeg.get_ffmpeg_exe()``: that one heeds a variable of its own, and takes the
    system's ffmpeg where the wheel has none.

    Raises:
        ToolUnfitError: no such wheel, or one without a binary.
    """
    try:
        folder = resources.files("imageio_ffmpeg.binaries")
    except ModuleNotFoundError:
        message = "ffmpeg is not installed: pip install 'lipfarm[media]'"
        raise ToolUnfitError(message) from None
    for entry in folder.iterdir():
        if entry.name.startswith("ffmpeg-") and isinstance(entry, Path):
            _check_executable(entry, "install the imageio-ffmpeg wheel anew")
            return entry
    machine = f"{platform.system()} on {platform.machine()}"
    raise ToolUnfitError(
        f"the installed imageio-ffmpeg has no ffmpeg for {machine}: name one of version"
        f" {MINIMUM_VERSION} or later in {FFMPEG_VARIABLE}"
    )


def ffmpeg_version(path: str) -> str:
    """As the program tells it: ``9.0.2`` or the name of a build.

    Raises:
        ToolError: it cannot be run.
    """
    return _version(path).name


def _named(path: Path) -> str:
    if not path.is_absolute():
        raise ToolUnfitError(f"{FFMPEG_VARIABLE} is {one_line(path)}: give an absolute path")
    _check_executable(path, _WAY_OUT)
    status = path.stat()
    complaint = _complaint(str(path), status.st_mtime_ns, status.st_size)
    if complaint:
        raise ToolUnfitError(f"{one_line(path)}: {complaint}; {_WAY_OUT}")
    return str(path)


def _check_executable(path: Path, way_out: str) -> None:
    if not path.is_file():
        raise ToolUnfitError(f"{one_line(path)}: no such file; {way_out}")
    if not os.access(path, os.X_OK):
        raise ToolUnfitError(f"{one_line(path)}: is not executable; {way_out}")


@lru_cache(maxsize=8)
def _complaint(path: str, _modified: int, _size: int) -> str:
    """What an ffmpeg lacks; empty if nothing. Its time and size are there to be remembered by."""
    try:
        version = _version(path)
        if version.libavformat < _MINIMUM_LIBAVFORMAT:
            return f"is ffmpeg {version.name}, older than version {MINIMUM_VERSION}"
        lacking = list(_lacking(path))
    except (PipelineError, OSError) as error:
        return f"does not answer as ffmpeg does ({error})"
    return f"ffmpeg {version.name} lacks {', '.join(lacking)}" if lacking else ""


@dataclass(frozen=True, slots=True)
class _Version:
    name: str
    libavformat: int


def _version(path: str) -> _Version:
    said = run([path, "-version"], timeout=_ANSWER_SECONDS).decode(errors="replace")
    name = re.match(r"ffmpeg version (\S+)", said)
    library = re.search(r"^libavformat +(\d+)\.", said, re.MULTILINE)
    if name is None or library is None:
        raise ToolUnfitError(f"it says {one_line(said[:60])!r}")
    return _Version(name[1], int(library[1]))


def _lacking(path: str) -> Iterator[str]:
    for kind, needed in NEEDED.items():
        question, line = _LISTINGS[kind]
        said = run([path, "-hide_banner", *question], timeout=_ANSWER_SECONDS)
        # One demuxer may have several names: mov,mp4,m4a.
        names = re.findall(line, said.decode(errors="replace"), re.MULTILINE)
        missing = needed - {part for name in names for part in name.split(",")}
        if missing:
            plural = "s" if len(missing) > 1 else ""
            yield f"the {kind}{plural} {' '.join(sorted(missing))}"
