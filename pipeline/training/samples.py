"""Batches drawn from clips: what is shown, what is wanted, and what is changed on the way.

Every draw comes from a generator seeded by the run's seed, the phase and the step, so a run that
was killed goes on with the very batches it would have seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.mel import BANDS, SILENCE, WINDOW_STEPS
from pipeline.networks.wav2lip import FACE_SIZE
from pipeline.training import BOX_SHARE, CROP
from pipeline.training.clips import Clip
from pipeline.training.mouths import COMPONENTS, MouthShapes

#: Clips are drawn by length to this power: a long clip must not be most of what is seen.
_LENGTH_POWER: Final = 0.75

#: Mel steps by which a wrong sound is off, at least and at most: 0.3 to 1.5 s.
_WRONG: Final = (24, 120)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step learns from.

    Attributes:
        mel: ``(B, 1, 80, 16)``.
        faces: ``(B, 6, 96, 96)``: the wanted face with its lower half zeroed, then the reference.
        wanted: ``(B, 3, 96, 96)``.
    """

    mel: Tensor
    faces: Tensor
    wanted: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        tensors = (self.mel, self.faces, self.wanted)
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in tensors))


class Sampler:
    """Draws batches from clips.

    Args:
        clips: to draw from.
        shapes: gives each frame its shape.
        seed: of the run.
    """

    def __init__(self, clips: Sequence[Clip], shapes: MouthShapes, seed: int) -> None:
        self._clips = clips
        self._shapes = [shapes.of_clip(clip) for clip in clips]
        weights = np.array([len(clip) for clip in clips], np.float64) ** _LENGTH_POWER
        self._weights = weights / weights.sum()
        self._seed = seed

    def draw_sound(self, size: int, *key: int, changed: bool = True) -> tuple[Tensor, Tensor]:
        """Sound alone, with the shape its mouth has: ``(B, 1, 80, 16)`` and ``(B, 24)``.

        Args as for :meth:`draw`, which takes ten times as long for the faces.
        """
        random = np.random.default_rng([self._seed, *key])
        mel = np.empty((size, 1, BANDS, WINDOW_STEPS), np.float32)
        shapes = np.empty((size, COMPONENTS), np.float32)
        for row, pick in enumerate(random.choice(len(self._clips), size, p=self._weights)):
            frame = int(random.integers(len(self._clips[pick])))
            mel[row, 0] = self._clips[pick].windows[frame]
            shapes[row] = self._shapes[pick][frame]
        if changed:
            mel = _disturb(mel, random)
        return torch.from_numpy(mel), torch.from_numpy(shapes)

    def draw(
        self,
        size: int,
        *key: int,
        worthless: float = 0.0,
        changed: bool = True,
        wrong_sound: bool = False,
    ) -> Batch:
        """A batch; the same for the same key.

        Args:
            size: samples.
            key: numbers that name the batch: phase and step.
            worthless: for this part of the samples the reference is the wanted frame itself, with
                the mouth of another frame laid over it.
            changed: shift, scale, mirror, tint, mask.
            wrong_sound: give each frame the sound of another moment of its clip.
        """
        random = np.random.default_rng([self._seed, *key])
        # A generator of its own, so that a wrong sound changes the sound alone.
        elsewhere = np.random.default_rng([self._seed, *key, _WRONG[1]])
        wanted = np.empty((size, CROP, CROP, 3), np.uint8)
        reference, mouth = np.empty_like(wanted), np.empty_like(wanted)
        own = random.random(size) < worthless
        mel = np.empty((size, 1, BANDS, WINDOW_STEPS), np.float32)
        for row, pick in enumerate(random.choice(len(self._clips), size, p=self._weights)):
            clip = self._clips[pick]
            frame, other = random.integers(len(clip), size=2)
            wanted[row], mouth[row] = clip.crops[frame], clip.crops[other]
            reference[row] = wanted[row] if own[row] else mouth[row]
            heard = _elsewhere(len(clip), frame, elsewhere) if wrong_sound else frame
            mel[row, 0] = clip.windows[heard]
        laid_over = _lay_over(_faces(reference), _faces(mouth), own)
        views = _Views.draw(size, random) if changed else _Views.plain(size)
        face, shown = views.see(_faces(wanted)), views.see_other(laid_over)
        if changed:
            face, shown = _tint(face, shown, random)
            mel = _disturb(mel, random)
        return Batch(torch.from_numpy(mel), network_input(face, shown), face)

    @staticmethod
    def still(clip: Clip) -> Tensor:
        """``(1, 3, 96, 96)``: the clip's first face, as a dub would show it."""
        return _Views.plain(1).see(_faces(np.array(clip.crops[:1])))


