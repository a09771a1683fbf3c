"""A whole dub on this machine: prepare → detect → track → render → stitch, resumable.

This is the farm's order of work without the farm. Each stage is a function of files; its artifacts
are named by what determines them, so a killed run continues where it was.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifacts import Store
from pipeline.detect import detect_missing
from pipeline.errors import OutputError
from pipeline.media.info import MediaInfo
from pipeline.media.opening import one_line
from pipeline.options import DetectorChoice, DubOptions, NetworkChoice
from pipeline.output.containers import container_of
from pipeline.output.publish import LONGEST_NAME, are_one, check_output
from pipeline.output.sizes import least_cut_bytes, least_encoded_bytes
from pipeline.report import Report, describe_cost, notes, write_report
from pipeline.running.processes import Advance, for_each_segment
from pipeline.running.progress import Progress, Silent
from pipeline.running.resources import ResourceMeter
from pipeline.running.room import require_room
from pipeline.steps.detecting import detect_task
from pipeline.steps.facts import NetworkFacts, Prepared, RenderStep, Tracked, render_key
from pipeline.steps.preparing import Inputs, check_inputs, prepare
from pipeline.steps.rendering import is_rendered, load_network, render
from pipeline.steps.stitching import stitch
from pipeline.steps.tracking import track


@dataclass(frozen=True, slots=True)
class Order:
    """One dub: what comes in, where it goes out, and how.

    ``more_dialogues`` are those of a timeline beyond the first. ``work_dir`` keeps the artifacts
    for later runs; None makes a folder beside the output and removes it once the output is there.
    ``report`` is where the report is written, if anywhere; ``kept`` are further files that the
    order was made of, and that neither output nor report may replace.
    """

    source: Path
    dialogue: Path
    output: Path
    options: DubOptions
    network: NetworkChoice
    detector: DetectorChoice
    work_dir: Path | None = None
    more_dialogues: tuple[Path, ...] = ()
    report: Path | None = None
    kept: tuple[Path, ...] = ()


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
    _check_places(order)
    inputs = Inputs(
        order.source,
        order.dialogue,
        order.output.name,
        order.options,
        order.network,
        order.detector,
        more_dialogues=order.more_dialogues,
    )
    with _work_folder(order) as store, ResourceMeter(store.root) as meter:
        stages = _Stages(meter, progress)
        film, dialogues = check_inputs(inputs)
        _check_room(order, film, dialogues, store)
        with meter.stage("load"):
            network = load_network(order.network)
        with stages("prepare"):
            prepared, _ = prepare(inputs, store, Silent().advance, film=film)
        for sentence in prepared.left_out:
            progress.note(sentence)
        with stages("detect", prepared.frames):
            looking = detect_task(prepared, order.detector, store)
            detect_missing(looking, order.options.workers, progress.advance)
        with stages("track"):
            tracked, steps = track(prepared, order.detector, store, Silent().advance)
        with stages("render", tracked.output_frames):
            task = _RenderTask(prepared, tracked, steps, order.network, store)
            _render_missing(task, network, order.options.workers, progress.advance)
        with stages("stitch"):
            keys = {step.segment_index: render_key(step, network.digest) for step in steps}
            report = stitch(
                prepared,
                tracked,
                keys,
                order.source,
                order.dialogue,
                order.output,
                store,
                Silent().advance,
                network,
                order.more_dialogues,
            )
        for sentence in notes(report):
            if sentence not in prepared.left_out:
                progress.note(sentence)
        report["source"]["path"] = str(order.source)
        report["dialogue"]["path"] = str(order.dialogue)
        report["output"]["path"] = str(order.output)
        frames = {"detect": prepared.frames, "render": tracked.output_frames}
        report |= describe_cost(meter, frames)
        if order.report is not None:
            write_report(report, order.report)
        return report


def _check_places(order: Order) -> None:
    """See, before any work, that all that is to be written can be.

    Raises:
        OutputError, StorageFullError: see ``check_output`` and ``container_of``; or two of them
            have one name.
    """
    container_of(order.output)
    inputs = [order.source, order.dialogue, *order.more_dialogues, *order.kept]
    if order.network.checkpoint is not None:
        inputs.append(order.network.checkpoint)
    check_output(order.output, inputs)
    if order.report is not None:
        if are_one(order.report, order.output):
            raise OutputError(
                f"{one_line(order.report)}: output and report need names of their own"
            )
        check_output(order.report, inputs, what="report")
    if order.work_dir is not None:
        _check_work_dir(order.work_dir, [path for path in (order.output, order.report) if path])


def _check_work_dir(folder: Path, files: Sequence[Path]) -> None:
    """It is made before the files are: none of them may stand where it does, or above."""
    for path in files:
        if any(are_one(path, place) for place in (folder, *folder.absolute().parents)):
            raise OutputError(
                f"{one_line(folder)}: cannot be the folder to work in, as {one_line(path)} is to be"
                " written there; choose another folder",
                field="work_dir",
            )


@dataclass(frozen=True, slots=True)
class _RenderTask:
    """All that a process needs to render any of the ranges."""

    prepared: Prepared
    tracked: Tracked
    steps: tuple[RenderStep, ...]
    network: NetworkChoice
    store: Store


def _render_missing(
    task: _RenderTask, network: NetworkFacts, workers: int, advance: Advance
) -> None:
    missing = []
    for step in task.steps:
        if is_rendered(step, network, task.store):
            advance(step.frames)
        else:
            missing.append(step.segment_index)
    for_each_segment(_Renderer, task, missing, workers, advance)


class _Renderer:
    def __init__(self, task: _RenderTask) -> None:
        self._task = task

    def __call__(self, index: int, advance: Advance) -> None:
        task = self._task
        step = task.steps[index]
        render(task.prepared, task.tracked, step, task.network, task.store, advance)


def _check_room(
    order: Order, film: MediaInfo | None, dialogues: Sequence[MediaInfo], store: Store
) -> None:
    """See that what is written on the way, and the output, will fit.

    What an earlier run has left in a work folder of one's own need not be made again, or not all of
    it; so nothing is asked for there.

    Raises:
        StorageFullError: it will not.
    """
    if film is None:
        return
    seconds = None if order.options.timeline else dialogues[0].duration
    encoded = least_encoded_bytes(film, seconds, order.options.crf)
    if not any(store.root.glob("source-*")):
        # Segments, all of them joined, and that again with the sound.
        require_room(store.root, least_cut_bytes(film) + 3 * encoded, field="work_dir")
    require_room(order.output.absolute().parent, encoded, field="output")


@contextlib.contextmanager
def _work_folder(order: Order) -> Iterator[Store]:
    """The folder of artifacts; one of our own goes when nothing in it is worth keeping."""
    default = order.output.with_name(_work_name(order.output.name))
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


def _work_name(output_name: str) -> str:
    """Of the folder beside the output; short where the output's name leaves it no room."""
    name = f".{output_name}.lipfarm"
    if len(os.fsencode(name)) <= LONGEST_NAME:
        return name
    return f".{hashlib.sha256(os.fsencode(output_name)).hexdigest()[:12]}.lipfarm"


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
