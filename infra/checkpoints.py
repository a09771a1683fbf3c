"""The weights lipfarm knows: what they are, where they are kept, whether they are sound.

Weights that come with lipfarm itself lie in ``infra/weights``; the others are fetched. Nobody
publishes digests for the Wav2Lip weights, and links to them die often. So each file is pinned here
by size and sha256, which several public copies agree on; any mirror or a file the user already has
will do, as long as the bytes are these.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType

import platformdirs

from infra.downloads import (
    DEFAULT_LIMITS,
    Limits,
    Progress,
    adopt,
    fetch,
    file_digest,
    store_errors,
)
from infra.errors import (
    CheckpointMismatchError,
    CheckpointUnavailableError,
    StoreUnwritableError,
    UnknownCheckpointError,
)

#: Set this to keep checkpoints elsewhere than in the user's data folder.
DIRECTORY_VARIABLE = "LIPFARM_CHECKPOINTS_DIR"

#: Set this to anything where lipfarm works commercially: weights that forbid it are then refused.
COMMERCIAL_VARIABLE = "LIPFARM_COMMERCIAL_USE"


@dataclass(frozen=True, slots=True)
class Licence:
    """What the makers of the weights allow."""

    name: str
    commercial_use: bool


#: The code is open, the weights are not: LRS2, which they were trained on, allows research only.
RESEARCH_ONLY = Licence("research, non-commercial (trained on LRS2)", commercial_use=False)
#: Whoever filmed the clips published them for research.
RESEARCH_CLIPS = Licence(
    "evaluation and research (trained on public research clips)", commercial_use=False
)
MIT = Licence("MIT", commercial_use=True)

#: Where weights lie that come with lipfarm.
SHIPPED_DIRECTORY = Path(__file__).with_name("weights")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One file of weights. ``size`` in bytes, ``sha256`` in lowercase hex, mirrors in order.

    ``shipped`` ones come with lipfarm and have no mirrors.
    """

    name: str
    file_name: str
    purpose: str
    size: int
    sha256: str
    licence: Licence
    mirrors: tuple[str, ...]
    shipped: bool = False

    @property
    def path(self) -> Path:
        """Where it is when it is installed."""
        return (SHIPPED_DIRECTORY if self.shipped else directory()) / self.file_name


_HUGGING_FACE = "https://huggingface.co"
_EASY_WAV2LIP = "https://github.com/anothermartz/Easy-Wav2Lip/releases/download/Prerequesits"
_OPENCV_ZOO = "opencv/opencv_zoo"

