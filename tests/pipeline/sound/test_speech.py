"""Speech is found where it is, however the stream arrives, and mouths get time to close."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from pipeline.sound import speech as module
from pipeline.sound.features import SPEECH_WINDOW
from pipeline.sound.speech import FADE_SAMPLES, detect_speech, speaking_gain


@pytest.fixture(scope="module")
def dialogue(clips: Path) -> np.ndarray:
    sound, rate = soundfile.read(clips / "dialogue_short.flac", dtype="float32")
    assert rate == 16_000
    return sound


def test_silero_vad_does_not_take_the_process_threads_away(dialogue: np.ndarray) -> None:
    before = torch.get_num_threads()
    module._detector.cache_clear()
    detect_speech([dialogue[:512]])
    assert torch.get_num_threads() == before


def test_speech_is_told_from_silence_and_from_noise(dialogue: np.ndarray) -> None:
    second = np.zeros(16_384, np.float32)
    hiss = np.random.default_rng(0).standard_normal(16_384).astype(np.float32) * 0.01
    speech = detect_speech([second, hiss, dialogue[16_384:49_152], second])
    assert speech.shape == (160,)
    assert speech.dtype == np.float32
    assert speech[:60].max() < 0.3
    assert (speech[64:128] > 0.5).mean() > 0.8
    assert speech[-20:].max() < 0.3


def test_how_the_stream_is_cut_changes_nothing(dialogue: np.ndarray) -> None:
    sound = np.tile(dialogue, 3)  # more than one block
    whole = detect_speech([sound])
    assert len(whole) == -(-len(sound) // SPEECH_WINDOW)
    np.testing.assert_array_equal(whole, detect_speech(np.array_split(sound, 97)))


def test_no_sound_is_no_speech_and_bad_samples_are_silence() -> None:
    assert detect_speech([]).shape == (0,)
    assert detect_speech([np.zeros(1, np.float32)]).shape == (1,)
    bad = np.full(2_000, np.nan, np.float32)
    np.testing.assert_array_equal(detect_speech([bad]), detect_speech([np.zeros_like(bad)]))


def test_the_process_keeps_its_threads() -> None:
    before = torch.get_num_threads()
    detect_speech([np.zeros(2_000, np.float32)])
    assert torch.get_num_threads() == before


def gain_of(speech: list[float]) -> np.ndarray:
    """The gain at the middle of every window."""
    middles = np.arange(len(speech)) * SPEECH_WINDOW + SPEECH_WINDOW // 2
    return speaking_gain(np.array(speech, np.float32), middles)


def test_mouths_are_free_in_speech_and_rest_far_from_it() -> None:
    gain = gain_of([0.0] * 20 + [0.9] * 10 + [0.0] * 20)
    assert (gain[20:30] == 1).all()
    assert (gain[16:20] == 1).all(), "a mouth opens before its first sound"
    assert (gain[30:35] == 1).all(), "the last sound is not cut off"
    assert (gain[:12] == 0).all()
    assert (gain[39:] == 0).all()
    assert (np.diff(gain[:21]) >= 0).all()
    assert (np.diff(gain[30:]) <= 0).all()


def test_a_short_dip_does_not_close_the_mouth_and_doubt_does_not_open_it() -> None:
    assert (gain_of([0.9, 0.9, 0.1, 0.4, 0.1, 0.1, 0.9, 0.9]) == 1).all()
    assert (gain_of([0.45] * 30) == 0).all()
    held = gain_of([0.9] + [0.35] * 30)
    assert (held == 1).all(), "speech lasts until it is clearly over"


def test_fades_are_even() -> None:
    positions = np.arange(0, 30 * SPEECH_WINDOW, 100)
    gain = speaking_gain(np.array([1.0] + [0.0] * 29, np.float32), positions)
    assert np.abs(np.diff(gain)).max() <= 100 / FADE_SAMPLES + 1e-6


def test_past_the_end_and_without_sound_there_is_rest() -> None:
    assert speaking_gain(np.ones(4, np.float32), np.array([100 * SPEECH_WINDOW])) == 0
    assert speaking_gain(np.zeros(0, np.float32), np.array([0, 5])).tolist() == [0, 0]
    assert speaking_gain(np.zeros(9, np.float32), np.array([0, 5])).tolist() == [0, 0]
