"""The last stage: encoded segments, dialogue and the source's other streams become the output.

No pass decodes a picture: the segments are joined into one stream with exact times; each stream
that is kept of the source gets a file of its own; one thread puts all of them in order of time; and
one mux adds what the source says of them. So the same inputs give the same bytes. The output's time
zero is the source's earliest stream, so picture, original sound, subtitles and chapters keep their
places to each other.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from pipeline.errors import ToolError
from pipeline.media.info import MediaInfo
from pipeline.media.straightening import straighten
from pipeline.options import KeepAudio, SyncMode
from pipeline.output.containers import KeptStream, container_of, plan_output
from pipeline.output.interleave import Part, interleave, is_empty
from pipeline.output.join import Timing, join_segments
from pipeline.output.keys import stamp
from pipeline.output.mux import Mux, write_chapters, write_covers
from pipeline.output.publish import check_output, publishing
from pipeline.output.rehearsal import rehearse
from pipeline.output.verify import Expected, priming, verify_output
from pipeline.running.commands import run

__all__ = ["Timing", "check_output", "container_of", "join_segments", "plan_output", "stitch"]

#: How the dubbed track is called in players' menus.
DUBBED_TITLE = "Dubbed"

#: Seconds a mux may take: a floor, plus one for every MB it reads.
_MUX_FLOOR_SECONDS = 300.0
_BYTES_PER_SECOND = 1e6


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
    moved_by: SyncMode | None = None,
    stretch: Fraction = Fraction(1),
) -> dict[str, Any]:
    """Join, interleave, mux, verify, and only then give the output its name.

    Args:
        segments: files of :class:`pipeline.output.encode.SegmentEncoder`, in order.
        timing: of all their frames.
        info: the source, probed; everything but picture and dialogue is copied from it.
        dialogue: the track of ``encode_dialogue``; it starts with the picture.
        output: MP4, MOV or MKV, by its extension.
        work_dir: a folder with room for twice the output.
        keep_audio: whether the source's own sound follows the dubbed track.
        language, title: tags of the dubbed track.
        moved_by: the sync mode, where it shows the frames at other times than the film does.
        stretch: how much longer the output is than the film, where all of it is moved alike.

    Returns:
        Facts for the report; see :func:`pipeline.output.verify.verify_output`.

    Raises:
        OutputError: see plan_output and check_output.
        StorageFullError, ToolError.
        InternalError: segments do not fit together, or the output is not what was ordered.
    """
    plan = rehearse(info.path, plan_output(info, output, keep_audio, moved_by))
    mux = Mux(info, plan, timing, language, title)
    with tempfile.TemporaryDirectory(dir=work_dir) as folder:
        gathered = Path(folder, "gathered")
        mux = _gather(segments, dialogue, mux, gathered)
        with publishing(output) as temporary:
            chapters = Path(folder, "chapters") if stretch != 1 else None
            if chapters is not None:
                write_chapters(info, timing.start_seconds, stretch, chapters)
            covers = write_covers(info, mux.plan, Path(folder))
            _run(mux.argv(gathered, temporary, chapters, covers), gathered, info.path)
            stamp(temporary, info.metadata, plan.container)
            expected = Expected(timing, mux.plan, language, priming(dialogue))
            return verify_output(temporary, expected)


def _gather(segments: Sequence[Path], dialogue: Path, mux: Mux, gathered: Path) -> Mux:
    """Picture, dialogue and the streams that are kept, in order of time in one file.

    Returns the mux without streams of which nothing lies within the film.
    """
    assert mux.info.video is not None  # noqa: S101 -- for the type checker
    with tempfile.TemporaryDirectory(dir=gathered.parent) as name:
        folder = Path(name)
        joined, spoken = folder / "joined", folder / "dialogue"
        join_segments(segments, mux.timing, mux.info.video, joined)
        files = {
            kept: folder / f"{kept.stream.index}" for kept in mux.plan.kept if not kept.is_file
        }
        mux = _straighten(mux, folder)
        files = {kept: path for kept, path in files.items() if kept in mux.plan.kept}
        failing = _lay_out(mux, dialogue, spoken, files)
        mux = replace(mux, plan=mux.plan.without(failing, "ffmpeg fails on it"))
        for kept in failing:
            del files[kept]
        empty = [kept for kept, path in files.items() if is_empty(path)]
        mux = replace(mux, plan=mux.plan.without(empty, "nothing of it lies within the film"))
        full = [Part(files[kept]) for kept in mux.plan.kept if kept in files]
        interleave([Part(joined, mux.start), Part(spoken), *full], mux.plan.container, gathered)
    return mux


def _straighten(mux: Mux, folder: Path) -> Mux:
    """With copies of the streams whose clock jumps; without those that cannot be copied."""
    jumping = {
        kept.stream.index: kept
        for kept in mux.plan.kept
        if kept.stream.index in mux.info.clock.jumps and not kept.is_file
    }
    copies = straighten(mux.info, jumping, folder) if jumping else {}
    stuck = [kept for index, kept in jumping.items() if index not in copies]
    plan = mux.plan.without(stuck, "its clock jumps, and no format can hold a copy of it")
    return replace(mux, plan=plan, straight=copies)


def _lay_out(
    mux: Mux, dialogue: Path, spoken: Path, files: Mapping[KeptStream, Path]
) -> list[KeptStream]:
    """Every stream into its file; returns those that ffmpeg fails on.

    A track that is damaged beyond decoding fails the whole call; then each is tried by itself.
    """
    try:
        _run(mux.lay_out_argv(dialogue, spoken, files), dialogue, mux.info.path)
    except ToolError:
        pass
    else:
        return []
    failing = []
    for kept, path in files.items():
        try:
            _run(mux.lay_out_argv(dialogue, spoken, {kept: path}), dialogue, mux.info.path)
        except ToolError:
            failing.append(kept)
    # Last, since a call that fails leaves half a dialogue, too.
    _run(mux.lay_out_argv(dialogue, spoken, {}), dialogue)
    return failing


def _run(argv: list[str], *inputs: Path) -> None:
    size = sum(path.stat().st_size for path in inputs)
    run(argv, timeout=_MUX_FLOOR_SECONDS + size / _BYTES_PER_SECOND)