REGISTRY: Mapping[str, Checkpoint] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Checkpoint(
                name="wav2lip",
                file_name="wav2lip.pth",
                purpose="lip sync, most accurate",
                size=435_807_851,
                sha256="b78b681b68ad9fe6c6fb1debc6ff43ad05834a8af8a62ffc4167b7b34ef63c37",
                licence=RESEARCH_ONLY,
                mirrors=(
                    f"{_HUGGING_FACE}/camenduru/Wav2Lip/resolve/main/checkpoints/wav2lip.pth",
                    f"{_HUGGING_FACE}/numz/wav2lip_studio/resolve/main/Wav2lip/wav2lip.pth",
                    f"{_HUGGING_FACE}/rippertnt/wav2lip/resolve/main/checkpoints/wav2lip.pth",
                    f"{_HUGGING_FACE}/Nekochu/Wav2Lip/resolve/main/wav2lip.pth",
                    f"{_EASY_WAV2LIP}/Wav2Lip.pth",
                ),
            ),
            Checkpoint(
                name="wav2lip_gan",
                file_name="wav2lip_gan.pth",
                purpose="lip sync, sharper mouths",
                size=435_801_865,
                sha256="ca9ab7b7b812c0e80a6e70a5977c545a1e8a365a6c49d5e533023c034d7ac3d8",
                licence=RESEARCH_ONLY,
                mirrors=(
                    f"{_HUGGING_FACE}/camenduru/Wav2Lip/resolve/main/checkpoints/wav2lip_gan.pth",
                    f"{_HUGGING_FACE}/numz/wav2lip_studio/resolve/main/Wav2lip/wav2lip_gan.pth",
                    f"{_HUGGING_FACE}/Nekochu/Wav2Lip/resolve/main/wav2lip_gan.pth",
                    f"{_HUGGING_FACE}/rippertnt/wav2lip/resolve/main/checkpoints/wav2lip_gan.pth",
                    f"{_EASY_WAV2LIP}/Wav2Lip_GAN.pth",
                ),
            ),
            Checkpoint(
                name="lipfarm-small",
                file_name="lipfarm-small.safetensors",
                purpose="lip sync, comes with lipfarm, fast on a CPU",
                size=4_601_542,
                sha256="bee4c6e72ae4cffe888a9c1b5256694392a51bc4091dea579e745763c0c3f90d",
                licence=RESEARCH_CLIPS,
                mirrors=(),
                shipped=True,
            ),
            Checkpoint(
                name="yunet",
                file_name="face_detection_yunet_2023mar.onnx",
                purpose="faces, faster than the built-in detector",
                size=232_589,
                sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
                licence=MIT,
                mirrors=(
                    # The zoo keeps its files in Git LFS; only the first host and `raw` follow that.
                    f"https://media.githubusercontent.com/media/{_OPENCV_ZOO}/main/models/"
                    "face_detection_yunet/face_detection_yunet_2023mar.onnx",
                    f"{_HUGGING_FACE}/opencv/face_detection_yunet/resolve/main/"
                    "face_detection_yunet_2023mar.onnx",
                    f"https://github.com/{_OPENCV_ZOO}/raw/main/models/"
                    "face_detection_yunet/face_detection_yunet_2023mar.onnx",
                ),
            ),
        )
    }
)


class State(Enum):
    """What stands at a checkpoint's path."""

    MISSING = "missing"
    SOUND = "sound"
    DAMAGED = "damaged"


def checkpoint(name: str) -> Checkpoint:
    """The entry of that name.

    Raises:
        UnknownCheckpointError: there is none; the message lists those there are.
    """
    try:
        return REGISTRY[name]
    except KeyError:
        raise UnknownCheckpointError(
            f"no checkpoint is called {name!r}; there are {', '.join(REGISTRY)}"
        ) from None


