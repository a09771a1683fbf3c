"""The stitch step: rendered ranges, dialogue and the source's other streams become the output."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import Read, Store
from pipeline.media.extras import Seen
from pipeline.networks.draft import DraftNetwork
from pipeline.output.preview import PreviewPart, join_previews
from pipeline.output.publish import UNFINISHED
from pipeline.prepare import PICTURES_FILE, sound_files
from pipeline.render import Renderer, RenderTask
from pipeline.report import (
    Report,
    describe_choices,
    describe_face_choice,
    describe_frames,
    describe_inputs,
    describe_output,
    describe_picture,
    describe_timeline,
)
from pipeline.running.growth import telling_growth
from pipeline.running.processes import Advance
from pipeline.running.room import require_room
from pipeline.sound.assembly import encode_assembled
from pipeline.sound.dialogue import encode_dialogue
from pipeline.steps.facts import (
    PREVIEW_FILE,
    RANGE_FILES,
    SEEN_FILE,
    SEGMENT_FILE,
    NetworkFacts,
    Prepared,
    RenderStep,
    Tracked,
    render_key,
)
from pipeline.steps.layout import load_layout
from pipeline.steps.ranges import kept_frames, plan_ranges, segments_shown
from pipeline.steps.rendering import preview_files
from pipeline.stitch import Timing
from pipeline.stitch import stitch as stitch_segments


def stitch(
    prepared: Prepared,
    tracked: Tracked,
    rendered: Mapping[int, str],
    source: Path,
    dialogue: Path,
    output: Path,
    store: Store,
    advance: Advance,
    network: NetworkFacts | None = None,
    more_dialogues: Sequence[Path] = (),
    preview: Path | None = None,
) -> Report:
    """Join all ranges, mux, verify.

    The same artifacts give the same bytes on any machine.

    Args:
        prepared, tracked: the job.
        rendered: artifact of each range by its index. A range without one keeps the original: it
            is copied frame by frame from the source here.
        source, dialogue: the inputs on this machine; a source of pictures need not exist.
        output: the file to write.
        store: holds all ``rendered`` (RANGE_FILES), ``tracks_key``, the source's and the sound's
            facts, and PICTURES_FILE of a source of pictures.
        advance: told of frames copied for ranges without an artifact, and called with 0, from
            threads, as long as it goes on.
        network: as the render steps told of it, for the report.
        more_dialogues: those of a timeline beyond the first.
        preview: where to write before and after of the whole film, of what of it lies beside the
            ranges' segments; where nothing does, or it cannot be made, there is no such file.

    Returns:
        The report, but for ``timings``, ``peak_memory_bytes`` and ``peak_disk_bytes``; its paths
        are names.

    Raises:
        MissingArtifactsError: what is read is not in the store.
        OutputError, StorageFullError, ToolError, InternalError: see :mod:`pipeline.stitch`.
    """
    options = prepared.options
    task = load_layout(prepared, tracked.tracks_key, store, source)
    steps = plan_ranges(prepared, tracked.tracks_key, task)
    keys = [
        rendered.get(step.segment_index) or render_key(step, None, untouched=True) for step in steps
    ]
    ranges = dict(zip(keys, steps, strict=True))
    _complete(prepared, task, ranges, rendered, store, advance, with_preview=preview is not None)
    segments = [store.path(key) / SEGMENT_FILE for key in keys]
    _check_room(segments, store, output)
    timing = Timing(task.timeline.pts, task.timeline.end, task.source.plan.time_base)
    with _scratch(store, output, advance) as folder:
        track = folder / "dialogue.m4a"
        if task.dialogue.pieces:
            files = sound_files(task.source, (dialogue, *more_dialogues))
            encode_assembled(task.dialogue.pieces, files, track, timing.duration_seconds)
        else:
            encode_dialogue(dialogue, track, timing.duration_seconds)
        facts = stitch_segments(
            segments,
            timing,
            task.source.info,
            track,
            output,
            folder,
            keep_audio=options.keep_audio,
            language=options.language,
            moved_by=None if task.timeline.keeps_time else options.sync_mode,
            stretch=task.timeline.stretch,
        )
        if preview is not None:
            parts = [
                PreviewPart(store.path(key) / PREVIEW_FILE, step.start, step.end)
                for key, step in zip(keys, steps, strict=True)
            ]
            join_previews(parts, timing, track, preview, folder)
    kept = _kept_original(task, tracked, ranges)
    seen = reduce(
        Seen.followed_by, (Seen.load(store.path(key) / SEEN_FILE) for key in keys), Seen()
    )
    names = (prepared.dialogue_name, *prepared.more_dialogue_names)
    return {
        **describe_inputs(task.source, prepared.source_name, task.dialogue, prepared.dialogue_name),
        **describe_output(prepared.output_name, output),
        **describe_choices(asdict(network or prepared.network), prepared.detector, options),
        **describe_timeline(names, options),
        **describe_face_choice(options, task.tracks),
        **facts,
        **describe_picture(task.source.video, seen, output),
        **describe_frames(task.tracks, task.timeline, kept),
    }


def _check_room(segments: Sequence[Path], store: Store, output: Path) -> None:
    """Joined, and again with the sound; then that becomes the output.

    Raises:
        StorageFullError: there is no room for it.
    """
    size = sum(path.stat().st_size for path in segments)
    require_room(store.root, 2 * size, field="work_dir")
    require_room(output.absolute().parent, size, field="output")


@contextlib.contextmanager
def _scratch(store: Store, output: Path, advance: Advance) -> Iterator[Path]:
    """A folder for what is needed on the way; what grows in it, or becomes the output, is told."""
    with (
        store.temporary() as folder,
        telling_growth(folder, advance),
        telling_growth(output.absolute().parent, advance, UNFINISHED),
    ):
        yield folder


def _complete(
    prepared: Prepared,
    task: RenderTask,
    ranges: Mapping[str, RenderStep],
    rendered: Mapping[int, str],
    store: Store,
    advance: Advance,
    *,
    with_preview: bool,
) -> None:
    """See to it that the segment of every range is in the store; copy those nobody rendered."""
    segments = {key: Read(key, RANGE_FILES) for key in ranges}
    unrendered = {
        key: step
        for key, step in ranges.items()
        if step.segment_index not in rendered and not store.holds(segments[key])
    }
    needed = [read for key, read in segments.items() if key not in unrendered]
    needed += [task.source.read(*segments_shown(task, s.start, s.end)) for s in unrendered.values()]
    if task.source.manifest.is_pictures:
        needed.append(Read(prepared.source_key, (PICTURES_FILE,)))
    store.require(*needed)
    renderer = Renderer(task, DraftNetwork())  # which is not asked: nobody is dubbed
    for key, step in unrendered.items():
        with store.writing_folder(key) as folder:
            seen = renderer.write(
                step.start,
                step.end,
                folder / SEGMENT_FILE,
                advance,
                untouched=True,
                preview_to=preview_files(folder) if with_preview else None,
            )
            seen.save(folder / SEEN_FILE)


def _kept_original(
    task: RenderTask, tracked: Tracked, ranges: Mapping[str, RenderStep]
) -> dict[str, NDArray[np.bool_]]:
    """(frames,) where the original is kept, by the reason: its segment's or range's step, or so."""
    unseen = np.zeros(len(task.source.plan), bool)
    for index in tracked.kept_original:
        segment = task.source.segments[index]
        unseen[segment.start : segment.end] = True
    kept = {
        reason: flags[task.timeline.source_index]
        for reason, flags in (
            ("its step was given up", unseen),
            *kept_frames(task.source.plan, task.options).items(),
        )
    }
    for key, step in ranges.items():
        if step.dubbed is not None and key == render_key(step, None, untouched=True):
            kept["its step was given up"][step.start : step.end] = True
    return kept
