"""Where somebody speaks: silero-vad over a whole track, and the gain that lets mouths rest.

The weights are the safetensors file inside the silero-vad wheel. Its TorchScript file, a sister
training of the same network, is not used: loading one is deprecated in torch, importing the
package sets torch's thread count for the whole process, and it takes one 32 ms window a call.
Here the convolutions take a block of windows at once and only the recurrent layer goes step by
step. Source: github.com/snakers4/silero-vad, MIT.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import InternalError
from pipeline.features import SPEECH_WINDOW

Samples = npt.NDArray[np.float32]

#: Samples before its own that the detector sees with each window.
_CONTEXT = 64

#: Windows a block, 16 s. Blocks lie on a fixed grid, so how a stream arrives changes nothing.
_BLOCK_WINDOWS = 512


class _SpeechDetector(nn.Module):
    """silero-vad 5 and 6 at 16 kHz; parameter names as in its safetensors file."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm = nn.LSTM(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(
        self, windows: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """``(n, 576)`` successive windows with their context → ``(n,)`` probabilities, state."""
        padded = functional.pad(windows[:, None], (0, _CONTEXT), "reflect")  # (n, 1, 640)
        real, imaginary = self.stft_conv(padded).chunk(2, dim=1)  # (n, 129, 4) each
        x = torch.sqrt(real**2 + imaginary**2)
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = torch.relu(layer(x))  # (n, 128, 4), (n, 64, 2), (n, 64, 1), (n, 128, 1)
        hidden, state = self.lstm(x.movedim(2, 1), state)  # (n, 1, 128): n steps, one track
        speech = self.final_conv(torch.relu(hidden).movedim(1, 2))  # (n, 1, 1)
        return torch.sigmoid(speech).flatten(), state


@cache
def _detector() -> _SpeechDetector:
    from safetensors.torch import load_file  # noqa: PLC0415 -- only a track's first pass needs it

    package = find_spec("silero_vad")
    if package is None or package.origin is None:
        raise InternalError("the silero-vad package is missing; install lipfarm again")
    weights = load_file(Path(package.origin).parent / "data" / "silero_vad_16k.safetensors")
    names = {f"lstm_cell.{name}": f"lstm.{name}_l0" for name in _LSTM_PARAMETERS}
    detector = _SpeechDetector()
    detector.load_state_dict({names.get(name, name): value for name, value in weights.items()})
    return detector.eval().requires_grad_(False)


_LSTM_PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def detect_speech(blocks: Iterable[Samples]) -> npt.NDArray[np.float32]:
    """The probability of speech over a whole track, read as a stream.

    Args:
        blocks: successive ``(k,)`` float32 pieces of 16 kHz mono sound, of any lengths. Samples
            that are not finite count as zero.

    Returns:
        ``(ceil(n / 512),)`` float32: one value per 512 samples, the last window padded with zeros.
    """
    detector = _detector()
    state = (torch.zeros(1, 1, 128), torch.zeros(1, 1, 128))
    context = np.zeros(_CONTEXT, np.float32)
    found = [np.zeros(0, np.float32)]
    for block in _regroup(blocks, _BLOCK_WINDOWS * SPEECH_WINDOW):
        sound = np.concatenate([context, block])
        windows = np.lib.stride_tricks.sliding_window_view(sound, _CONTEXT + SPEECH_WINDOW)
        with torch.inference_mode():
            speech, state = detector(torch.from_numpy(windows[::SPEECH_WINDOW].copy()), state)
        found.append(speech.numpy())
        context = sound[-_CONTEXT:]
    return np.concatenate(found)


def _regroup(blocks: Iterable[Samples], size: int) -> Iterator[Samples]:
    """The same sound in blocks of ``size``; the last one padded to whole windows."""
    pending: list[Samples] = []
    held = 0
    for block in blocks:
        rest = np.where(np.isfinite(block), block, np.float32(0))
        while held + len(rest) >= size:
            piece, rest = rest[: size - held], rest[size - held :]
            yield np.concatenate([*pending, piece])
            pending, held = [], 0
        pending.append(rest)
        held += len(rest)
    if held:
        yield np.concatenate([*pending, np.zeros(-held % SPEECH_WINDOW, np.float32)])


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
