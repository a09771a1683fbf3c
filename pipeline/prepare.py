"""Prepare: look at both inputs, plan the segments, cut the source, hear the dialogue.

Everything later stages read of the inputs is made here, as artifacts.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from pipeline.artifacts import KeyPart, Read, Store, artifact_key, sha256_of
from pipeline.errors import InternalError, TimelineError
from pipeline.media.clock import on_clock
from pipeline.media.cutting import cut_segments
from pipeline.media.info import MediaInfo, VideoInfo
from pipeline.media.opening import check_regular_file
from pipeline.media.packets import SourcePlan, scan_packets
from pipeline.media.pictures import (
    images_to_source,
    is_pictures,
    list_pictures,
    numbering_gaps,
)
from pipeline.media.probe import probe, require_dialogue, require_source
from pipeline.media.segments import Segment, plan_segments
from pipeline.mel import write_mel
from pipeline.networks import Sound
from pipeline.options import Clip
from pipeline.running.growth import telling_growth
from pipeline.running.processes import Advance
from pipeline.sound.assembly import FILM, Piece, lay_out, write_assembled
from pipeline.sound.decoding import SoundFile, open_sound
from pipeline.sound.dialogue import decode_waveform
from pipeline.sound.speech import detect_speech

#: Raised when what the stage writes changes.
SOURCE_VERSION = 2
SOUND_VERSION = 2

#: What a source's artifact holds beside its segment objects. The last is there for pictures alone.
MANIFEST_FILE, PLAN_FILE, PICTURES_FILE = "source.json", "plan.npz", "pictures.mkv"
SOURCE_FILES = (MANIFEST_FILE, PLAN_FILE)

#: What a dialogue's artifact holds.
SOUND_FACTS_FILE, MEL_FILE, SPEECH_FILE = "facts.json", "mel.npy", "speech.npy"
SOUND_FILES = (SOUND_FACTS_FILE, MEL_FILE, SPEECH_FILE)

#: Between decoding and hearing.
WAVEFORM_FILE = "waveform.npy"

#: Samples handed to the speech detector at once, about a minute.
_SPEECH_BLOCK = 1 << 20

_ELSEWHERE = Path("source")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a source's artifact says of itself, without paths of the machine that made it.

    Attributes:
        digest: sha256 of the input's bytes; of a folder of pictures, over theirs.
        info: as probed; of the intermediate video where the input is pictures.
        is_still: the input is one picture.
        is_pictures: the intermediate video lies among the files.
        segments, objects: how it is cut, and the file name of each segment's object.
        gaps: a sentence for each place where frames of a folder seem to be missing.
    """

    digest: str
    info: MediaInfo
    is_still: bool
    is_pictures: bool
    segments: tuple[Segment, ...]
    objects: tuple[str, ...]
    gaps: tuple[str, ...] = ()


_MANIFEST: TypeAdapter[Manifest] = TypeAdapter(Manifest)
_PIECES: TypeAdapter[tuple[Piece, ...]] = TypeAdapter(tuple[Piece, ...])


@dataclass(frozen=True)
class Source:
    """The film, cut: what detect and render read.

    Attributes:
        folder: the artifact.
        manifest: what lies in it.
        info: as probed; its path is the input's, or the intermediate video's.
        plan, segments: its frames and how they are cut, in one numbering.
    """

    folder: Path
    manifest: Manifest
    info: MediaInfo
    plan: SourcePlan
    segments: tuple[Segment, ...]

    @property
    def digest(self) -> str:
        return self.manifest.digest

    @property
    def objects(self) -> tuple[Path, ...]:
        """The segment object of each segment; some may not have been fetched."""
        return tuple(self.folder / name for name in self.manifest.objects)

    @property
    def video(self) -> VideoInfo:
        if self.info.video is None:
            raise InternalError("a source without picture got past its checks")
        return self.info.video

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height as players show it, in stored pixels."""
        width, height = self.video.width, self.video.height
        return (height, width) if self.video.rotation % 180 else (width, height)

    def read(self, *indices: int) -> Read:
        """What reading these segments' frames takes."""
        objects = dict.fromkeys(self.manifest.objects[index] for index in indices)
        return Read(self.folder.name, (*SOURCE_FILES, *objects))

    @classmethod
    def load(cls, folder: Path, path: Path = _ELSEWHERE) -> "Source":
        """Read an artifact back; its objects may come later.

        Args:
            folder: the artifact.
            path: the input on this machine, for those who read it.
        """
        manifest = _MANIFEST.validate_json((folder / MANIFEST_FILE).read_bytes())
        path = folder / PICTURES_FILE if manifest.is_pictures else path
        info = replace(manifest.info, path=path)
        plan = SourcePlan.load(folder / PLAN_FILE)
        return cls(folder, manifest, info, plan, manifest.segments)


