"""A folder of talking clips, made ready for training; what does not fit is left out, with a reason.

Faces are found, followed and boxed by the same code that dubs, so a network trains on the crops it
will be shown. Each clip is kept under its file's digest: a second run makes only what is missing.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.artifacts import Store, sha256_of
from pipeline.color import read_crop
from pipeline.detect import detect_source
from pipeline.errors import InputError, UnusableMediaError
from pipeline.faces.tracks import Tracks, track_faces
from pipeline.geometry import Box
from pipeline.media.frames import read_frames
from pipeline.mel import mel_spectrogram
from pipeline.options import DEFAULT_FPS, DetectorChoice
from pipeline.output.publish import check_output, writing_errors
from pipeline.prepare import Source, prepare_source
from pipeline.running.progress import Progress
from pipeline.sound.dialogue import decode_waveform
from pipeline.sound.speech import detect_speech
from pipeline.training import CROP, MARGIN
from pipeline.training.clips import (
    CROPS_FILE,
    MEL_FILE,
    SPEECH_FILE,
    TIMES_FILE,
    Clip,
    ClipFacts,
    write_facts,
)
from pipeline.training.in_step import agreement_of

#: Raised when what is written of a clip changes.
VERSION: Final = 2

REPORT_FILE: Final = "prepared.json"

#: Of these endings, whatever else lies in the folder.
ENDINGS: Final = frozenset({".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v"})

#: Frames with the one face that a clip must have: two seconds.
FEWEST_FRAMES: Final = 50

#: Part of the sound that must be speech.
LEAST_SPEECH: Final = 0.2

#: Frames the mouth may seem to be off before sound and picture count as strangers.
LARGEST_LAG: Final = 4

#: One person in so many is held out, at least two where there are six.
HOLD_OUT_EVERY: Final = 8

_SEGMENT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one clip; ``reason`` says why it was left out, and is empty otherwise."""

    name: str
    frames: int
    held_out: bool
    reason: str


def prepare_clips(
    folder: Path, out: Path, detector: DetectorChoice, progress: Progress
) -> list[Verdict]:
    """Make every clip below a folder ready.

    Args:
        folder: of clips with sound, at any depth. Clips in one subfolder show one person; a clip
            right in the folder is a person of its own.
        out: gets ``clips/NAME-DIGEST/`` for each, and a report, ``prepared.json``.
        detector: what finds faces.
        progress: is told of clips as if they were frames, and why some are left out.

    Returns:
        A verdict for each file, by name.

    Raises:
        UnusableMediaError: there is no clip, or none that can be used.
        OutputError: the folder cannot be written.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    if not files:
        raise UnusableMediaError(f"{folder}: holds no clip ({', '.join(sorted(ENDINGS))})")
    with writing_errors(out):
        (out / "clips").mkdir(parents=True, exist_ok=True)
    check_output(out / REPORT_FILE, what="report")
    outcomes: dict[Path, Clip | str] = {}  # a clip, or why it is left out
    progress.start_stage("prepare", len(files))
    for path in files:
        try:
            outcomes[path] = _prepare(path, _person(folder, path), out, detector)
        except InputError as error:
            outcomes[path] = str(error).removeprefix(f"{path}: ")
            progress.note(f"{path.name} is left out: {outcomes[path]}")
        progress.advance(1)
    progress.finish_stage()
    _hold_out([outcome for outcome in outcomes.values() if isinstance(outcome, Clip)])
    verdicts = [_verdict(path, outcome) for path, outcome in outcomes.items()]
    _write_report(out, verdicts)
    if all(verdict.reason for verdict in verdicts):
        raise UnusableMediaError(f"{folder}: no clip of {len(files)} can be used; see {out}")
    return verdicts


def _person(folder: Path, path: Path) -> str:
    inside = path.relative_to(folder)
    return inside.parts[0] if len(inside.parts) > 1 else path.stem


def _verdict(path: Path, outcome: Clip | str) -> Verdict:
    if isinstance(outcome, str):
        return Verdict(path.name, 0, held_out=False, reason=outcome)
    return Verdict(path.name, outcome.facts.frames, outcome.facts.held_out, reason="")


def _hold_out(clips: list[Clip]) -> None:
    """Choose who is never trained on, and write it down.

    By the least digest of their clips, so that they are the same wherever the files lie.
    """
    of_person: dict[str, str] = {}
    for clip in clips:
        person, digest = clip.facts.person, clip.facts.digest
        of_person[person] = min(of_person.get(person, digest), digest)
    count = max(len(of_person) // HOLD_OUT_EVERY, 2 if len(of_person) >= 6 else 1)
    held_out = set(sorted(of_person, key=of_person.__getitem__)[:count])
    for clip in clips:
        clip.facts = replace(clip.facts, held_out=clip.facts.person in held_out)
        write_facts(clip.folder, clip.facts)


def _prepare(path: Path, person: str, out: Path, detector: DetectorChoice) -> Clip:
    digest = sha256_of(path)
    kept = out / "clips" / f"{path.stem}-{digest[:12]}-{VERSION}"
    if not kept.is_dir():
        _make(path, digest, person, kept, detector)
    clip = Clip(kept)
    clip.facts = replace(clip.facts, person=person)
    return clip


def _make(path: Path, digest: str, person: str, kept: Path, detector: DetectorChoice) -> None:
    """Write a clip's folder whole, or not at all."""
    with tempfile.TemporaryDirectory(prefix=".making-", dir=kept.parent) as made:
        folder = Path(made) / "clip"
        folder.mkdir()
        frames = _write_faces(path, folder, detector)
        _write_sound(path, folder)
        write_facts(folder, ClipFacts(path.stem, digest, person, frames, held_out=False))
        _require_together(Clip(folder))
        shutil.rmtree(kept, ignore_errors=True)
        os.replace(folder, kept)  # noqa: PTH105 -- one rename, or none


