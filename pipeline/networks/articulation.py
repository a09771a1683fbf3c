"""From sound to the mouth's shape: how far it opens and how wide it is drawn, per output frame.

Jaw and lips follow the syllables. Loudness between 450 and 2500 Hz, where vowels live, rises and
falls with them; nasals and stops are dips. Where the energy lies inside that range tells an open
*ah* (a strong first formant above 600 Hz) from a rounded *oo* (all of it low) and a spread *ee*
(low, and a second formant above 1700 Hz). Everything is measured against the speaker's own
levels, so a whisper and a shout both use the whole mouth, and telephone sound as well as studio
sound.

All filters are symmetric in time, so the mouth neither lags nor leads. The curves are computed
once over the whole track at the mel's 80 steps a second and then read at the frames' times: how
the film is cut into segments cannot change them. Two hours of mel steps are 0.6 million values a
curve; the mel itself is read in blocks.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from pipeline.sound.features import SPEECH_WINDOW, Sound

Curve = npt.NDArray[np.float64]

#: Mel steps in a second: a hop of 200 samples at 16 kHz.
STEPS_PER_SECOND = 80
#: Seconds behind one value of :attr:`Sound.speech`.
SPEECH_SECONDS = SPEECH_WINDOW / 16_000

#: The mel's bands, [first, last), by what they tell. With 80 Slaney bands from 55 to 7600 Hz these
#: are about 230–450, 590–1030, 1070–1600, 1660–2690 Hz, and the vowels' range, 450–2500 Hz.
LOW, MIDDLE, UPPER, HIGH, VOWELS = (4, 11), (14, 27), (27, 39), (39, 53), (10, 51)

#: Decibels below the speaker's loud syllables at which the mouth is closed: bounds on what is
#: measured, so that neither noise nor heavy compression of the sound can flatten the movement.
LEAST_RANGE_DB, MOST_RANGE_DB = 14.0, 30.0
#: How far a quiet passage may lower the reference. Beyond this it is quiet on purpose.
MOST_FOLLOWING_DB = 12.0
#: Seconds over which the reference follows the speaker's level (a sentence or two).
FOLLOWING_SECONDS = 3.0
#: Standard deviation in seconds of the smoothing: a syllable lasts 150–250 ms, so it stays, and
#: the ripple of single pitch periods and STFT noise goes.
SMOOTHING_SECONDS = 0.03
#: How far round a moment the loudest syllable is sought that its dips are measured against.
SYLLABLE_SECONDS = 0.16
#: How much deeper than the loudness the mouth closes between two syllables.
DIP_EMPHASIS = 0.6
#: Speech probabilities that count as none and as certain.
SPEECH_FLOOR, SPEECH_CEILING = 0.25, 0.6
#: The lips part a moment before the first sound and close a moment after the last.
SPEECH_MARGIN_SECONDS = 0.04
#: What is left of the movement below this is no movement: closed is exactly closed.
REST = 0.03

_BLOCK = 8192


class Articulation(NamedTuple):
    """One frame's mouth."""

    openness: float
    """0 closed (exactly, when nobody speaks) to 1 as wide as this speaker opens."""
    spread: float
    """-1 rounded (oo) over 0 neutral to 1 drawn wide (ee)."""


