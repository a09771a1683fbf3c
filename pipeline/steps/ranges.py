"""The output in ranges: how it is divided, what determines each, and what rendering it reads."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import KeyPart, Read, artifact_key
from pipeline.media.plan import SourcePlan
from pipeline.options import DubOptions, FilmRange
from pipeline.prepare import SOUND_FILES
from pipeline.render import RenderTask
from pipeline.steps.facts import RENDER_VERSION, Prepared, RenderStep
from pipeline.steps.layout import layout_reads


def plan_ranges(prepared: Prepared, tracks_key: str, task: RenderTask) -> tuple[RenderStep, ...]:
    """All render steps of a job, in order, over all frames of the output."""
    return tuple(
        _plan_range(prepared, tracks_key, task, index, start, end)
        for index, (start, end) in enumerate(divide(task))
    )


def divide(task: RenderTask) -> list[tuple[int, int]]:
    """Output frames [start, end) of each range.

    Where the output shows the source frame by frame, they are the source's segments, so that
    each is read from one object; the rest is cut evenly.
    """
    shown, total = task.timeline.source_index, len(task.timeline)
    differs = np.flatnonzero(shown != np.arange(total))
    same = int(differs[0]) if len(differs) else total
    length = max(1, round(task.options.segment_seconds * task.source.plan.frame_rate))
    starts = {s.start for s in task.source.segments if s.start < same}
    starts |= set(range(same, total, length)) | {0}
    ordered = sorted(starts)
    return list(zip(ordered, [*ordered[1:], total], strict=True))


def kept_frames(plan: SourcePlan, options: DubOptions) -> dict[str, NDArray[np.bool_]]:
    """(frames of the source,) whose picture is to stay as it is, by the reasons that were given."""
    kept = {}
    if options.keep_original:
        kept["ordered"] = _flags(plan, options.keep_original)
    if options.timeline:
        kept["no clip covers it"] = ~_flags(plan, options.timeline)
    return kept


def _flags(plan: SourcePlan, ranges: Iterable[FilmRange]) -> NDArray[np.bool_]:
    """(frames of the source,) that start in one of the ranges."""
    flags = np.zeros(len(plan), bool)
    for each in ranges:
        start, end = plan.frames_between(each.start, each.end)
        flags[start:end] = True
    return flags


def _plan_range(
    prepared: Prepared, tracks_key: str, task: RenderTask, index: int, start: int, end: int
) -> RenderStep:
    options = task.options
    encoded: dict[str, KeyPart] = {
        "source": task.source.digest,
        "crf": options.crf,
        "preset": options.preset,
    }
    untouched = artifact_key(
        "untouched", RENDER_VERSION, **encoded, frames=_digest_frames(task, start, end)
    )
    faces = _digest_faces(task, start, end)
    source_read, sound_read, tracks_read = layout_reads(prepared, tracks_key)
    source_read = task.source.read(*segments_shown(task, start, end))
    if faces is None:
        reads = (source_read, sound_read, tracks_read)
        return RenderStep(index, start, end, None, untouched, reads)
    dubbed = artifact_key(
        "dubbed",
        RENDER_VERSION,
        **encoded,
        frames=_digest_frames(task, start, end),
        faces=faces,
        start=start,
        dialogue=task.dialogue.digest,
        mel_offset_ms=options.mel_offset_ms,
        blend=options.blend,
    )
    reads = (source_read, Read(prepared.sound_key, SOUND_FILES), tracks_read)
    return RenderStep(index, start, end, dubbed, untouched, reads)


def segments_shown(task: RenderTask, start: int, end: int) -> list[int]:
    """The segments of the source that the output frames [start, end) are read from."""
    starts = [segment.start for segment in task.source.segments]
    shown = np.unique(task.timeline.source_index[start:end])
    # Of segments that start together all but the last are empty.
    places = np.searchsorted(starts, shown, side="right") - 1
    segments: list[int] = np.unique(np.maximum(places, 0)).tolist()
    return segments


def _digest_frames(task: RenderTask, start: int, end: int) -> str:
    """Hex digest of what is shown when in the output frames [start, end)."""
    digest = hashlib.sha256(task.timeline.source_index[start:end].astype(np.int64).tobytes())
    digest.update(task.timeline.pts[start:end].astype(np.int64).tobytes())
    return digest.hexdigest()


def _digest_faces(task: RenderTask, start: int, end: int) -> str | None:
    """Hex digest of whom is dubbed where in them; None where nobody is."""
    digest, is_dubbed = hashlib.sha256(), False
    for source_index in task.timeline.source_index[start:end].tolist():
        for face in task.tracks.faces_at(source_index):
            is_dubbed = True
            digest.update(f"{source_index} {face.box}".encode())
            digest.update(face.landmarks.astype(np.float32).tobytes())
    return digest.hexdigest() if is_dubbed else None
