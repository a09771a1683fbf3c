"""How far a drawn face is from the wanted one, where it matters."""

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.networks.wav2lip import FACE_SIZE
from pipeline.training.mouths import MouthShapes
from pipeline.training.samples import Batch

#: The mouth counts so many times the rest of the lower half, the half that is shown so little.
_MOUTH_WEIGHT: Final = 4.0
_SHOWN_WEIGHT: Final = 0.3

#: Of gradients against levels: blur costs little in levels and much in gradients.
_GRADIENT_WEIGHT: Final = 0.7

#: Blur and texture differ by a few hundredths, and the spectral norms let no layer enlarge that.
_JUDGE_GAIN: Final = 6.0

#: Sides of the places within which edges are counted, in pixels.
_EDGE_PLACES: Final = (4, 8)

#: What the patch judge looks at: the half that is drawn, without the background at its sides.
_JUDGED: Final = (slice(None), slice(None), slice(44, 96), slice(8, 88))


def _weights() -> Tensor:
    at = np.arange(FACE_SIZE, dtype=np.float32)
    rows = np.clip((at - 52) / 8, 0, 1) * np.clip((95 - at) / 8, 0, 1)
    columns = np.clip((at - 16) / 10, 0, 1) * np.clip((80 - at) / 10, 0, 1)
    weights = 1 + (_MOUTH_WEIGHT - 1) * np.outer(rows, columns)
    weights[: FACE_SIZE // 2] *= _SHOWN_WEIGHT
    return torch.from_numpy(weights.astype(np.float32))[None, None]


_WEIGHTS: Final = _weights()


def picture_loss(drawn: Tensor, wanted: Tensor) -> Tensor:
    """Weighted L1 of levels and of gradients, of ``(B, 3, 96, 96)`` faces."""
    apart, weights = drawn - wanted, _WEIGHTS.to(drawn.device)
    levels = (apart.abs() * weights).mean()
    down = (apart[:, :, 1:, :-1] - apart[:, :, :-1, :-1]).abs()
    right = (apart[:, :, :-1, 1:] - apart[:, :, :-1, :-1]).abs()
    gradients = ((down + right) * weights[:, :, 1:, 1:]).mean()
    return levels + _GRADIENT_WEIGHT * gradients


def shape_loss(drawn: Tensor, batch: Batch, shapes: MouthShapes) -> Tensor:
    """Squared error of the mouth's shape, in variances."""
    return shapes.difference(drawn, batch.wanted).pow(2).mean()


def color_loss(drawn: Tensor, wanted: Tensor) -> Tensor:
    """How far colours are apart once all detail is gone: means of 12 × 12 pixels."""
    return functional.avg_pool2d(drawn - wanted, 12).abs().mean()


def edge_loss(drawn: Tensor, wanted: Tensor) -> Tensor:
    """How much more or less edge there is around each place; not whether it is the same edge.

    Levels and gradients ask for the mean of all that could be there, and a mean is blurred. This
    asks for as much detail as was filmed.
    """
    drawn, wanted = drawn[_JUDGED], wanted[_JUDGED]
    lost = [
        (_contrast(drawn, side) - _contrast(wanted, side)).abs().mean() for side in _EDGE_PLACES
    ]
    return torch.stack(lost).sum()


def _contrast(faces: Tensor, side: int) -> Tensor:
    """Root mean square of the gradients within overlapping squares."""
    down = faces[:, :, 1:, :-1] - faces[:, :, :-1, :-1]
    right = faces[:, :, :-1, 1:] - faces[:, :, :-1, :-1]
    return (functional.avg_pool2d(down.pow(2) + right.pow(2), side, side // 2) + 1e-5).sqrt()


class PatchJudge(nn.Module):
    """Tells drawn lower halves from filmed ones, patch by patch.

    Small, and held back by spectral norms, so that it asks for texture and not for a memory of the
    clips. Source of the norm: Miyato et al., ICLR 2018.
    """

    def __init__(self) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.spectral_norm
        self.layers = nn.ModuleList(
            [
                norm(nn.Conv2d(3, 24, 4, 2, 1)),  # (3, 52, 80) → (24, 26, 40)
                norm(nn.Conv2d(24, 48, 4, 2, 1)),  # → (48, 13, 20)
                norm(nn.Conv2d(48, 96, 3, 1, 1)),  # → (96, 13, 20)
            ]
        )
        self.verdict = norm(nn.Conv2d(96, 1, 3, 1, 1))  # → (1, 13, 20)

    def forward(self, faces: Tensor) -> tuple[Tensor, list[Tensor]]:
        """A verdict a patch (above 0: filmed), and what each layer saw."""
        seen: list[Tensor] = []
        x = _JUDGE_GAIN * faces[_JUDGED]
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), 0.2)
            seen.append(x)
        verdict: Tensor = self.verdict(x)
        return verdict, seen

    def mistakes(self, drawn: Tensor, filmed: Tensor) -> Tensor:
        """Hinge loss of the judge itself."""
        return (
            functional.relu(1 - self(filmed)[0]).mean() + functional.relu(1 + self(drawn)[0]).mean()
        )

    def reproach(self, drawn: Tensor, filmed: Tensor) -> dict[str, Tensor]:
        """What the network is told: the verdict, and how its layers saw both differently."""
        verdict, seen = self(drawn)
        with torch.no_grad():
            _, wanted = self(filmed)
        apart = [(a - b).abs().mean() for a, b in zip(seen, wanted, strict=True)]
        return {"verdict": -verdict.mean(), "seen": torch.stack(apart).sum()}
