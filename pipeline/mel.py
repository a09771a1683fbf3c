"""The mel spectrogram of a whole track, as Wav2Lip was trained on it, and its windows by frame.

The formula is that of the published ``audio.py`` with the librosa of its time: pre-emphasis, a
centred STFT padded by *reflection*, magnitudes (not power) in 80 Slaney bands, decibels, and a
scale from -4 (silence) to 4. Everything is computed in blocks; only the result grows with length.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Self, overload

import librosa.filters
import numpy as np
import numpy.typing as npt

from pipeline.errors import ParameterError, UnusableMediaError

SAMPLE_RATE = 16_000
N_FFT = 800
HOP_LENGTH = 200
BANDS = 80
MEL_STEPS_PER_SECOND = SAMPLE_RATE / HOP_LENGTH

#: Mel steps of one window, 0.2 s: what the network hears for one frame.
WINDOW_STEPS = 16

#: The value of silence; the scale ends at its opposite.
SILENCE = np.float32(-4.0)

_PRE_EMPHASIS = 0.97
_LOWEST_HZ, _HIGHEST_HZ = 55.0, 7600.0

#: 12.8 s a block: some 15 MB of temporaries, and long enough that blocks cost nothing.
_BLOCK_STEPS = 1024

Samples = npt.NDArray[np.float32]
Mel = npt.NDArray[np.float32]


def count_mel_steps(samples: int) -> int:
    """T of that many samples: one column at every 200th, both ends included."""
    return 1 + samples // HOP_LENGTH


def mel_spectrogram(samples: Samples) -> Mel:
    """The mel spectrogram of a whole track.

    Args:
        samples: ``(n,)`` float32 at 16 kHz; may be a memmap. Values that are not finite count
            as zero.

    Returns:
        ``(80, T)`` float32 in [-4, 4], T = 1 + floor(n / 200). Sound shorter than half an FFT
        frame is reflected as often as it takes.

    Raises:
        UnusableMediaError: there is no sample.
    """
    mel = np.empty((BANDS, count_mel_steps(len(samples))), np.float32)
    _fill(mel, samples)
    return mel


def write_mel(samples: Samples, path: str | Path) -> None:
    """:func:`mel_spectrogram` into a ``.npy`` file, block by block, for ``np.load(mmap_mode="r")``.

    Raises:
        UnusableMediaError: there is no sample.
    """
    shape = (BANDS, count_mel_steps(len(samples)))
    mel = np.lib.format.open_memmap(Path(path), mode="w+", dtype=np.float32, shape=shape)
    _fill(mel, samples)
    mel.flush()


def _fill(mel: Mel, samples: Samples) -> None:
    for start, block in _mel_blocks(samples, mel.shape[1]):
        mel[:, start : start + block.shape[1]] = block


def _mel_blocks(samples: Samples, steps: int) -> Iterator[tuple[int, Mel]]:
    if len(samples) == 0:
        raise UnusableMediaError("the dialogue holds no sound: it has zero length")
    if samples.ndim != 1:
        raise ParameterError(f"sound must be mono, (n,) samples, not of shape {samples.shape}")
    for start in range(0, steps, _BLOCK_STEPS):
        yield start, _mel_block(samples, start, min(start + _BLOCK_STEPS, steps))


def _mel_block(samples: Samples, start: int, stop: int) -> Mel:
    """Columns [start, stop) of the whole track's mel: ``(80, stop - start)``."""
    sound = _emphasised(
        samples, start * HOP_LENGTH - N_FFT // 2, (stop - 1) * HOP_LENGTH + N_FFT // 2
    )
    frames = np.lib.stride_tricks.sliding_window_view(sound, N_FFT)[::HOP_LENGTH]  # (steps, 800)
    magnitude = np.abs(np.fft.rfft(frames * _hann(), axis=1))  # (steps, 401)
    bands = mel_filter_bank() @ magnitude.T  # (80, steps)
    # 20·log10(x) − 20 dB, from [−100, 0] dB to [−4, 4], in one line.
    scaled = 1.6 * np.log10(np.maximum(1e-5, bands)) + 2.4
    return np.clip(scaled, -4.0, 4.0).astype(np.float32)


