"""Where somebody speaks: silero-vad over a whole track, and the gain that lets mouths rest."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pipeline.sound.features import SPEECH_WINDOW

Samples = npt.NDArray[np.float32]

#: silero-vad has one network for this rate and one for half of it.
_SAMPLE_RATE = 16_000


@cache
def _detector() -> Any:
    """silero-vad's network, from the weights inside its wheel. Call it in :func:`_one_thread`."""
    with warnings.catch_warnings():
        # The wheel's weights are TorchScript, which torch deprecates; it is theirs to change.
        warnings.simplefilter("ignore")
        # Importing it sets the whole process to one thread, for the reason below.
        from silero_vad import load_silero_vad  # noqa: PLC0415

        return load_silero_vad()


@contextmanager
def _one_thread() -> Iterator[None]:
    """The network is so small that threads, on a busy machine, wait a hundred times its work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def detect_speech(blocks: Iterable[Samples]) -> npt.NDArray[np.float32]:
    """The probability of speech over a whole track, read as a stream.

    Args:
        blocks: successive ``(k,)`` float32 pieces of 16 kHz mono sound, of any lengths. Samples
            that are not finite count as zero.

    Returns:
        ``(ceil(n / 512),)`` float32: one value per 512 samples, the last window padded with zeros.
    """
    with _one_thread(), torch.inference_mode():
        detector = _detector()
        detector.reset_states()
        found = [
            detector(torch.from_numpy(window), _SAMPLE_RATE).item() for window in _windows(blocks)
        ]
    return np.array(found, np.float32)


def _windows(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """The same sound in windows of :data:`SPEECH_WINDOW`, the last one padded with zeros."""
    rest = np.zeros(0, np.float32)
    for block in blocks:
        finite = np.where(np.isfinite(block), block, np.float32(0)).astype(np.float32)
        sound = np.concatenate([rest, finite])
        whole = len(sound) // SPEECH_WINDOW * SPEECH_WINDOW
        yield from sound[:whole].reshape(-1, SPEECH_WINDOW)
        rest = sound[whole:]
    if len(rest):
        yield np.pad(rest, (0, SPEECH_WINDOW - len(rest)))


#: Speech begins above the first probability and lasts until it falls below the second.
SPEECH_BEGINS, SPEECH_ENDS = 0.5, 0.3

#: Mouths open a little before the first sound and stay with the last one; in speech windows of
#: 32 ms: 128 ms before, 160 ms after.
LEAD_WINDOWS, HANG_WINDOWS = 4, 5

#: How long opening and closing take, in samples: 96 ms.
FADE_SAMPLES = 1536


def speaking_gain(
    speech: npt.NDArray[np.float32], positions: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """How much somebody speaks at each of some samples: 1 in speech, 0 in rest, ramps between.

    Args:
        speech: ``(n,)``, from :func:`detect_speech`.
        positions: ``(k,)`` sample numbers; past the end there is rest.

    Returns:
        ``(k,)`` float32 in [0, 1].
    """
    if len(speech) == 0:
        return np.zeros(len(positions), np.float32)
    spoken = np.flatnonzero(_is_speech(speech))
    if len(spoken) == 0:
        return np.zeros(len(positions), np.float32)
    # The distance to the nearest speech, with the lead and the hang taken off, sets the gain.
    after = np.searchsorted(spoken * SPEECH_WINDOW, positions, side="right")
    previous = spoken[np.maximum(after - 1, 0)]
    following = spoken[np.minimum(after, len(spoken) - 1)]
    since = positions - (previous + 1 + HANG_WINDOWS) * SPEECH_WINDOW
    until = (following - LEAD_WINDOWS) * SPEECH_WINDOW - positions
    since = np.where(after == 0, np.iinfo(np.int64).max, since)
    until = np.where(after == len(spoken), np.iinfo(np.int64).max, until)
    distance = np.clip(np.minimum(since, until), 0, FADE_SAMPLES)
    return np.asarray(1 - distance / FADE_SAMPLES, np.float32)


def _is_speech(speech: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """``(n,)``: above the upper threshold, and on from there while above the lower one."""
    # Where the probability lies between the two, the last window outside decides.
    decided = np.where(speech >= SPEECH_BEGINS, 1, np.where(speech < SPEECH_ENDS, 0, -1))
    decided[0] = max(decided[0], 0)  # a track begins at rest
    last_decided = np.maximum.accumulate(np.where(decided >= 0, np.arange(len(speech)), 0))
    return np.asarray(decided[last_decided] == 1)
