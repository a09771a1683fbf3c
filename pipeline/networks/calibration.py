"""The fixed pictures and sounds by which the integer network is scaled, and judged.

One public-domain face (NASA's portrait of Eileen Collins, from scikit-image's data), shifted,
mirrored, brightened and darkened, and sound made up of vowels, hiss and silence. Nothing here is
drawn at random or read from outside the package, so every worker quantizes a checkpoint alike.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipeline.mel import SAMPLE_RATE, WINDOW_STEPS, mel_spectrogram
from pipeline.networks.wav2lip import FACE_SIZE

_PICTURE = Path(__file__).with_name("calibration.png")

Faces = npt.NDArray[np.uint8]


def calibration_batches(
    batches: int, batch_size: int, first: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Mel ``(B, 1, 80, 16)`` and faces ``(B, 6, 96, 96)`` in uint8 levels, to try a network with.

    Args:
        batches: how many.
        batch_size: B.
        first: number of the first variant; other numbers give held-out ones.
    """
    picture = cv2.imread(str(_PICTURE))
    assert picture is not None  # noqa: S101 -- for the type checker; it is part of the package
    mel = mel_spectrogram(_sound())
    for batch in range(batches):
        numbers = range(first + batch * batch_size, first + (batch + 1) * batch_size)
        faces = np.stack([_faces(np.asarray(picture, np.uint8), number) for number in numbers])
        starts = [(number * 37) % (mel.shape[1] - WINDOW_STEPS) for number in numbers]
        windows = np.stack([mel[None, :, start : start + WINDOW_STEPS] for start in starts])
        yield torch.from_numpy(windows), torch.from_numpy(faces)


def _faces(picture: Faces, number: int) -> Faces:
    """``(6, 96, 96)``: variant ``number`` with its lower half blank, and a neighbour of it."""
    frame, reference = _variant(picture, number), _variant(picture, number + 1)
    masked = frame.copy()
    masked[FACE_SIZE // 2 :] = 0
    return np.ascontiguousarray(np.concatenate([masked, reference], axis=2).transpose(2, 0, 1))


#: Exposure and contrast of the variants in turn, from a night scene to an overlit one.
_GAINS = (1.0, 0.6, 1.3, 0.3, 0.8, 1.0, 1.6, 0.45)
_OFFSETS = (0, 10, -20, 0, 40, -10, 0, 5)


def _variant(picture: Faces, number: int) -> Faces:
    """``(96, 96, 3)``: the face cut out a little differently each time, in another light."""
    height, width = picture.shape[:2]
    margin_x, margin_y = number * 5 % 14, number * 7 % 20
    cut = picture[margin_y : height - (number * 3 % 16), margin_x : width - (number * 11 % 14)]
    face = np.asarray(cv2.resize(cut, (FACE_SIZE, FACE_SIZE)), np.float64)
    if number % 2:
        face = face[:, ::-1]
    tint = 1 + 0.15 * np.sin(number + np.arange(3))  # the light's colour
    face = face * _GAINS[number // 2 % 8] * tint + _OFFSETS[number // 3 % 8]
    return np.clip(np.round(face), 0, 255).astype(np.uint8)


#: First three formants of a, e, i, o, u, in hertz.
_VOWELS = (
    (730, 1090, 2440),
    (530, 1840, 2480),
    (270, 2290, 3010),
    (570, 840, 2410),
    (300, 870, 2240),
)


@cache
def _sound(seconds: int = 12) -> npt.NDArray[np.float32]:
    """``(n,)``: syllables four a second at three loudnesses, with hiss and pauses between."""
    time = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    pitch = 140 + 40 * np.sin(2 * np.pi * 0.4 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    syllable = (time * 4).astype(int)
    formants = np.array(_VOWELS, np.float64)[syllable % len(_VOWELS)]  # (n, 3)
    voice = np.zeros_like(time)
    for harmonic in range(1, 30):
        distance = (harmonic * pitch)[:, None] - formants
        voice += (
            np.exp(-((distance / 120) ** 2)).sum(axis=1) / harmonic**0.5 * np.sin(harmonic * phase)
        )
    hiss = np.sin(1e4 * np.sin(np.arange(len(time)) * 12.9898))  # noise without a generator
    envelope = (
        np.sin(np.pi * (time * 4 % 1)) ** 2 * np.array([1.0, 0.3, 0.05, 0.0])[syllable // 3 % 4]
    )
    loud = np.where(syllable % 7 == 3, hiss * 0.3, voice)
    return np.asarray(0.2 * loud * envelope, np.float32)
