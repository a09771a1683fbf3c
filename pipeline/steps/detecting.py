"""The detect step: one segment looked through for faces."""

from pipeline.artifacts import Read, Store
from pipeline.detect import DetectTask, SegmentDetector
from pipeline.errors import CheckpointError
from pipeline.options import DetectorChoice
from pipeline.prepare import SOURCE_FILES, Source
from pipeline.running.processes import Advance
from pipeline.steps.facts import Prepared


def detect(
    prepared: Prepared, index: int, detector: DetectorChoice, store: Store, advance: Advance
) -> str:
    """Look through one segment; nothing is done where its artifact is in the store.

    Args:
        prepared: the job.
        index: of the segment.
        detector: as chosen on this machine.
        store: holds what the DetectStep reads.
        advance: told of finished frames.

    Returns:
        The key of its artifact, whose files are DETECT_FILES of :mod:`pipeline.detect`.

    Raises:
        MissingArtifactsError: what the step reads is not in the store.
        CheckpointError: this machine does not have the job's detector.
    """
    task = detect_task(prepared, detector, store)
    read = task.read(index)
    if store.holds(read):
        advance(len(task.source.segments[index]))
        return read.key
    store.require(task.source.read(index))
    SegmentDetector(task)(index, advance)
    return read.key


def detect_task(prepared: Prepared, detector: DetectorChoice, store: Store) -> DetectTask:
    """What all of a job's detect steps have in common.

    Raises:
        MissingArtifactsError, CheckpointError: as :func:`detect`.
    """
    store.require(Read(prepared.source_key, SOURCE_FILES))
    source = Source.load(store.path(prepared.source_key))
    if prepared.detector is None:
        return DetectTask(source, None, store)
    if detector.name != prepared.detector:
        raise CheckpointError(
            f"the job's faces are found with {prepared.detector}, this machine has {detector.name}"
        )
    return DetectTask(source, detector, store)
