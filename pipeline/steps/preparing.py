"""The prepare step: inputs in, their artifacts and the detect steps out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.artifacts import Read, Store, sha256_of
from pipeline.detect import DetectTask
from pipeline.errors import CheckpointError, TimelineError
from pipeline.faces.choosing import Chosen, prepare_boxes
from pipeline.faces.tracks import check_box
from pipeline.geometry import Box
from pipeline.media.extras import Seen
from pipeline.media.info import MediaInfo, VideoInfo
from pipeline.media.opening import one_line
from pipeline.media.pictures import is_pictures, list_pictures
from pipeline.media.plan import SourcePlan
from pipeline.media.probe import probe, require_dialogue, require_source
from pipeline.options import DetectorChoice, DubOptions, NetworkChoice
from pipeline.output.containers import container_of, plan_output
from pipeline.output.rehearsal import rehearse
from pipeline.prepare import (
    SOUND_FACTS_FILE,
    SOURCE_FILES,
    Dialogue,
    Source,
    assembled_key,
    check_clips,
    prepare_assembled,
    prepare_dialogue,
    prepare_source,
    sound_key,
    source_key,
)
from pipeline.report import describe_picture, notes
from pipeline.running.processes import Advance
from pipeline.steps.facts import DetectStep, NetworkFacts, Prepared
from pipeline.steps.timing import choose_timeline


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a dub starts from, on this machine.

    Attributes:
        source, dialogue: the files.
        output_name: name of the output; its extension is its container.
        options: how it is to be dubbed.
        network, detector: as chosen on this machine; detect and render may run on others, that
            have the same by name and digest.
        source_sha256, dialogue_sha256: where they are known already. A file whose artifact is held
            need not exist if they are.
        more_dialogues: those of a timeline beyond the first.
        more_sha256: of each of them, if ``dialogue_sha256`` is given.
        face_boxes: a JSON file with the box of the face to dub for each frame; see
            :mod:`pipeline.faces.choosing`.
    """

    source: Path
    dialogue: Path
    output_name: str
    options: DubOptions
    network: NetworkChoice
    detector: DetectorChoice
    source_sha256: str | None = None
    dialogue_sha256: str | None = None
    more_dialogues: tuple[Path, ...] = ()
    more_sha256: tuple[str, ...] = ()
    face_boxes: Path | None = None


def input_keys(
    options: DubOptions, source_sha256: str, dialogue_sha256: str, more_sha256: Sequence[str] = ()
) -> tuple[Read, Read]:
    """What ``prepare`` will write for these inputs; and what it reads of it where it is held.

    Args:
        options: how the job is to be dubbed.
        source_sha256: of the source, one file.
        dialogue_sha256: of the dialogue.
        more_sha256: of those a timeline has beyond it.

    Returns:
        The source's and the dialogue's artifact.
    """
    if options.timeline:
        sound = assembled_key(source_sha256, (dialogue_sha256, *more_sha256), options.timeline)
    else:
        sound = sound_key(dialogue_sha256)
    return (
        Read(source_key(source_sha256, options.fps, options.segment_seconds), SOURCE_FILES),
        Read(sound, (SOUND_FACTS_FILE,)),
    )


def prepare(
    inputs: Inputs,
    store: Store,
    advance: Advance,
    held: Collection[str] = (),
    film: MediaInfo | None = None,
) -> tuple[Prepared, tuple[DetectStep, ...]]:
    """Look at both inputs, cut the source into segment objects, hear the dialogue.

    Args:
        inputs: what comes in.
        store: where artifacts go: all files of ``source_key``, ``sound_key`` and ``boxes_key`` are
            in it afterwards, but for those held.
        advance: called with 0 as long as it goes on; frames are not counted yet.
        held: keys of whole artifacts that are kept elsewhere and are not to be made again; what is
            read of them must be in the store (see :func:`input_keys`).
        film: what :func:`check_inputs` found, if it was asked.

    Returns:
        The job as prepared, and its detect steps.

    Raises:
        InputError: an input cannot be dubbed, and why.
        OutputError: the container is unknown.
        CheckpointError: the network's weights cannot be read.
        MissingArtifactsError: what is read of a held artifact is not in the store.
    """
    options = inputs.options
    container_of(Path(inputs.output_name))
    network = describe_choice(inputs.network)
    source = _prepare_source(inputs, store, advance, held, film)
    dialogue = _prepare_dialogue(inputs, source, store, advance, held)
    boxes = None if inputs.face_boxes is None else prepare_boxes(inputs.face_boxes, store)
    detector = inputs.detector if options.box is None else None
    prepared = Prepared(
        options=options,
        network=network,
        detector=None if detector is None else detector.name,
        source_key=source.folder.name,
        sound_key=dialogue.folder.name,
        source_name=inputs.source.name,
        dialogue_name=inputs.dialogue.name,
        output_name=inputs.output_name,
        frames=len(source.plan),
        frame_rate=source.plan.frame_rate,
        source_seconds=float(source.info.duration or 0),
        dialogue_seconds=float(dialogue.duration),
        more_dialogue_names=tuple(path.name for path in inputs.more_dialogues),
        boxes_key=boxes,
        left_out=(*source.manifest.gaps, *_left_out(inputs, source, dialogue)),
    )
    task = DetectTask(source, detector, store)
    return prepared, tuple(
        DetectStep(s.index, len(s), task.read(s.index).key, (source.read(s.index),))
        for s in source.segments
    )


