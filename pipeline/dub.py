"""A whole dub on this machine: prepare → detect → track → render → stitch, resumable.

This is the farm's order of work without the farm. Each stage is a function of files; its artifacts
are named by what determines them, so a killed run continues where it was.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import Store
from pipeline.detect import detect_source
from pipeline.faces.looks import SegmentFaces
from pipeline.faces.tracks import Tracks, fix_tracks, track_faces
from pipeline.networks.build import build_network
from pipeline.options import DetectorChoice, DubOptions, NetworkChoice
from pipeline.output.containers import check_container, container_of
from pipeline.output.encode import check_quality
from pipeline.output.publish import check_output
from pipeline.prepare import Dialogue, Film, Source, cut_film, prepare_dialogue, read_film
from pipeline.render import RenderTask, render_source
from pipeline.report import (
    Report,
    describe_choices,
    describe_cost,
    describe_frames,
    describe_inputs,
    describe_output,
)
from pipeline.running.progress import Progress
from pipeline.running.resources import ResourceMeter
from pipeline.sound.dialogue import encode_dialogue
from pipeline.stitch import Timing, stitch
from pipeline.timeline import Timeline, build_timeline


@dataclass(frozen=True, slots=True)
class Order:
    """One dub: what comes in, where it goes out, and how.

    ``work_dir`` keeps the artifacts for later runs; None makes a folder beside the output and
    removes it once the output is there.
    """

    source: Path
    dialogue: Path
    output: Path
    options: DubOptions
    network: NetworkChoice
    detector: DetectorChoice
    work_dir: Path | None = None


def dub_film(order: Order, progress: Progress) -> Report:
    """Dub a film; the output appears only when it is complete and verified.

    Started again after it was killed, it continues from the finished segments.

    Args:
        order: what to do.
        progress: is told how far it is.

    Returns:
        The report, ready for JSON.

    Raises:
        PipelineError: see :mod:`pipeline.errors`; the message is for the user.
    """
    options = order.options
    container_of(order.output)
    check_quality(options.crf, options.preset)
    check_output(order.output, [order.source, order.dialogue])
    with _work_folder(order) as store, ResourceMeter(store.root) as meter:
        stages = _Stages(meter, progress)
        with stages("prepare"):
            film = read_film(order.source, options.fps, store)
            check_container(film.info, order.output, options.keep_audio)
            dialogue = prepare_dialogue(order.dialogue, store)
            source = cut_film(film, options.segment_seconds, store)
        with stages("detect", len(source.plan)):
            detector = order.detector if options.box is None else None
            source, found = detect_source(
                source, detector, store, options.workers, progress.advance
            )
        with stages("track"):
            tracks = _track(source, found, options)
            timeline = _time(film, source, dialogue, options)
        with meter.stage("load"):
            network = build_network(order.network)
        task = RenderTask(source, dialogue, tracks, timeline, order.network, options, store)
        with stages("render", len(timeline)):
            segments = render_source(task, options.workers, progress.advance)
        with stages("stitch"):
            facts = _stitch(order, source, dialogue, timeline, segments, store)
        return {
            **describe_inputs(film, dialogue),
            **describe_output(order.output),
            **describe_choices(network, order.network, detector, options),
            **facts,
            **describe_frames(tracks, timeline),
            **describe_cost(meter, {"detect": len(source.plan), "render": len(timeline)}),
        }


@contextlib.contextmanager
def _work_folder(order: Order) -> Iterator[Store]:
    """The folder of artifacts; one of our own goes when nothing in it is worth keeping."""
    default = order.output.with_name(f".{order.output.name}.lipfarm")
    # An absolute path has a slash before any colon, so no part of a name is taken for a protocol.
    store = Store((order.work_dir or default).absolute())
    finished = False
    try:
        yield store
        finished = True
    finally:
        store.close()
        if order.work_dir is None and (finished or not any(store.root.glob("render-*"))):
            store.delete()


class _Stages:
    """Times each stage and tells the listener of it."""

    def __init__(self, meter: ResourceMeter, progress: Progress) -> None:
        self._meter, self._progress = meter, progress

    @contextlib.contextmanager
    def __call__(self, name: str, frames: int = 0) -> Iterator[None]:
        self._progress.start_stage(name, frames)
        with self._meter.stage(name):
            yield
        self._progress.finish_stage()


def _track(source: Source, found: list[SegmentFaces], options: DubOptions) -> Tracks:
    if options.box is None:
        return track_faces(
            found, frame_rate=source.plan.frame_rate, choice=options.faces, pads=options.pads
        )
    width, height = source.video.width, source.video.height
    if source.video.rotation % 180:
        width, height = height, width
    return fix_tracks(options.box, len(source.plan), width, height)


def _time(film: Film, source: Source, dialogue: Dialogue, options: DubOptions) -> Timeline:
    """Which source frame is shown when in the output."""
    # One picture can only be held; "the shorter of both" would be a single frame.
    sync_mode = "loop" if film.is_still else options.sync_mode
    return build_timeline(source.plan, dialogue.duration, sync_mode)


def _stitch(
    order: Order,
    source: Source,
    dialogue: Dialogue,
    timeline: Timeline,
    segments: list[Path],
    store: Store,
) -> dict[str, Any]:
    options = order.options
    timing = Timing(timeline.pts, timeline.end, source.plan.time_base)
    with store.temporary(".m4a") as track:
        encode_dialogue(dialogue.path, track, timing.duration_seconds)
        return stitch(
            segments,
            timing,
            source.info,
            track,
            order.output,
            store.root,
            keep_audio=options.keep_audio,
            language=options.language,
        )
