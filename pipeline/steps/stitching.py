"""The stitch step: rendered ranges, dialogue and the source's other streams become the output."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from pipeline.artifacts import Read, Store
from pipeline.networks.draft import DraftNetwork
from pipeline.prepare import PICTURES_FILE
from pipeline.render import Renderer, RenderTask
from pipeline.report import (
    Report,
    describe_choices,
    describe_frames,
    describe_inputs,
    describe_output,
)
from pipeline.running.growth import telling_growth
from pipeline.running.processes import Advance
from pipeline.sound.dialogue import encode_dialogue
from pipeline.steps.facts import (
    SEGMENT_FILE,
    NetworkFacts,
    Prepared,
    Tracked,
    render_key,
)
from pipeline.steps.layout import load_layout
from pipeline.steps.ranges import plan_ranges
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
) -> Report:
    """Join all ranges, mux, verify.

    The same artifacts give the same bytes on any machine.

    Args:
        prepared, tracked: the job.
        rendered: artifact of each range by its index. A range without one keeps the original: it
            is copied frame by frame from the source here.
        source, dialogue: the inputs on this machine; a source of pictures need not exist.
        output: the file to write.
        store: holds all ``rendered`` (SEGMENT_FILE), ``tracks_key``, the source's and the sound's
            facts, and PICTURES_FILE of a source of pictures.
        advance: told of frames copied for ranges without an artifact, and called with 0 as long as
            it goes on.
        network: as the render steps told of it, for the report.

    Returns:
        The report, but for ``timings``, ``peak_memory_bytes`` and ``peak_disk_bytes``; its paths
        are names.

    Raises:
        MissingArtifactsError: what is read is not in the store.
        OutputError, StorageFullError, ToolError, InternalError: see :mod:`pipeline.stitch`.
    """
    options = prepared.options
    task = load_layout(prepared, tracked.tracks_key, store, source)
    info, timeline = task.source.info, task.timeline
    segments = _gather(prepared, tracked, rendered, task, store, advance)
    timing = Timing(timeline.pts, timeline.end, task.source.plan.time_base)
    with _scratch(store, advance) as folder:
        track = folder / "dialogue.m4a"
        encode_dialogue(dialogue, track, timing.duration_seconds)
        facts = stitch_segments(
            segments,
            timing,
            info,
            track,
            output,
            folder,
            keep_audio=options.keep_audio,
            language=options.language,
        )
    return {
        **describe_inputs(task.source, prepared.source_name, task.dialogue, prepared.dialogue_name),
        **describe_output(prepared.output_name, output),
        **describe_choices(asdict(network or prepared.network), prepared.detector, options),
        **facts,
        **describe_frames(task.tracks, timeline),
    }


@contextlib.contextmanager
def _scratch(store: Store, advance: Advance) -> Iterator[Path]:
    with store.temporary("") as folder:
        folder.mkdir()
        with telling_growth(folder, advance):
            yield folder


def _gather(
    prepared: Prepared,
    tracked: Tracked,
    rendered: Mapping[int, str],
    task: RenderTask,
    store: Store,
    advance: Advance,
) -> list[Path]:
    """The encoded segment of every range, in order."""
    steps = plan_ranges(prepared, tracked.tracks_key, task)
    keys = [
        rendered.get(step.segment_index) or render_key(step, None, untouched=True) for step in steps
    ]
    reads = [Read(key, (SEGMENT_FILE,)) for key in keys]
    original = [
        (step, read)
        for step, read in zip(steps, reads, strict=True)
        if step.segment_index not in rendered and not store.holds(read)
    ]
    needed = [read for read in reads if read.key in rendered.values()]
    needed += [each for step, _ in original for each in step.reads[:1]]
    if task.source.manifest.is_pictures:
        needed.append(Read(prepared.source_key, (PICTURES_FILE,)))
    store.require(*needed)
    renderer = Renderer(task, DraftNetwork())  # which says nothing where nothing is dubbed
    for step, read in original:
        with store.writing_folder(read.key) as folder:
            renderer.write(step.start, step.end, folder / SEGMENT_FILE, advance, untouched=True)
    return [store.path(key) / SEGMENT_FILE for key in keys]
