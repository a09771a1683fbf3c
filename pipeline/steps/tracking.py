"""The track step: who is dubbed where, over the whole film, and what there is to render."""

from collections.abc import Collection
from dataclasses import astuple

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import KeyPart, Read, Store, artifact_key
from pipeline.detect import settle_source
from pipeline.faces.choosing import Chosen, load_boxes
from pipeline.faces.doubts import Reason
from pipeline.faces.looks import SegmentFaces
from pipeline.faces.tracks import Tracks, fix_tracks, track_faces
from pipeline.options import DetectorChoice, DubOptions
from pipeline.prepare import SOUND_FACTS_FILE, SOURCE_FILES, Source
from pipeline.running.processes import Advance
from pipeline.steps.detecting import detect_task
from pipeline.steps.facts import Prepared, RenderStep, Tracked
from pipeline.steps.layout import TRACKS_FILES, load_layout, save_tracks
from pipeline.steps.ranges import kept_frames, plan_ranges

#: Raised when what the stage writes changes.
TRACKS_VERSION = 1


def track(
    prepared: Prepared,
    detector: DetectorChoice,
    store: Store,
    advance: Advance,
    kept_original: Collection[int] = (),
) -> tuple[Tracked, tuple[RenderStep, ...]]:
    """Decide who is dubbed where, and lay the output out.

    Args:
        prepared: the job.
        detector: as chosen on this machine; only a damaged film is looked through again.
        store: holds ``source_key`` (SOURCE_FILES), ``sound_key`` (SOUND_FACTS_FILE), ``boxes_key``
            (BOXES_FILE) and all detect artifacts.
        advance: told of frames of a damaged film that is looked through again.
        kept_original: detect steps whose segments nobody looked through: nobody is dubbed there.

    Returns:
        The job as tracked, whose artifact ``tracks_key`` with all TRACKS_FILES is in the store,
        and its render steps.

    Raises:
        UnreadableMediaError: not one frame decodes.
        ParameterError: the box given does not fit the picture; no face is where one was chosen.
        MissingArtifactsError: what is read is not in the store.
    """
    store.require(
        Read(prepared.sound_key, (SOUND_FACTS_FILE,)), Read(prepared.source_key, SOURCE_FILES)
    )
    looked = detect_task(prepared, detector, store)
    detected: list[KeyPart] = [looked.read(i).key for i in range(len(looked.source.segments))]
    options = prepared.options
    key = artifact_key(
        "tracks",
        TRACKS_VERSION,
        detected=detected,
        faces=options.faces,
        box=None if options.box is None else list(astuple(options.box)),
        pads=None if options.pads is None else list(options.pads),
        kept_original=list[KeyPart](sorted(kept_original)),
        **_narrowed(prepared),
    )
    if not store.holds(Read(key, TRACKS_FILES)):
        source, found = settle_source(looked, advance, kept_original)
        boxes = None if prepared.boxes_key is None else load_boxes(prepared.boxes_key, store)
        tracks = _decide(source, found, options, boxes)
        for index in sorted(kept_original):
            segment = source.segments[index]
            tracks = tracks.without(segment.start, segment.end)
        with store.writing_folder(key) as folder:
            save_tracks(tracks, source, folder)
    task = load_layout(prepared, key, store)
    steps = plan_ranges(prepared, key, task)
    return Tracked(
        tracks_key=key,
        frames=len(task.source.plan),
        output_frames=len(task.timeline),
        output_seconds=float(task.timeline.duration),
        ranges=len(steps),
        kept_original=tuple(sorted(kept_original)),
    ), steps


def _decide(
    source: Source,
    found: list[SegmentFaces],
    options: DubOptions,
    boxes: NDArray[np.int32] | None,
) -> Tracks:
    if options.box is None:
        tracks = track_faces(
            found,
            frame_rate=source.plan.frame_rate,
            choice=options.faces,
            pads=options.pads,
            chosen=Chosen(options.chosen, boxes) if options.chosen or boxes is not None else None,
        )
    else:
        tracks = fix_tracks(options.box, len(source.plan), *source.upright_size)
    kept = kept_frames(source.plan, options).values()
    return tracks.passing(np.any(list(kept), axis=0), Reason.KEPT) if kept else tracks


def _narrowed(prepared: Prepared) -> dict[str, KeyPart]:
    """What else determines who is dubbed; nothing where nothing is said, as most jobs do."""
    options = prepared.options
    narrowed: dict[str, list[KeyPart]] = {
        "chosen": [list[KeyPart](astuple(point)) for point in options.chosen],
        "boxes": [prepared.boxes_key] if prepared.boxes_key else [],
        "clips": [[str(each.start), str(each.end)] for each in options.timeline],
        "left": [[str(each.start), str(each.end)] for each in options.keep_original],
    }
    return {name: value for name, value in narrowed.items() if value}
