"""The mel is the published one, in blocks as in one piece, and windows fall where they fell."""

import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from scipy import signal

from pipeline.errors import InputError
from pipeline.mel import (
    SILENCE,
    MelWindows,
    count_mel_steps,
    mel_spectrogram,
    write_mel,
)
from tests.patience import LONG_SECONDS


def reference_mel(samples: np.ndarray) -> np.ndarray:
    """The published formula in one piece, from librosa and scipy, sharing no code with ours."""
    emphasised = signal.lfilter([1, -0.97], [1], samples)
    padded = np.pad(emphasised, 400, "reflect")
    spectrum = librosa.stft(y=padded, n_fft=800, hop_length=200, win_length=800, center=False)
    bank = librosa.filters.mel(sr=16000, n_fft=800, n_mels=80, fmin=55, fmax=7600)
    decibels = 20 * np.log10(np.maximum(np.exp(-100 / 20 * np.log(10)), bank @ np.abs(spectrum)))
    return np.clip(8 * ((decibels - 20 + 100) / 100) - 4, -4, 4)


def noise(samples: int) -> np.ndarray:
    sound = np.random.default_rng(samples).standard_normal(samples).astype(np.float32) * 0.1
    sound[samples // 2 : samples * 3 // 4] = 0
    return sound


# Shorter than the reflection, around an FFT frame, and on both sides of a block's edge.
@pytest.mark.parametrize(
    "samples", [1, 2, 199, 200, 399, 400, 401, 800, 801, 204_799, 204_800, 205_001, 409_800]
)
def test_mel_of_blocks_equals_the_published_formula_in_one_piece(samples: int) -> None:
    sound = noise(samples)
    mel = mel_spectrogram(sound)
    assert mel.dtype == np.float32
    assert mel.shape == (80, 1 + samples // 200)
    np.testing.assert_allclose(mel, reference_mel(sound), atol=1e-5)


def test_mel_of_real_speech_equals_the_published_formula(clips: Path) -> None:
    sound, rate = soundfile.read(clips / "dialogue_short.flac", dtype="float32")
    assert rate == 16_000
    mel = mel_spectrogram(sound)
    np.testing.assert_allclose(mel, reference_mel(sound), atol=1e-5)
    assert np.ptp(mel) > 5


def test_digital_silence_is_the_lowest_value() -> None:
    assert (mel_spectrogram(np.zeros(5_000, np.float32)) == SILENCE).all()


def test_a_bad_sample_spoils_no_more_than_a_missing_one() -> None:
    sound = noise(4_000)
    holed, bad = sound.copy(), sound.copy()
    bad[[100, 900, 901]] = np.nan, np.inf, -np.inf
    holed[[100, 900, 901]] = 0
    np.testing.assert_array_equal(mel_spectrogram(bad), mel_spectrogram(holed))


def test_sound_of_zero_length_is_refused_with_the_reason() -> None:
    with pytest.raises(InputError, match="zero length"):
        mel_spectrogram(np.zeros(0, np.float32))


def test_written_mel_is_the_same_mel(tmp_path: Path) -> None:
    sound = noise(300_000)
    write_mel(sound, tmp_path / "mel.npy")
    np.testing.assert_array_equal(
        np.load(tmp_path / "mel.npy", mmap_mode="r"), mel_spectrogram(sound)
    )


# ru_maxrss would start at the parent's own peak, which a child inherits; the kernel's VmHWM is of
# this program alone.
TWO_HOURS = """
import re, numpy as np
from pathlib import Path
from pipeline.mel import mel_spectrogram
def peak(): return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
second = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
sound = np.tile(second, 7_200)
before = peak()
mel = mel_spectrogram(sound)
assert mel.shape == (80, 576_001)
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
def test_two_hours_stay_under_400_mb() -> None:
    run = subprocess.run(  # noqa: TID251 -- a fresh process, for its peak memory
        [sys.executable, "-c", TWO_HOURS], capture_output=True, check=True, timeout=LONG_SECONDS
    )
    assert 100_000 < int(run.stdout) < 400_000


@pytest.mark.parametrize("rate", [24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 50.0, 60.0])
def test_windows_at_a_constant_rate_start_where_the_original_started(rate: float) -> None:
    mel = np.arange(80 * 801, dtype=np.float32).reshape(80, 801)
    original = []
    i = 0
    while True:
        start = int(i * (80.0 / rate))
        if start + 16 > 801:
            original.append(mel[:, -16:])
            break
        original.append(mel[:, start : start + 16])
        i += 1
    windows = MelWindows.at_rate(mel, rate, int(10 * rate))
    assert len(windows) > len(original)
    for i, expected in enumerate(original):
        np.testing.assert_array_equal(windows[i], expected)
    for window in windows[len(original) :]:
        np.testing.assert_array_equal(window, mel[:, -16:])


def test_windows_at_times_follow_the_times() -> None:
    mel = np.tile(np.arange(400, dtype=np.float32), (80, 1))
    windows = MelWindows.at_times(mel, np.array([0.0, 0.04, 0.5, 1 / 3, 3.9875, 0.1 + 0.2]))
    assert [int(window[0, 0]) for window in windows] == [0, 3, 40, 26, 319, 24]


def test_an_offset_moves_windows_by_3_2_steps_a_training_frame() -> None:
    mel = np.tile(np.arange(400, dtype=np.float32), (80, 1))
    later = MelWindows.at_rate(mel, 25, 50, offset_ms=40)
    np.testing.assert_array_equal(later.starts[:3], [3, 6, 9])
    earlier = MelWindows.at_rate(mel, 25, 50, offset_ms=-40)
    np.testing.assert_array_equal(earlier.starts[:3], [-4, 0, 3])
    np.testing.assert_array_equal(earlier[0][0], [SILENCE] * 4 + list(range(12)))


def test_sound_shorter_than_a_window_is_followed_by_silence() -> None:
    mel = np.ones((80, 5), np.float32)
    window = MelWindows.at_rate(mel, 25, 3)[2]
    np.testing.assert_array_equal(window[0], [1] * 5 + [SILENCE] * 11)


def test_a_step_is_a_hop() -> None:
    assert [count_mel_steps(n) for n in (1, 199, 200, 16_000)] == [1, 1, 2, 81]
