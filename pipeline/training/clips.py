"""One talking clip as training wants it: face crops, their times, and the sound."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pipeline.errors import UnusableMediaError
from pipeline.mel import Mel, MelWindows

CROPS_FILE, TIMES_FILE, MEL_FILE, SPEECH_FILE, FACTS_FILE = (
    "crops.npy",
    "times.npy",
    "mel.npy",
    "speech.npy",
    "facts.json",
)


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What is known of a clip.

    Attributes:
        name: the file's, without its extension.
        digest: sha256 of the file.
        person: who speaks: the clip's folder below the one that was prepared, or the clip itself.
        frames: that show the one face.
        held_out: the network never trains on it.
    """

    name: str
    digest: str
    person: str
    frames: int
    held_out: bool


class Clip:
    """A prepared clip; crops and mel stay on disk until they are read.

    Attributes:
        folder: where it lies.
        facts: see :class:`ClipFacts`.
        crops: ``(n, CROP, CROP, 3)`` uint8 BGR.
        times: ``(n,)`` float64 seconds from the start of the sound.
        windows: the ``(80, 16)`` mel window of each frame.
        mel: ``(80, T)`` float32.
        speech: probability of speech per 512 samples at 16 kHz.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts = read_facts(folder)
        self.crops: npt.NDArray[np.uint8] = np.load(folder / CROPS_FILE, mmap_mode="r")
        self.times: npt.NDArray[np.float64] = np.load(folder / TIMES_FILE)
        self.mel: Mel = np.load(folder / MEL_FILE)
        self.speech: npt.NDArray[np.float32] = np.load(folder / SPEECH_FILE)
        self.windows = MelWindows.at_times(self.mel, self.times)

    def __len__(self) -> int:
        return len(self.times)

    @classmethod
    def all_in(cls, folder: Path) -> list[Self]:
        """Every clip of a prepared folder, by name.

        Raises:
            UnusableMediaError: there is none.
        """
        clips = [cls(path.parent) for path in sorted(folder.glob(f"clips/*/{FACTS_FILE}"))]
        if not clips:
            raise UnusableMediaError(
                f"{folder}: holds no prepared clip; run `lipfarm train prepare CLIPS {folder}`"
            )
        return clips


def write_facts(folder: Path, facts: ClipFacts) -> None:
    """Write what is known of a clip beside its crops."""
    (folder / FACTS_FILE).write_text(json.dumps(asdict(facts), indent=1) + "\n")


def read_facts(folder: Path) -> ClipFacts:
    """What :func:`write_facts` wrote."""
    facts: dict[str, Any] = json.loads((folder / FACTS_FILE).read_text())
    return ClipFacts(**facts)