def articulate(sound: Sound, times: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """The mouth's shape at each output frame.

    Args:
        sound: the whole track.
        times: ``(frames,)`` seconds from the start of the sound. Outside it the mouth is closed.

    Returns:
        ``(frames, 2)`` float32: openness in [0, 1] and spread in [-1, 1].
    """
    steps = sound.mel.shape[1]
    if steps == 0 or len(sound.speech) == 0:
        return np.zeros((len(times), 2), np.float32)
    speech = _speech_gate(sound.speech, steps)
    levels = _band_levels(sound.mel)
    spoken = _interpolate_speech(sound.speech, steps) > SPEECH_CEILING
    openness = _openness(levels, speech, spoken)
    spread = _spread(levels, openness, spoken)
    at = np.asarray(times, np.float64) * STEPS_PER_SECOND
    grid = np.arange(steps)
    shape = [np.interp(at, grid, curve, left=0.0, right=0.0) for curve in (openness, spread)]
    return np.stack(shape, axis=1).astype(np.float32)


def _band_levels(mel: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """``(5, T)`` decibels of LOW, MIDDLE, UPPER, HIGH and VOWELS at each mel step."""
    bands = (LOW, MIDDLE, UPPER, HIGH, VOWELS)
    levels = np.empty((len(bands), mel.shape[1]))
    for start in range(0, mel.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        # The mel is 1.6·log10(magnitude) + 2.4.
        power = 10.0 ** ((np.asarray(mel[:, block], np.float64) - 2.4) / 0.8)
        for row, (first, last) in enumerate(bands):
            levels[row, block] = 10.0 * np.log10(power[first:last].mean(axis=0))
    return levels


def _interpolate_speech(speech: npt.NDArray[np.float32], steps: int) -> Curve:
    """Speech probability at each mel step."""
    middles = (np.arange(len(speech)) + 0.5) * (SPEECH_SECONDS * STEPS_PER_SECOND)
    return np.interp(np.arange(steps), middles, speech.astype(np.float64))


def _speech_gate(speech: npt.NDArray[np.float32], steps: int) -> Curve:
    """0 where nobody speaks, 1 in speech, soft between."""
    gate = _smoothstep(_interpolate_speech(speech, steps), SPEECH_FLOOR, SPEECH_CEILING)
    margin = round(SPEECH_MARGIN_SECONDS * STEPS_PER_SECOND)
    widened = maximum_filter1d(gate, 2 * margin + 1, mode="nearest")
    return _smooth(widened, SMOOTHING_SECONDS)


def _openness(
    levels: npt.NDArray[np.float64], speech: Curve, spoken: npt.NDArray[np.bool_]
) -> Curve:
    if not spoken.any():
        return np.zeros_like(speech)
    level = _smooth(levels[4], SMOOTHING_SECONDS)
    loud, quiet = np.percentile(level[spoken], [92, 12])
    span = float(np.clip(loud - quiet, LEAST_RANGE_DB, MOST_RANGE_DB))
    loud_here = _following_level(level, spoken, float(loud))
    raised = np.clip((level - loud_here) / span + 1.0, 0.0, 1.15)
    syllable = round(SYLLABLE_SECONDS * STEPS_PER_SECOND)
    peak = _smooth(maximum_filter1d(raised, 2 * syllable + 1), SYLLABLE_SECONDS / 2)
    moved = raised - DIP_EMPHASIS * np.maximum(peak - raised, 0.0)
    # A strong first formant opens; a low one (oo, ee, m, n) keeps the jaw up.
    formant = _deviation(levels[1] - levels[0], spoken)
    jaw = np.clip(0.85 + 0.03 * formant, 0.55, 1.15)
    openness = np.clip(moved, 0.0, None) * _smooth(jaw, SMOOTHING_SECONDS) * speech
    return np.clip((_smooth(openness, SMOOTHING_SECONDS) - REST) / (1 - REST), 0.0, 1.0)


def _following_level(level: Curve, spoken: npt.NDArray[np.bool_], loud: float) -> Curve:
    """The level of the loud syllables round each step, within bounds of the whole track's."""
    window = round(FOLLOWING_SECONDS * STEPS_PER_SECOND)
    floor = loud - MOST_FOLLOWING_DB
    spoken_level = np.where(spoken, np.clip(level, floor, loud + 3.0), floor)
    return _smooth(maximum_filter1d(spoken_level, window), FOLLOWING_SECONDS / 3) - 2.0


def _spread(
    levels: npt.NDArray[np.float64], openness: Curve, spoken: npt.NDArray[np.bool_]
) -> Curve:
    if not spoken.any():
        return np.zeros_like(openness)
    low, middle, upper, high, _ = levels
    front = _deviation(high - np.maximum(middle, upper), spoken)
    back = _deviation(np.maximum(low, middle) - np.maximum(upper, high), spoken)
    spread = np.tanh((np.maximum(front, 0.0) - np.maximum(back, 0.0)) / 10.0)
    # A closed mouth keeps its width.
    return _smooth(spread, 1.5 * SMOOTHING_SECONDS) * np.clip(openness / 0.25, 0.0, 1.0)


def _deviation(balance: Curve, spoken: npt.NDArray[np.bool_]) -> Curve:
    """How far a balance of bands, in dB, is from this speaker's usual one."""
    return balance - float(np.median(balance[spoken]))


def _smooth(curve: Curve, seconds: float) -> Curve:
    sigma = seconds * STEPS_PER_SECOND
    return np.asarray(gaussian_filter1d(curve, sigma, mode="nearest", truncate=3.0), np.float64)


def _smoothstep(value: Curve, low: float, high: float) -> Curve:
    along = np.clip((value - low) / (high - low), 0.0, 1.0)
    return along * along * (3.0 - 2.0 * along)
