"""A checkpoint judged on people it never saw.

What is asked: does the right sound draw a truer mouth than a wrong one, does the mouth stand as it
did when the sound was made, is it as sharp as the film, of the film's colour, does it move while
somebody speaks and rest while nobody does.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipeline.networks.wav2lip import FACE_SIZE, Wav2Lip
from pipeline.training.clips import Clip
from pipeline.training.mouths import MouthShapes, correlation, mouth_region
from pipeline.training.samples import Batch, Sampler, network_input

#: Samples a clip; enough for a hundredth of the error.
SAMPLES: Final = 48

#: Frames over which motion is measured.
_MOTION_FRAMES: Final = 125

_BATCH: Final = 24

#: Speech above, and silence below.
_SPEAKING, _SILENT = 0.8, 0.1

_SPEECH_RATE: Final = 16_000 / 512

Network = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Measures:
    """What was measured; levels are of 255.

    Attributes:
        right, wrong: mean error of the mouth in levels, by the sound of the frame and by another
            moment's. The reference's own mouth is another one's, or copying it would be enough.
        sound_matters: how much worse the wrong sound is, as a part.
        shape: correlation of the drawn mouth's opening with the filmed one's.
        reach: how far the drawn mouth opens and closes over how far the filmed one does.
        sharpness: gradient energy of the drawn mouth over the filmed one's.
        colour: mean error of the drawn half's mean colour, in levels, after the cast that shows on
            the half that was given was taken out, as the compositor does.
        motion: change from frame to frame in speech over that in silence, on a still face; none
            where no clip has both.
    """

    right: float
    wrong: float
    sound_matters: float
    shape: float
    reach: float
    sharpness: float
    colour: float
    motion: float | None

    def as_json(self) -> dict[str, Any]:
        """Rounded, for logs and cards."""
        values = asdict(self).items()
        return {name: None if value is None else round(value, 4) for name, value in values}


def measure(
    network: Network, clips: Sequence[Clip], shapes: MouthShapes, samples: int = SAMPLES
) -> Measures:
    """Judge a network on clips; the same for the same network and clips.

    Args:
        network: called with ``(B, 1, 80, 16)`` and ``(B, 6, 96, 96)``.
        clips: of people it did not train on.
        shapes: of the clips it trained on.
        samples: of each clip.
    """
    right, wrong, sharp, colour, openings, motions = [], [], [], [], [], []
    for clip in clips:
        sampler = Sampler([clip], shapes, 0)
        told = sampler.draw(samples, 0, worthless=1.0, changed=False)
        misled = sampler.draw(samples, 0, worthless=1.0, changed=False, wrong_sound=True)
        drawn = _draw(network, told)
        right.append(_mouth_error(drawn, told.wanted))
        wrong.append(_mouth_error(_draw(network, misled), misled.wanted))
        sharp.append(_energy(drawn) / _energy(told.wanted))
        colour.append(_color_error(drawn, told.wanted))
        openings.append((_openings(shapes, drawn), _openings(shapes, told.wanted)))
        motions.append(_motion(network, clip))
    known = [motion for motion in motions if motion is not None]
    return Measures(
        right=255 * float(np.mean(right)),
        wrong=255 * float(np.mean(wrong)),
        sound_matters=float(np.mean(wrong) / np.mean(right)) - 1,
        shape=float(np.mean([correlation(ours, filmed) for ours, filmed in openings])),
        reach=float(np.mean([ours.std() / filmed.std() for ours, filmed in openings])),
        sharpness=float(np.mean(sharp)),
        colour=255 * float(np.mean(colour)),
        motion=float(np.median(known)) if known else None,
    )


def draw_rows(network: Network, clips: Sequence[Clip], shapes: MouthShapes) -> list[Tensor]:
    """For a picture: of each clip the wanted faces, the references, and what was drawn."""
    rows = []
    for clip in clips:
        batch = Sampler([clip], shapes, 1).draw(4, 0, worthless=1.0, changed=False)
        rows.append(torch.cat((batch.wanted, batch.faces[:, 3:], _draw(network, batch))))
    return rows


def network_of(wav2lip: Wav2Lip) -> Network:
    """A checkpoint's network as :func:`measure` calls it."""
    wav2lip.eval()
    device = next(wav2lip.parameters()).device

    def draw(mel: Tensor, faces: Tensor) -> Tensor:
        with torch.inference_mode():
            drawn: Tensor = wav2lip(mel.to(device), faces.to(device))
            return drawn.cpu()

    return draw


def _draw(network: Network, batch: Batch) -> Tensor:
    return _draw_all(network, batch.mel, batch.faces)


def _draw_all(network: Network, mel: Tensor, faces: Tensor) -> Tensor:
    pieces = zip(torch.split(mel, _BATCH), torch.split(faces, _BATCH), strict=True)
    return torch.cat([network(sound, face) for sound, face in pieces])


def _mouth_error(drawn: Tensor, wanted: Tensor) -> float:
    return (mouth_region(drawn) - mouth_region(wanted)).abs().mean().item()


def _energy(faces: Tensor) -> float:
    mouths = mouth_region(faces)
    down, right = mouths.diff(dim=2), mouths.diff(dim=3)
    return (down.pow(2).mean() + right.pow(2).mean()).item()


def _color_error(drawn: Tensor, wanted: Tensor) -> float:
    half = FACE_SIZE // 2
    cast = (wanted - drawn)[:, :, :half].mean((2, 3))
    off = (wanted - drawn)[:, :, half:].mean((2, 3)) - cast
    return off.abs().mean().item()


def _openings(shapes: MouthShapes, faces: Tensor) -> npt.NDArray[np.float32]:
    openings: npt.NDArray[np.float32] = shapes.of_faces(faces).numpy()[:, 0]
    return openings


def _motion(network: Network, clip: Clip) -> float | None:
    """The clip's first face held still, under its sound."""
    frames = min(len(clip), _MOTION_FRAMES)
    still = Sampler.still(clip)
    mel = torch.from_numpy(np.stack([clip.windows[n] for n in range(frames)])[:, None])
    faces = network_input(still, still).expand(frames, -1, -1, -1)
    drawn = mouth_region(_draw_all(network, mel, faces))
    moved = drawn.diff(dim=0).abs().mean((1, 2, 3)).numpy()
    at = np.minimum((clip.times[1:frames] * _SPEECH_RATE).astype(int), len(clip.speech) - 1)
    speech: npt.NDArray[np.float32] = clip.speech[at]
    speaking, silent = moved[speech > _SPEAKING], moved[speech < _SILENT]
    if len(speaking) < 5 or len(silent) < 5:
        return None
    return float(speaking.mean() / max(silent.mean(), 1e-6))