def network_input(face: Tensor, reference: Tensor) -> Tensor:
    """``(B, 6, 96, 96)``, channels last: the face without its lower half, then the reference."""
    upper = face.clone()
    upper[:, :, FACE_SIZE // 2 :] = 0
    return torch.cat((upper, reference), 1).contiguous(memory_format=torch.channels_last)


def _faces(crops: npt.NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255


def _elsewhere(length: int, frame: int, random: np.random.Generator) -> int:
    least, most = (steps * 25 // 80 for steps in _WRONG)
    off = int(random.integers(least, most)) * (1 if random.random() < 0.5 else -1)
    return (int(frame) + off) % length


def _ramp(at: Floats, low: float, high: float, width: float) -> Floats:
    ramp: Floats = np.clip((at - low) / width, 0, 1) * np.clip((high - at) / width, 0, 1)
    return ramp


def _mouth_cover() -> Tensor:
    """``(1, 1, CROP, CROP)``: 1 on the lower half of the box, falling to 0 around it."""
    box, edge = BOX_SHARE * CROP, (1 - BOX_SHARE) / 2 * CROP
    at = np.arange(CROP, dtype=np.float32)
    rows = _ramp(at, edge + 0.5 * box, CROP, 0.08 * CROP)
    columns = _ramp(at, edge + 0.08 * box, edge + 0.92 * box, 0.1 * CROP)
    return torch.from_numpy(np.outer(rows, columns).astype(np.float32))[None, None]


_COVER: Final = _mouth_cover()


def _lay_over(faces: Tensor, mouths: Tensor, which: npt.NDArray[np.bool_]) -> Tensor:
    cover = _COVER * torch.from_numpy(which).view(-1, 1, 1, 1)
    return faces * (1 - cover) + mouths * cover


@dataclass(frozen=True, slots=True)
class _Views:
    """Where in its crop each sample's box is taken; ``(B,)`` each."""

    scale: Tensor
    other_scale: Tensor
    right: Tensor
    down: Tensor
    mirror: Tensor

    @classmethod
    def plain(cls, size: int) -> "_Views":
        box, nothing = torch.full((size,), BOX_SHARE), torch.zeros(size)
        return cls(box, box, nothing, nothing, torch.ones(size))

    @classmethod
    def draw(cls, size: int, random: np.random.Generator) -> "_Views":
        scale = BOX_SHARE * _uniform(random, 0.93, 1.07, size)
        return cls(
            scale,
            scale * _uniform(random, 0.98, 1.02, size),
            _uniform(random, -0.05, 0.05, size),
            _uniform(random, -0.04, 0.04, size),
            torch.where(_uniform(random, 0, 1, size) < 0.5, -1.0, 1.0),
        )

    def see(self, crops: Tensor) -> Tensor:
        """``(B, 3, 96, 96)`` of crops."""
        return self._look(crops, self.scale)

    def see_other(self, crops: Tensor) -> Tensor:
        """The same place, a little nearer or farther: a reference is not boxed as exactly."""
        return self._look(crops, self.other_scale)

    def _look(self, crops: Tensor, scale: Tensor) -> Tensor:
        where = torch.zeros(len(crops), 2, 3)
        where[:, 0, 0], where[:, 1, 1] = scale * self.mirror, scale
        where[:, 0, 2], where[:, 1, 2] = self.right, self.down
        grid = functional.affine_grid(
            where, [len(crops), 3, FACE_SIZE, FACE_SIZE], align_corners=False
        )
        return functional.grid_sample(crops, grid, align_corners=False, padding_mode="border")


def _uniform(random: np.random.Generator, low: float, high: float, *shape: int) -> Tensor:
    return torch.from_numpy(random.uniform(low, high, shape).astype(np.float32))


def _tint(face: Tensor, reference: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Other light, the same on both."""
    size = len(face)
    gain = _uniform(random, 0.88, 1.12, size, 3, 1, 1) * _uniform(random, 0.85, 1.15, size, 1, 1, 1)
    offset = _uniform(random, -0.05, 0.05, size, 1, 1, 1)
    return (face * gain + offset).clamp(0, 1), (reference * gain + offset).clamp(0, 1)


def _disturb(mel: Floats, random: np.random.Generator) -> Floats:
    """Louder or softer, and now and then some bands silenced."""
    size = len(mel)
    mel = mel + random.uniform(-0.4, 0.4, (size, 1, 1, 1)).astype(np.float32)
    for row in np.flatnonzero(random.random(size) < 0.3):
        low = int(random.integers(BANDS - 10))
        mel[row, :, low : low + int(random.integers(4, 10))] = SILENCE
    return np.clip(mel, SILENCE, -SILENCE)