@dataclass(frozen=True)
class Dialogue:
    """The dialogue, heard.

    Attributes:
        folder: the artifact; mel and speech may not have been fetched.
        digest: sha256 of the input's bytes; of an assembled one, a name for all that it is made of.
        duration: seconds, counted in decoded samples.
        repaired: samples that were not numbers and were silenced.
        pieces: what it is assembled from; empty where it is one sound from its start.
    """

    folder: Path
    digest: str
    duration: Fraction
    repaired: int
    pieces: tuple[Piece, ...] = ()

    def sound(self) -> Sound:
        """What networks hear; the mel stays on disk and is read where it is looked at."""
        return Sound(
            mel=np.load(self.folder / MEL_FILE, mmap_mode="r"),
            speech=np.load(self.folder / SPEECH_FILE),
        )

    @classmethod
    def load(cls, folder: Path) -> "Dialogue":
        """Read an artifact back."""
        facts = json.loads((folder / SOUND_FACTS_FILE).read_text())
        pieces = _PIECES.validate_python(facts.get("pieces", ()))
        return cls(folder, facts["digest"], Fraction(facts["duration"]), facts["repaired"], pieces)


def source_key(digest: str, fps: Fraction, seconds: float) -> str:
    """Of a source's artifact.

    Args:
        digest: sha256 of the input's bytes.
        fps: frame rate of pictures.
        seconds: the length of segments that is aimed at.
    """
    return artifact_key(
        "source", SOURCE_VERSION, source=digest, fps=str(fps), seconds=float(seconds)
    )


def sound_key(digest: str) -> str:
    """Of a dialogue's artifact, by the sha256 of the input's bytes."""
    return artifact_key("sound", SOUND_VERSION, dialogue=digest)


def assembled_key(source: str, dialogues: Sequence[str], clips: Sequence[Clip]) -> str:
    """Of the artifact of a dialogue that is assembled, by the sha256 of all inputs' bytes."""
    parts: list[KeyPart] = [
        [str(c.start), str(c.end), c.dialogue, str(c.dialogue_start), str(c.dialogue_end)]
        for c in clips
    ]
    return artifact_key(
        "sound", SOUND_VERSION, source=source, dialogues=list[KeyPart](dialogues), clips=parts
    )


def prepare_source(
    path: Path,
    fps: Fraction,
    seconds: float,
    store: Store,
    advance: Advance,
    *,
    digest: str | None = None,
    info: MediaInfo | None = None,
    check: Callable[[MediaInfo, SourcePlan], object] = lambda info, _: info,
) -> Source:
    """Probe a source, plan its segments and cut it into their objects.

    Args:
        path: a film, a still image or a folder of frames.
        fps: frame rate of pictures.
        seconds: the length of segments that is aimed at.
        store: where artifacts go.
        advance: called with 0 as long as it goes on.
        digest: sha256 of the input's bytes where it is known.
        info: of a film, as probed everywhere, where that was done already.
        check: may refuse the source before it is cut.

    Raises:
        UnreadableMediaError, UnusableMediaError: it cannot be dubbed, and why.
    """
    digest = digest or _digest_source(path, fps)
    key = source_key(digest, fps, seconds)
    if _is_whole(key, store):
        source = Source.load(store.path(key), path)
        check(source.info, source.plan)
        return source
    with store.writing_folder(key) as folder, telling_growth(folder, advance):
        info = info or _read_film(path, fps, folder)
        plan = scan_packets(info.path, info)
        info = replace(on_clock(info, plan.clock), changing=plan.changing)
        check(info, plan)
        segments = plan_segments(plan, seconds)
        objects = cut_segments(info.path, plan, segments, folder)
        is_made = info.path != path
        manifest = Manifest(
            digest=digest,
            info=replace(info, path=_ELSEWHERE),
            is_still=is_made and path.is_file(),
            is_pictures=is_made,
            segments=segments,
            objects=tuple(each.name for each in objects),
            gaps=numbering_gaps(list_pictures(path)) if is_made else (),
        )
        plan.save(folder / PLAN_FILE)
        (folder / MANIFEST_FILE).write_bytes(_MANIFEST.dump_json(manifest))
    return Source.load(store.path(key), path)


def _read_film(path: Path, fps: Fraction, folder: Path) -> MediaInfo:
    """Probe a film; make one of pictures first."""
    if is_pictures(path):
        film = folder / PICTURES_FILE
        carries = images_to_source(path, fps, film)
        info = probe(film)
        return replace(info, video=info.video and replace(info.video, carries=carries))
    info = probe(path, everywhere=True)
    require_source(info)
    return info


def _is_whole(key: str, store: Store) -> bool:
    """Whether every segment's object is here, too; of a fetched artifact some may be missing."""
    if not store.holds(Read(key, SOURCE_FILES)):
        return False
    source = Source.load(store.path(key))
    return all(each.exists() for each in source.objects)