def describe_choice(choice: NetworkChoice) -> NetworkFacts:
    """A network by name and weights, before it is loaded."""
    weights = None if choice.checkpoint is None else digest_weights(choice.checkpoint)
    return NetworkFacts(choice.name, weights)


def digest_weights(path: Path) -> str:
    """Hex sha256 of a weights file; remembered as long as the file stays the same.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        status = path.stat()
        return _digest_file(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise CheckpointError(f"{one_line(path)} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=8)
def _digest_file(path: Path, size: int, changed: int) -> str:  # noqa: ARG001 -- part of what is remembered
    return sha256_of(path)


def check_inputs(
    inputs: Inputs, held: Collection[str] = ()
) -> tuple[MediaInfo | None, tuple[MediaInfo, ...]]:
    """Look at what comes in, before any of it is read whole: hashed, cut or heard.

    Args:
        inputs, held: as for :func:`prepare`.

    Returns:
        The film, unless it is pictures or held; and the dialogues, unless what is heard is held.

    Raises:
        InputError: an input cannot be dubbed, and why.
    """
    is_cut, is_heard = _are_held(inputs, held)
    film = None if is_cut else _look_at(inputs.source, inputs.options)
    dialogues = () if is_heard else (inputs.dialogue, *inputs.more_dialogues)
    heard = tuple(map(probe, dialogues))
    for each in heard:
        require_dialogue(each)
    return film, heard


def _look_at(source: Path, options: DubOptions) -> MediaInfo | None:
    if not is_pictures(source):
        info = probe(source, everywhere=True)
        _check_box(options.box, require_source(info))
        return info
    if options.timeline:
        raise TimelineError(
            "a timeline needs a film; pictures have no times of their own", field="timeline"
        )
    if source.is_dir():
        list_pictures(source)
    return None


def _are_held(inputs: Inputs, held: Collection[str]) -> tuple[bool, bool]:
    """Whether the artifacts of the source and of the sound need not be made."""
    source, dialogue = inputs.source_sha256, inputs.dialogue_sha256
    if source is None or dialogue is None:
        return False, False
    cut, heard = input_keys(inputs.options, source, dialogue, inputs.more_sha256)
    return cut.key in held, heard.key in held


def _check_box(box: Box | None, video: VideoInfo) -> None:
    if box is not None:
        sides = video.width, video.height
        check_box(box, *(sides[::-1] if video.rotation % 180 else sides))


def _prepare_source(
    inputs: Inputs, store: Store, advance: Advance, held: Collection[str], film: MediaInfo | None
) -> Source:
    options, digest = inputs.options, inputs.source_sha256

    def check(info: MediaInfo, plan: SourcePlan) -> None:
        _check_box(options.box, require_source(info))
        _check_plan(plan, options, 1 + len(inputs.more_dialogues))

    if digest is not None:
        key = source_key(digest, options.fps, options.segment_seconds)
        if key in held:
            store.require(Read(key, SOURCE_FILES))
            source = Source.load(store.path(key), inputs.source)
            check(source.info, source.plan)
            return source
    return prepare_source(
        inputs.source,
        options.fps,
        options.segment_seconds,
        store,
        advance,
        digest=digest,
        info=film,
        check=check,
    )


def _prepare_dialogue(
    inputs: Inputs, source: Source, store: Store, advance: Advance, held: Collection[str]
) -> Dialogue:
    options, digest = inputs.options, inputs.dialogue_sha256
    if digest is not None:
        _, read = input_keys(options, source.digest, digest, inputs.more_sha256)
        if read.key in held:
            store.require(read)
            return Dialogue.load(store.path(read.key))
    if not options.timeline:
        return prepare_dialogue(inputs.dialogue, store, advance, digest=digest)
    return prepare_assembled(
        source,
        (inputs.dialogue, *inputs.more_dialogues),
        options.timeline,
        store,
        advance,
        digests=None if digest is None else (digest, *inputs.more_sha256),
    )


def _left_out(inputs: Inputs, source: Source, dialogue: Dialogue) -> tuple[str, ...]:
    options = inputs.options
    moves = not choose_timeline(source, dialogue, options).keeps_time
    moved_by = options.sync_mode if moves else None
    plan = plan_output(source.info, Path(inputs.output_name), options.keep_audio, moved_by)
    # A held source need not be here; the stitch rehearses again.
    if inputs.source.is_file():
        plan = rehearse(source.info.path, plan)
    tracks = tuple(str(left) for left in plan.left_out if left.is_missed)
    picture = describe_picture(source.video, Seen(), Path(inputs.output_name))
    return (*tracks, *notes(picture))


def _check_plan(plan: SourcePlan, options: DubOptions, dialogues: int) -> None:
    """Raises TimelineError or FaceChoiceError where something is said of what the film has not."""
    for each in options.keep_original:
        if each.start >= plan.duration:
            length = float(plan.duration)
            raise TimelineError(
                f"{each} starts after the film, which lasts {length:.3f} s", field="keep_original"
            )
    check_clips(plan, options.timeline, dialogues)
    if not plan.is_whole:  # or its frames are counted only as they are decoded
        Chosen(options.chosen).check(len(plan))