def _emphasised(samples: Samples, start: int, stop: int) -> npt.NDArray[np.float64]:
    """Pre-emphasised samples [start, stop), reflected at both ends of the track."""
    at = _reflect(np.arange(start, stop), len(samples))
    first, last = int(at.min()), int(at.max())
    before = max(first - 1, 0)
    piece = np.asarray(samples[before : last + 1], np.float64)
    piece = np.where(np.isfinite(piece), piece, 0.0)
    emphasised = piece.copy()
    emphasised[1:] -= _PRE_EMPHASIS * piece[:-1]
    return emphasised[at - before]


def _reflect(at: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
    """Where in a signal of that length a position lies, once its ends are mirrors."""
    if length == 1:
        return np.zeros_like(at)
    period = 2 * (length - 1)
    folded = at % period
    return np.minimum(folded, period - folded)


@cache
def _hann() -> npt.NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)


@cache
def mel_filter_bank() -> npt.NDArray[np.float64]:
    """``(80, 401)`` triangles on Slaney's mel scale, each of unit area per hertz."""
    bank = librosa.filters.mel(
        sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=BANDS, fmin=_LOWEST_HZ, fmax=_HIGHEST_HZ
    )
    # librosa keeps its bank in float32, and so did the training.
    return np.asarray(bank, np.float64)


class MelWindows(Sequence[Mel]):
    """The sound of each frame: ``windows[i]`` is ``(80, 16)``, a copy of mel steps of the track.

    A window reaches 0.2 s into the future from its frame's time. Past the end of the track the
    last 16 mel steps repeat, as in the original; before its beginning (negative offsets) and
    where the whole track is shorter than a window, there is silence.
    """

    def __init__(self, mel: Mel, starts: npt.NDArray[np.int64]) -> None:
        if mel.ndim != 2 or mel.shape[0] != BANDS:
            raise ParameterError(f"a mel spectrogram is (80, T), not {mel.shape}")
        self.mel = mel
        #: ``(frames,)`` first mel step of each window.
        self.starts = np.minimum(starts, max(mel.shape[1] - WINDOW_STEPS, 0))

    @classmethod
    def at_rate(cls, mel: Mel, frame_rate: float, frames: int, offset_ms: float = 0.0) -> Self:
        """Windows of frames 0, 1, … at a constant rate: start at ``int(i * (80 / rate))``.

        Args:
            mel: ``(80, T)``.
            frame_rate: frames a second; the multiplication is the original's, in floats.
            frames: how many.
            offset_ms: added to where windows start; a frame of the training is 40 ms, 3.2 steps.
        """
        if not frame_rate > 0:
            raise ParameterError(f"a frame rate must be above zero, not {frame_rate}")
        steps_per_frame = MEL_STEPS_PER_SECOND / frame_rate
        return cls(mel, _starts(np.arange(frames, dtype=np.float64) * steps_per_frame, offset_ms))

    @classmethod
    def at_times(cls, mel: Mel, times: npt.NDArray[np.float64], offset_ms: float = 0.0) -> Self:
        """Windows of frames at given seconds: start at ``int(80 * t)``; else as :meth:`at_rate`."""
        # The times were rational; a rounding error must not cost a whole step.
        return cls(
            mel, _starts(np.asarray(times, np.float64) * MEL_STEPS_PER_SECOND + 1e-6, offset_ms)
        )

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> Mel: ...
    @overload
    def __getitem__(self, index: slice) -> "MelWindows": ...
    def __getitem__(self, index: "int | slice") -> "Mel | MelWindows":
        if isinstance(index, slice):
            return MelWindows(self.mel, self.starts[index])
        start = int(self.starts[index])
        columns = self.mel[:, max(start, 0) : max(start + WINDOW_STEPS, 0)]
        window = np.full((BANDS, WINDOW_STEPS), SILENCE)
        skipped = min(max(-start, 0), WINDOW_STEPS)
        window[:, skipped : skipped + columns.shape[1]] = columns
        return window


def _starts(steps: npt.NDArray[np.floating], offset_ms: float) -> npt.NDArray[np.int64]:
    # Adding zero is exact, so without an offset the published rule holds to the bit.
    moved = np.floor(steps + offset_ms / 1000 * MEL_STEPS_PER_SECOND)
    return np.asarray(moved, np.int64)
