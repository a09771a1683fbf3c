"""What the networks hear of a dialogue."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: Samples of 16 kHz sound behind one value of :attr:`Sound.speech` (32 ms).
SPEECH_WINDOW = 512


@dataclass(frozen=True, slots=True)
class Sound:
    """The dialogue as networks hear it, over the whole track.

    Attributes:
        mel: ``(80, T)`` float32 in [-4, 4], 80 mel steps a second; may be a read-only memmap.
        speech: ``(n,)`` float32, the probability of speech in each :data:`SPEECH_WINDOW` samples.
    """

    mel: npt.NDArray[np.float32]
    speech: npt.NDArray[np.float32]
