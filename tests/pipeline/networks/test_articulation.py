"""What the mouth does is what the sound does, at the same moment, and nothing in silence."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.mel import mel_spectrogram
from pipeline.networks import Sound
from pipeline.networks.articulation import articulate
from pipeline.sound.dialogue import decode_waveform
from pipeline.sound.speech import detect_speech

RATE = 16_000
FPS = 25


def hear(samples: npt.NDArray[np.float32]) -> Sound:
    return Sound(mel_spectrogram(samples), detect_speech([samples]))


def frame_times(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return np.arange(len(samples) * FPS // RATE) / FPS


def loudness_per_frame(
    samples: npt.NDArray[np.float32], times: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """RMS of the 40 ms round each frame's time."""
    half = RATE // (2 * FPS)
    padded = np.pad(samples.astype(np.float64), half)
    starts = np.round(times * RATE).astype(int)
    return np.array([np.sqrt(np.mean(padded[s : s + 2 * half] ** 2)) for s in starts])


def lag_in_frames(late: npt.NDArray[np.float64], early: npt.NDArray[np.float64]) -> int:
    lags = range(-8, 9)
    a, b = late - late.mean(), early - early.mean()
    overlap = [
        float(np.mean(a[max(k, 0) : len(a) + min(k, 0)] * b[max(-k, 0) : len(b) - max(k, 0)]))
        for k in lags
    ]
    return lags[int(np.argmax(overlap))]


@pytest.fixture(scope="module", params=["dialogue_zh.flac", "dialogue_en.flac"])
def dialogue(
    request: pytest.FixtureRequest, clips: Path, tmp_path_factory: pytest.TempPathFactory
) -> npt.NDArray[np.float32]:
    out = tmp_path_factory.mktemp("dialogue") / "dialogue.npy"
    decode_waveform(clips / request.param, out)
    return np.load(out)


@pytest.fixture(scope="module")
def sound(dialogue: npt.NDArray[np.float32]) -> Sound:
    return hear(dialogue)


def test_opening_follows_loudness_within_one_frame(
    dialogue: npt.NDArray[np.float32], sound: Sound
) -> None:
    times = frame_times(dialogue)
    openness = articulate(sound, times)[:, 0].astype(np.float64)
    loudness = loudness_per_frame(dialogue, times)

    assert abs(lag_in_frames(openness, loudness)) <= 1
    assert np.corrcoef(openness, loudness)[0, 1] > 0.5


def test_the_whole_mouth_is_used_in_syllable_rhythm(
    dialogue: npt.NDArray[np.float32], sound: Sound
) -> None:
    openness = articulate(sound, frame_times(dialogue))[:, 0]
    power = np.abs(np.fft.rfft(openness - openness.mean())) ** 2
    hertz = np.fft.rfftfreq(len(openness), 1 / FPS)

    assert np.percentile(openness, 95) > 0.7
    assert openness.max() <= 1.0
    # Syllables and their parts, not flutter from frame to frame.
    assert power[hertz > 9].sum() < 0.12 * power[hertz > 0.5].sum()
    assert power[(hertz > 2) & (hertz < 8)].sum() > 0.4 * power[hertz > 0.5].sum()


def test_nobody_speaking_is_exactly_closed(dialogue: npt.NDArray[np.float32]) -> None:
    pause = np.zeros(2 * RATE, np.float32)
    talk = dialogue[: 4 * RATE]
    samples = np.concatenate([pause, talk, pause])
    times = frame_times(samples)
    openness = articulate(hear(samples), times)[:, 0]

    in_pause = (times < 1.7) | (times > 6.4)
    assert not openness[in_pause].any()
    assert openness[~in_pause].max() > 0.7


def test_loud_noise_is_not_speech() -> None:
    noise = np.random.default_rng(1).normal(0, 0.2, 4 * RATE).astype(np.float32)

    assert not articulate(hear(noise), np.arange(100) / FPS).any()


def test_a_whisper_opens_as_wide_as_a_shout(
    dialogue: npt.NDArray[np.float32], sound: Sound
) -> None:
    times = frame_times(dialogue)
    quiet = Sound(mel_spectrogram(dialogue * np.float32(0.2)), sound.speech)

    loud_curve, quiet_curve = articulate(sound, times)[:, 0], articulate(quiet, times)[:, 0]

    assert np.abs(loud_curve - quiet_curve).mean() < 0.03


def test_frames_asked_for_in_pieces_are_the_same(sound: Sound) -> None:
    times = np.arange(400) / FPS
    whole = articulate(sound, times)

    pieces = [articulate(sound, times[start : start + 37]) for start in range(0, 400, 37)]

    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_outside_the_sound_the_mouth_is_closed(sound: Sound) -> None:
    seconds = sound.mel.shape[1] / 80

    assert not articulate(sound, np.array([-1.0, seconds + 0.1, seconds + 100.0])).any()


def test_no_sound_at_all_is_closed() -> None:
    empty = Sound(np.zeros((80, 0), np.float32), np.zeros(0, np.float32))

    assert not articulate(empty, np.arange(10) / FPS).any()
