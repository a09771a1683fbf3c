"""Whether a mouth moves with its sound."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.training.clips import Clip
from pipeline.training.mouths import correlation, relative_looks

#: Frames looked at to either side.
_REACH: Final = 15

#: Another lag must correlate this well, and by so much better, before sound and picture count as
#: strangers; speech is rhythmic, so that a lag of one syllable often does nearly as well.
_STRANGE, _BETTER = 0.4, 0.3

#: Fewer frames than this correlate with anything.
_FEWEST: Final = 100

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a mouth goes with its sound.

    Attributes:
        correlation: of mouth opening with loudness, in step.
        lag: frames by which the mouth follows the sound, where it clearly does; else 0.
    """

    correlation: float
    lag: int


def agreement_of(clip: Clip) -> Agreement:
    """Compare the mouth's darkness, which rises as it opens, with the loudness."""
    opening = -relative_looks(clip).mean(1).astype(np.float64)
    steps = np.clip((clip.times * 80).astype(np.int64), 0, clip.mel.shape[1] - 1)
    loudness = clip.mel.mean(0).astype(np.float64)[steps]
    scores = [_at_lag(opening, loudness, lag) for lag in range(-_REACH, _REACH + 1)]
    in_step, best = scores[_REACH], int(np.argmax(scores))
    is_strange = scores[best] >= _STRANGE and scores[best] - in_step >= _BETTER
    lag = best - _REACH if is_strange and len(clip) >= _FEWEST else 0
    return Agreement(in_step, lag)


def _at_lag(opening: Floats, loudness: Floats, lag: int) -> float:
    """Of the mouth with the sound ``lag`` frames earlier."""
    if lag > 0:
        opening, loudness = opening[lag:], loudness[:-lag]
    elif lag < 0:
        opening, loudness = opening[:lag], loudness[-lag:]
    return correlation(opening, loudness)