def _require_together(clip: Clip) -> None:
    """Sound and mouth belong together, as far as one can tell."""
    agreement = agreement_of(clip)
    if abs(agreement.lag) > LARGEST_LAG:
        raise UnusableMediaError(f"the mouth is {agreement.lag} frames behind the sound")
    # Who sings or makes faces may keep time with the sound, but nothing is learned of speech there.
    if float((clip.speech > 0.5).mean()) < LEAST_SPEECH:
        raise UnusableMediaError("nobody speaks in it")


def _write_faces(path: Path, folder: Path, detector: DetectorChoice) -> int:
    with Store(folder.parent / "work") as store:
        source = prepare_source(path, DEFAULT_FPS, _SEGMENT_SECONDS, store, lambda _: None)
        source, found = detect_source(source, detector, store, 1, lambda _: None)
        tracks = track_faces(found, frame_rate=source.plan.frame_rate)
        frames = _frames_with_a_face(tracks)
        if len(frames) < FEWEST_FRAMES:
            raise UnusableMediaError(f"only {len(frames)} frames show one face well")
        crops = np.lib.format.open_memmap(
            folder / CROPS_FILE, mode="w+", dtype=np.uint8, shape=(len(frames), CROP, CROP, 3)
        )
        for row, crop in enumerate(_crops(source, tracks, frames)):
            crops[row] = crop
        crops.flush()
        start = source.plan.pts[0]
        seconds = (source.plan.pts[frames] - start) * float(source.plan.time_base)
        np.save(folder / TIMES_FILE, seconds.astype(np.float64))
        return len(frames)


def _frames_with_a_face(tracks: Tracks) -> list[int]:
    one = [n for n in range(tracks.frame_count) if len(tracks.faces_at(n)) == 1]
    return [n for n in one if not tracks.faces_at(n)[0].doubtful]


def _crops(source: Source, tracks: Tracks, frames: list[int]) -> Iterator[npt.NDArray[np.uint8]]:
    video = source.video
    pictures = read_frames(source.objects, source.plan, source.segments, frames)
    for number, frame in zip(frames, pictures, strict=True):
        box = tracks.faces_at(number)[0].box
        width, height = round(MARGIN * box.width), round(MARGIN * box.height)
        wide = Box(box.x1 - width, box.y1 - height, box.x2 + width, box.y2 + height)
        seen = wide.clip(*_upright_size(frame.width, frame.height, video.rotation))
        crop = read_crop(frame, seen, video.color, video.rotation)
        # What lies over the picture's edge repeats its last row or column.
        edges = (seen.y1 - wide.y1, wide.y2 - seen.y2, seen.x1 - wide.x1, wide.x2 - seen.x2)
        crop = cv2.copyMakeBorder(crop, *edges, cv2.BORDER_REPLICATE).astype(np.uint8)
        how = cv2.INTER_AREA if crop.shape[0] > CROP else cv2.INTER_CUBIC
        yield cv2.resize(crop, (CROP, CROP), interpolation=how).astype(np.uint8)


def _upright_size(width: int, height: int, rotation: int) -> tuple[int, int]:
    return (height, width) if rotation % 180 else (width, height)


def _write_sound(path: Path, folder: Path) -> None:
    waveform = folder.parent / "waveform.npy"
    decode_waveform(path, waveform)
    samples: npt.NDArray[np.float32] = np.load(waveform)
    np.save(folder / SPEECH_FILE, detect_speech([samples]))
    np.save(folder / MEL_FILE, mel_spectrogram(samples))


def _write_report(out: Path, verdicts: list[Verdict]) -> None:
    rows = [
        {"name": v.name, "frames": v.frames, "held_out": v.held_out, "left_out": v.reason or None}
        for v in verdicts
    ]
    (out / REPORT_FILE).write_text(json.dumps(rows, indent=1) + "\n")
