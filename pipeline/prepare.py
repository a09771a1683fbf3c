"""Prepare: look at both inputs, plan the segments, cut the source, hear the dialogue.

Everything later stages read of the inputs is made here, as artifacts.
"""

import hashlib
import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from pipeline.artifacts import KeyPart, Store, artifact_key, sha256_of
from pipeline.errors import InternalError
from pipeline.media.cutting import cut_segments
from pipeline.media.info import MediaInfo, VideoInfo
from pipeline.media.packets import SourcePlan, scan_packets
from pipeline.media.pictures import images_to_source, is_pictures, list_pictures
from pipeline.media.probe import probe, require_dialogue, require_source
from pipeline.media.segments import Segment, plan_segments
from pipeline.mel import write_mel
from pipeline.networks import Sound
from pipeline.sound.dialogue import decode_waveform
from pipeline.sound.speech import detect_speech

#: Raised when what the stage writes changes.
CUT_VERSION = 1
SOUND_VERSION = 1
PICTURES_VERSION = 1

#: The file that says which object is which segment's.
_OBJECT_NAMES = "objects.txt"

#: Samples handed to the speech detector at once, about a minute.
_SPEECH_BLOCK = 1 << 20


@dataclass(frozen=True)
class Source:
    """The film, cut: what detect and render read.

    Attributes:
        digest: sha256 of the input's bytes.
        info: as probed.
        plan, segments: its frames and how they are cut, in one numbering.
        objects: the segment object of each segment.
    """

    digest: str
    info: MediaInfo
    plan: SourcePlan
    segments: tuple[Segment, ...]
    objects: tuple[Path, ...]

    @property
    def video(self) -> VideoInfo:
        if self.info.video is None:
            raise InternalError("a source without picture got past its checks")
        return self.info.video


@dataclass(frozen=True)
class Dialogue:
    """The dialogue, heard.

    Attributes:
        path: the input.
        digest: sha256 of its bytes.
        info: as probed.
        duration: seconds, counted in decoded samples.
        repaired: samples that were not numbers and were silenced.
        folder: the artifact that holds mel and speech.
    """

    path: Path
    digest: str
    info: MediaInfo
    duration: Fraction
    repaired: int
    folder: Path

    def sound(self) -> Sound:
        """What networks hear; the mel stays on disk and is read where it is looked at."""
        return Sound(
            mel=np.load(self.folder / "mel.npy", mmap_mode="r"),
            speech=np.load(self.folder / "speech.npy"),
        )


@dataclass(frozen=True, slots=True)
class Film:
    """The input's picture as one video file.

    Attributes:
        path: the input.
        digest: sha256 of the input's bytes; names all that follows from it.
        info: as probed; of the intermediate video where the input is pictures.
        is_still: the input is one picture.
    """

    path: Path
    digest: str
    info: MediaInfo
    is_still: bool


def read_film(path: Path, fps: Fraction, store: Store) -> Film:
    """Probe a film; make one of a still image or a folder of frames first.

    Args:
        path: the input.
        fps: frame rate of pictures.
        store: where artifacts go.

    Raises:
        UnreadableMediaError, UnusableMediaError: it cannot be dubbed, and why.
    """
    if not is_pictures(path):
        info = probe(path)
        require_source(info)
        return Film(path, sha256_of(path), info, is_still=False)
    digest = _digest_of_pictures(path, fps)
    key = artifact_key("pictures", PICTURES_VERSION, source=digest)
    if not store.has(key, ".mkv"):
        with store.writing(key, ".mkv") as temporary:
            images_to_source(path, fps, temporary)
    return Film(path, digest, probe(store.path(key, ".mkv")), is_still=path.is_file())


def cut_film(film: Film, seconds: float, store: Store) -> Source:
    """Plan a film's segments and cut it into their objects.

    Args:
        film: the input.
        seconds: the length of segments that is aimed at.
        store: where artifacts go.
    """
    plan = scan_packets(film.info.path, film.info)
    segments = plan_segments(plan, seconds)
    ranges: list[KeyPart] = [[s.anchor, s.start, s.end] for s in segments]
    key = artifact_key("cut", CUT_VERSION, source=film.digest, ranges=ranges)
    if not store.has(key):
        with store.writing_folder(key) as folder:
            names = [p.name for p in cut_segments(film.info.path, plan, segments, folder)]
            (folder / _OBJECT_NAMES).write_text("\n".join(names))
    names = (store.path(key) / _OBJECT_NAMES).read_text().split("\n")
    objects = tuple(store.path(key) / name for name in names)
    return Source(film.digest, film.info, plan, segments, objects)


def prepare_dialogue(path: Path, store: Store) -> Dialogue:
    """Probe and hear the dialogue: mel and speech of the whole track.

    Raises:
        UnreadableMediaError, UnusableMediaError: it has no sound, and why.
    """
    info = probe(path)
    require_dialogue(info)
    digest = sha256_of(path)
    key = artifact_key("sound", SOUND_VERSION, dialogue=digest)
    if not store.has(key):
        with store.writing_folder(key) as folder:
            _hear(path, folder)
    facts = json.loads((store.path(key) / "facts.json").read_text())
    return Dialogue(
        path, digest, info, Fraction(facts["duration"]), facts["repaired"], store.path(key)
    )


def _hear(path: Path, folder: Path) -> None:
    waveform = folder / "waveform.npy"
    decoded = decode_waveform(path, waveform)
    facts = {"duration": str(decoded.duration), "repaired": decoded.repaired}
    (folder / "facts.json").write_text(json.dumps(facts))
    samples = np.load(waveform, mmap_mode="r")
    write_mel(samples, folder / "mel.npy")
    blocks = (samples[i : i + _SPEECH_BLOCK] for i in range(0, len(samples), _SPEECH_BLOCK))
    np.save(folder / "speech.npy", detect_speech(blocks))
    # An hour of sound is 230 MB, and nothing reads it again.
    waveform.unlink()


def _digest_of_pictures(path: Path, fps: Fraction) -> str:
    """sha256 of a picture; of a folder, over its pictures in order and their rate."""
    if path.is_file():
        return sha256_of(path)
    digest = hashlib.sha256(str(fps).encode())
    for picture in list_pictures(path):
        digest.update(sha256_of(picture).encode())
    return digest.hexdigest()