def prepare_dialogue(
    path: Path,
    store: Store,
    advance: Advance,
    *,
    digest: str | None = None,
) -> Dialogue:
    """Probe and hear the dialogue: mel and speech of the whole track.

    Args:
        path: any file with sound.
        store: where artifacts go.
        advance: called with 0 as long as it goes on.
        digest: sha256 of its bytes where it is known.

    Raises:
        UnreadableMediaError, UnusableMediaError: it has no sound, and why.
    """
    require_dialogue(probe(path))
    digest = digest or sha256_of(path)
    key = sound_key(digest)
    if not store.holds(Read(key, SOUND_FILES)):
        with store.writing_folder(key) as folder, telling_growth(folder, advance):
            _hear(path, digest, folder)
    return Dialogue.load(store.path(key))


def prepare_assembled(
    source: Source,
    paths: Sequence[Path],
    clips: Sequence[Clip],
    store: Store,
    advance: Advance,
    *,
    digests: Sequence[str] | None = None,
) -> Dialogue:
    """Put a film's own sound and parts of dialogues together, and hear that.

    Args:
        source: the film; its ``info.path`` is read where it has sound.
        paths: files with sound, by their numbers in ``clips``.
        clips: what of them goes where.
        store: where artifacts go.
        advance: called with 0 as long as it goes on.
        digests: sha256 of each of ``paths`` where they are known.

    Raises:
        UnreadableMediaError, UnusableMediaError: a file has no sound, and why.
        TimelineError: a clip does not fit the film, or names a dialogue that is not there.
    """
    if source.manifest.is_pictures:
        raise TimelineError(
            "a timeline needs a film; pictures have no times of their own", field="timeline"
        )
    check_clips(source.plan, clips, len(paths))
    digests = digests or [sha256_of(path) for path in paths]
    key = assembled_key(source.digest, digests, clips)
    if not store.holds(Read(key, SOUND_FILES)):
        for path in paths:
            require_dialogue(probe(path))
        pieces = lay_out(clips, source.plan.duration, has_sound=source.info.sound is not None)
        files = sound_files(source, paths)
        with store.writing_folder(key) as folder, telling_growth(folder, advance):
            facts = {
                "digest": key,
                "duration": str(source.plan.duration),
                "repaired": 0,
                "pieces": _PIECES.dump_python(pieces, mode="json"),
            }
            (folder / SOUND_FACTS_FILE).write_text(json.dumps(facts))
            write_assembled(pieces, files, folder / WAVEFORM_FILE)
            _listen(folder)
    return Dialogue.load(store.path(key))


def check_clips(plan: SourcePlan, clips: Sequence[Clip], dialogues: int) -> None:
    """Raises TimelineError where a clip does not fit the film or the dialogues."""
    for clip in clips:
        # Times that people copy from a player are rounded; half a frame is none.
        if clip.end > plan.duration + 1 / plan.frame_rate:
            length = float(plan.duration)
            raise TimelineError(
                f"{clip} ends after the film, which lasts {length:.3f} s", field="timeline"
            )
        if clip.dialogue >= dialogues:
            raise TimelineError(f"{clip}: there is no dialogue {clip.dialogue}", field="timeline")


def sound_files(source: Source, paths: Sequence[Path]) -> dict[int, SoundFile]:
    """The sounds of an assembled dialogue, by their numbers in its pieces; the film's as FILM.

    Raises:
        UnreadableMediaError, UnusableMediaError: as :func:`pipeline.sound.decoding.open_sound`.
    """
    files = {number: open_sound(path) for number, path in enumerate(paths)}
    if source.info.sound is not None:
        # The film's own sound is counted from its first frame, as the timeline is.
        files[FILM] = SoundFile(source.info, source.info.sound, source.plan.start)
    return files


def _hear(path: Path, digest: str, folder: Path) -> None:
    decoded = decode_waveform(path, folder / WAVEFORM_FILE)
    facts = {"digest": digest, "duration": str(decoded.duration), "repaired": decoded.repaired}
    (folder / SOUND_FACTS_FILE).write_text(json.dumps(facts))
    _listen(folder)


def _listen(folder: Path) -> None:
    """Mel and speech of the waveform, which goes."""
    waveform = folder / WAVEFORM_FILE
    samples = np.load(waveform, mmap_mode="r")
    write_mel(samples, folder / MEL_FILE)
    blocks = (samples[i : i + _SPEECH_BLOCK] for i in range(0, len(samples), _SPEECH_BLOCK))
    np.save(folder / SPEECH_FILE, detect_speech(blocks))
    # An hour of sound is 230 MB, and nothing reads it again.
    waveform.unlink()


def _digest_source(path: Path, fps: Fraction) -> str:
    """sha256 of a film or a picture; of a folder, over its pictures in order and their rate."""
    if not path.is_dir():
        check_regular_file(path)
        return sha256_of(path)
    digest = hashlib.sha256(str(fps).encode())
    for picture in list_pictures(path):
        digest.update(sha256_of(picture).encode())
    return digest.hexdigest()
