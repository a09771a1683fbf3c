"""Wav2Lip as a :class:`~pipeline.networks.Network`: frames and sound to tensors, and back.

The arithmetic around the network is the published script's, step for step: bilinear resize to
96×96 without regard to proportions, lower half blanked, blanked face first and reference second,
divided by 255, and out again by multiplying with 255 and cutting off the fraction.
"""

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from pipeline.errors import CheckpointError, MemoryExhaustedError, ParameterError
from pipeline.mel import HOP_LENGTH, SILENCE, WINDOW_STEPS, Mel, MelWindows
from pipeline.networks import Sound
from pipeline.networks.precision import ARITHMETIC, prepare
from pipeline.networks.wav2lip import FACE_SIZE, load_checkpoint
from pipeline.sound.speech import speaking_gain

#: Frames a call of the network on a CPU: its widest layers just stay in the last-level cache.
CPU_BATCH = 16

CUDA_BATCH = 64

#: While one batch is on the device, the next is cut out and the last composited.
CUDA_LANES = 2

#: How allocators say so in a plain RuntimeError: torch's for the CPU, and cuDNN's and cuBLAS's.
_OUT_OF_MEMORY = ("can't allocate memory", "ALLOC_FAILED")

Image = npt.NDArray[np.uint8]


class Wav2LipNetwork:
    """The published network, or a narrower one of its shape.

    Args:
        checkpoint: the weights' file.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        precision: ``auto`` or a value of :class:`~pipeline.networks.precision.Precision`.
        rest: close mouths where nobody speaks; without it the network hears the sound as it is.

    Raises:
        CheckpointError: the weights cannot be used.
        ParameterError: there is no such device or precision here.
    """

    name = "wav2lip"
    returns_native = False

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        rest: bool = True,
    ) -> None:
        self.device = choose_device(device)
        self.batch_size = CPU_BATCH if self.device.type == "cpu" else CUDA_BATCH
        with _memory_errors():
            network = load_checkpoint(checkpoint, self.device)
            prepared = prepare(network, self.device, precision)
        self.precision_note = prepared.note
        self.digest = _digest(Path(checkpoint), prepared.precision, rest)
        self._forward = prepared.forward
        self._fitting = self.batch_size  # crops at once, lowered when memory runs out
        self._lock = threading.Lock()
        self._rest = rest
        self.lanes = _count_cores() if self.device.type == "cpu" else CUDA_LANES

    def hear(
        self,
        sound: Sound,
        times: npt.NDArray[np.float64],
        frame_rate: float | None = None,
    ) -> Sequence[Mel]:
        """The ``(80, 16)`` mel window of each frame, faded to silence where nobody speaks."""
        if frame_rate is None:
            windows = MelWindows.at_times(sound.mel, times)
        else:
            windows = MelWindows.at_rate(sound.mel, frame_rate, len(times))
        if not self._rest:
            return windows
        ended = np.asarray(times) * 80 >= sound.mel.shape[1]
        return RestingWindows(windows, sound.speech, ended)

    def speak(
        self,
        crops: Sequence[Image],
        landmarks: Sequence[npt.NDArray[np.float32]],  # noqa: ARG002 -- Wav2Lip needs none
        features: Sequence[Mel],
    ) -> list[Image]:
        """One ``(96, 96, 3)`` mouth per crop; see :meth:`pipeline.networks.Network.speak`."""
        if len(crops) != len(features):
            raise ParameterError(f"{len(crops)} crops need as many features, not {len(features)}")
        mouths: list[Image] = []
        while len(mouths) < len(crops):
            size = self._fitting
            part = slice(len(mouths), len(mouths) + size)
            try:
                mouths.extend(self._speak_batch(crops[part], features[part], size))
            except MemoryExhaustedError:
                if size == 1:
                    raise  # not even one frame fits
                self._shrink(size)
        return mouths

    def _speak_batch(
        self, crops: Sequence[Image], features: Sequence[Mel], size: int
    ) -> list[Image]:
        with _memory_errors(), _one_core_each(), torch.inference_mode():
            # Always a full batch: kernels are chosen by shape, and round differently.
            faces = np.zeros((size, FACE_SIZE, FACE_SIZE, 6), np.uint8)
            mel = np.full((size, 80, WINDOW_STEPS, 1), SILENCE)
            for i, (crop, feature) in enumerate(zip(crops, features, strict=True)):
                faces[i] = _network_input(crop)
                mel[i, ..., 0] = feature
            # Channels last, as numpy and torch had it there; another layout would round otherwise.
            drawn = self._forward(_nchw(mel).to(self.device), _nchw(faces).to(self.device))
            levels = (drawn[: len(crops)].cpu() * 255.0).to(torch.uint8)  # cut off, not rounded
        return list(np.ascontiguousarray(levels.permute(0, 2, 3, 1).numpy()))

    def _shrink(self, size: int) -> None:
        """After a batch of that size did not fit, go on with half of it for good.

        Another lane may have done so in the meantime.
        """
        with self._lock:
            self._fitting = min(self._fitting, size // 2)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def _nchw(batch: npt.NDArray[np.float32 | np.uint8]) -> torch.Tensor:
    """``(B, H, W, C)`` seen as ``(B, C, H, W)``, without moving a value."""
    return torch.from_numpy(batch).permute(0, 3, 1, 2)


@contextmanager
def _one_core_each() -> Iterator[None]:
    """Off the main thread, compute on this thread alone.

    The cores are shared out by lanes. Threads inside an operator as well would wait for each other
    at every layer, and longest when decoder or encoder hold a core: measured at a third of the
    speed on two cores.
    """
    if threading.current_thread() is not threading.main_thread() and torch.get_num_threads() > 1:
        torch.set_num_threads(1)
    yield


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _network_input(crop: Image) -> Image:
    """``(96, 96, 6)``: the crop with its lower half blank, then the crop."""
    face = cv2.resize(crop, (FACE_SIZE, FACE_SIZE))
    masked = face.copy()
    masked[FACE_SIZE // 2 :] = 0
    return np.asarray(np.concatenate([masked, face], axis=2), np.uint8)


class RestingWindows(Sequence[Mel]):
    """Mel windows that fade to silence where nobody speaks; computed as they are asked for."""

    def __init__(
        self,
        windows: MelWindows,
        speech: npt.NDArray[np.float32],
        ended: npt.NDArray[np.bool_],
    ) -> None:
        self._windows = windows
        self._ended = ended
        centres = np.arange(windows.mel.shape[1], dtype=np.int64) * HOP_LENGTH
        self._gain = speaking_gain(speech, centres)  # (T,)

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if self._ended[index]:
            return np.full((80, WINDOW_STEPS), SILENCE)
        steps = int(self._windows.starts[index]) + np.arange(WINDOW_STEPS)
        inside = np.clip(steps, 0, len(self._gain) - 1)
        return SILENCE + (self._windows[index] - SILENCE) * self._gain[inside]


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` takes the first GPU where there is one.

    Raises:
        ParameterError: there is none.
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise _unknown_device(name) from None
    if device.type not in {"cpu", "cuda"}:
        raise _unknown_device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ParameterError(
            f"no such device: {name}; torch sees {torch.cuda.device_count()} GPUs", field="device"
        )
    return device


def _unknown_device(name: str) -> ParameterError:
    return ParameterError(
        f"unknown device {name!r}; there are auto, cpu and cuda:N", field="device"
    )


def _digest(checkpoint: Path, precision: str, rest: bool) -> str:
    try:
        with checkpoint.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{checkpoint} cannot be read: {error.strerror}") from error
    settings = f"wav2lip {content} {precision} {ARITHMETIC} {rest}"
    return hashlib.sha256(settings.encode()).hexdigest()


@contextmanager
def _memory_errors() -> Iterator[None]:
    """torch's and Python's out-of-memory errors as ours, which a scheduler understands."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise MemoryExhaustedError("memory ran out in the network; use a smaller batch") from error
    except RuntimeError as error:
        if not any(words in str(error) for words in _OUT_OF_MEMORY):
            raise
        raise MemoryExhaustedError("memory ran out in the network; use a smaller batch") from error