def directory() -> Path:
    """The folder checkpoints are kept in; it need not exist yet."""
    chosen = os.environ.get(DIRECTORY_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(platformdirs.user_data_dir("lipfarm", appauthor=False)) / "checkpoints"


def installed(name: str) -> Path | None:
    """The file's path if it is there with the registered bytes, else None.

    Cheap after the first time: the digest is computed once for a given size and modification time
    and remembered beside the file.
    """
    entry = checkpoint(name)
    return entry.path if state(entry) is State.SOUND else None


def state(entry: Checkpoint, *, recompute: bool = False) -> State:
    """What stands at the checkpoint's path; ``recompute`` reads the file in any case."""
    with store_errors(entry.path.parent):
        if not entry.path.is_file():
            return State.MISSING
        if entry.path.stat().st_size != entry.size:
            return State.DAMAGED
        digest = None if recompute else _remembered_digest(entry.path)
        if digest is None:
            digest = file_digest(entry.path)
            if not entry.shipped:  # small, and nothing is to be written among the program's files
                _remember_digest(entry.path, digest)
    return State.SOUND if digest == entry.sha256 else State.DAMAGED


def usable(name: str) -> Path | None:
    """As :func:`installed`, but None too where its licence forbids what lipfarm is used for."""
    return installed(name) if is_permitted(checkpoint(name)) else None


def preferred() -> tuple[str, ...]:
    """Lip-sync checkpoints, the one to take first first: published ones, then what is shipped.

    Of the published ones the GAN's is sharper.
    """
    shipped = (entry.name for entry in REGISTRY.values() if entry.shipped)
    return ("wav2lip_gan", "wav2lip", *shipped)


def is_permitted(entry: Checkpoint) -> bool:
    """Whether the licence allows what :data:`COMMERCIAL_VARIABLE` says lipfarm is used for."""
    return entry.licence.commercial_use or not os.environ.get(COMMERCIAL_VARIABLE)


def recognise(path: Path) -> Checkpoint | None:
    """The registered checkpoint a file is, by its bytes, wherever it lies; None for any other."""
    with store_errors(path.parent):
        if not path.is_file():
            return None
        size = path.stat().st_size
        alike = [entry for entry in REGISTRY.values() if entry.size == size]
        digest = file_digest(path) if alike else None
    return next((entry for entry in alike if entry.sha256 == digest), None)


def name_of_weights(sha256: str | None) -> str | None:
    """What the weights with this digest are registered as; None for any other."""
    names = (entry.name for entry in REGISTRY.values() if entry.sha256 == sha256)
    return next(names, None)


def verify(name: str) -> State:
    """Read the whole file again and compare its digest with the registered one."""
    return state(checkpoint(name), recompute=True)


def pull(name: str, *, progress: Progress | None = None, limits: Limits = DEFAULT_LIMITS) -> Path:
    """Have the checkpoint installed, downloading what is missing.

    Raises:
        CheckpointUnavailableError: no mirror gave it; names what was tried and the way around.
        UnknownCheckpointError, CheckpointBusyError, StoreFullError, StoreUnwritableError.
    """
    entry = checkpoint(name)
    if state(entry) is State.SOUND:
        return entry.path
    if entry.shipped:
        raise CheckpointUnavailableError(
            f"{entry.file_name} comes with lipfarm and is missing or damaged: install lipfarm again"
        )
    try:
        fetch(
            entry.mirrors,
            entry.path,
            size=entry.size,
            sha256=entry.sha256,
            progress=progress,
            limits=limits,
        )
    except CheckpointUnavailableError as error:
        raise CheckpointUnavailableError(
            f"{error}; if you have {entry.file_name}, `lipfarm models pull {name}` takes the file",
            field="source",
        ) from None
    _remember_digest(entry.path, entry.sha256)
    return entry.path


def import_file(name: str, source: Path) -> Path:
    """Install the checkpoint from a file the user already has.

    Raises:
        CheckpointMismatchError: the file is not the registered one; says what was expected.
        StoreUnwritableError: the source cannot be read, or the folder not written.
        UnknownCheckpointError, CheckpointBusyError, StoreFullError.
    """
    entry = checkpoint(name)
    if entry.shipped:
        raise CheckpointMismatchError(f"{name} comes with lipfarm; no file takes its place")
    _require_size(entry, source)
    adopt(source, entry.path, sha256=entry.sha256)
    _remember_digest(entry.path, entry.sha256)
    return entry.path


def _require_size(entry: Checkpoint, source: Path) -> None:
    if not source.is_file():
        raise StoreUnwritableError(f"{source} is not a file that can be read")
    size = source.stat().st_size
    if size != entry.size:
        raise CheckpointMismatchError(
            f"{source} is not {entry.file_name}: it has {size:,} bytes, expected {entry.size:,}"
        )


def _stamp_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256.json")


def _identity(path: Path) -> dict[str, int]:
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _remembered_digest(path: Path) -> str | None:
    try:
        stamp = json.loads(_stamp_path(path).read_text())
        digest = stamp.pop("sha256")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return str(digest) if stamp == _identity(path) else None


def _remember_digest(path: Path, digest: str) -> None:
    # A shared, read-only folder of checkpoints is fine: it only costs a digest each time.
    with contextlib.suppress(OSError):
        _stamp_path(path).write_text(json.dumps(_identity(path) | {"sha256": digest}))
