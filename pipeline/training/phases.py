"""What is learned when.

Told to draw faces from the start, a network finds that the reference explains nearly everything,
and never listens. So sound is learned first and alone, then drawing with another frame as the
reference, and at last drawing as one dubs: from the frame itself, whose own mouth must not help.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn

from pipeline.networks.wav2lip import Wav2Lip
from pipeline.training.clips import Clip
from pipeline.training.losses import PatchJudge, picture_loss, shape_loss
from pipeline.training.mouths import COMPONENTS, MouthShapes, correlation
from pipeline.training.samples import Batch, Sampler

Phase = Literal["hear", "draw", "speak"]
PHASES: Final[tuple[Phase, ...]] = ("hear", "draw", "speak")

#: Of the time there is, when a phase ends at the latest.
ENDS: Final[dict[Phase, float]] = {"hear": 0.06, "draw": 0.45, "speak": 1.0}

#: The last part of the time, in which the rate falls to a twentieth.
_COOLING: Final = 0.3

#: Steps over which a phase's rate rises.
_WARMING_STEPS: Final = 200

#: Samples of a step.
BATCHES: Final[dict[Phase, int]] = {"hear": 128, "draw": 48, "speak": 48}

_HEAR_RATE, _DRAW_RATE, _JUDGE_RATE = 2e-3, 1.5e-3, 4e-4

#: What was learned of sound is kept: it moves at a tenth of the rate.
_HEARING_SHARE: Final = 0.1

#: Part of the samples of the last phase whose reference is the frame itself, its mouth replaced.
_WORTHLESS: Final = 0.65

_SHAPE_WEIGHT: Final[dict[Phase, float]] = {"draw": 0.03, "speak": 0.075, "hear": 0.0}

#: Of the judge's verdict and of what its layers saw; reached over so many steps.
_VERDICT_WEIGHT, _SEEN_WEIGHT, _JUDGE_STEPS = 0.012, 0.10, 400

#: Of the averaged weights, which are what is kept.
_AVERAGE: Final = 0.999


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast to learn at this moment: of all time, and since the phase began."""

    passed: float
    step: int

    @property
    def factor(self) -> float:
        warm = min(1.0, (self.step + 10) / _WARMING_STEPS)
        left = (1 - min(self.passed, 1.0)) / _COOLING
        return warm * (0.05 + 0.95 * min(1.0, left))


class Learner:
    """The network with everything that teaches it; all of it can be saved and loaded.

    Args:
        width: of the network.
        clips: to learn from.
        shapes: of these clips.
        seed: of the first weights and of all batches.
        device: to train on; on CUDA in bfloat16, which a CPU without AMX only does more slowly.

    Attributes:
        network: being trained.
        average: its weights averaged over steps; evaluated, and kept in the end.
    """

    def __init__(
        self,
        width: int,
        clips: Sequence[Clip],
        shapes: MouthShapes,
        seed: int,
        device: torch.device,
    ) -> None:
        torch.manual_seed(seed)
        self._device = device
        self.network = Wav2Lip(width).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = Wav2Lip(width).requires_grad_(False).eval()
        self.average.load_state_dict(self.network.state_dict())
        self._head = nn.Linear(32 * width, COMPONENTS)
        self._judge = PatchJudge()
        for module in (self.network, self.average, self._head, self._judge):
            module.to(device)
        self._shapes = shapes
        self._sampler = Sampler(clips, shapes, seed)
        hearing = list(self.network.audio_encoder.parameters())
        drawing = [
            *self.network.face_encoder_blocks.parameters(),
            *self.network.face_decoder_blocks.parameters(),
            *self.network.output_block.parameters(),
        ]
        self._optimizers: dict[str, torch.optim.Optimizer] = {
            "hear": torch.optim.AdamW(
                [_group([*hearing, *self._head.parameters()], _HEAR_RATE)],
                betas=(0.9, 0.99),
                weight_decay=0.05,
            ),
            "draw": torch.optim.AdamW(
                [_group(drawing, _DRAW_RATE), _group(hearing, _HEARING_SHARE * _DRAW_RATE)],
                betas=(0.5, 0.99),
                weight_decay=1e-4,
            ),
            "judge": torch.optim.AdamW(
                [_group(list(self._judge.parameters()), _JUDGE_RATE)], betas=(0.5, 0.99)
            ),
        }

    def learn(self, phase: Phase, rates: Rates) -> tuple[int, dict[str, float]]:
        """One step of a phase; how many samples it saw, and its losses by name."""
        if phase == "hear":
            return BATCHES[phase], self._hear(rates)
        return BATCHES[phase], self._draw(phase, rates)

    def hearing(self, clips: Sequence[Clip], samples: int = 512) -> float:
        """Correlation of what is heard with how mouths stand, on clips: the best component's."""
        mel, shapes = Sampler(clips, self._shapes, 0).draw_sound(samples, 0, changed=False)
        self.network.eval()
        with torch.inference_mode():
            heard = self._heard(mel.to(self._device)).cpu().numpy()
        seen = shapes.numpy()
        return max(correlation(heard[:, k], seen[:, k]) for k in range(6))

    def state(self) -> dict[str, Any]:
        """Everything, as plain tensors and numbers."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "head": self._head.state_dict(),
            "judge": self._judge.state_dict(),
            "optimizers": {name: each.state_dict() for name, each in self._optimizers.items()},
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take up where :meth:`state` was."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._head.load_state_dict(state["head"])
        self._judge.load_state_dict(state["judge"])
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])

    def hearing_state(self) -> dict[str, Tensor]:
        """A copy of what was learned of sound."""
        state = self.network.audio_encoder.state_dict()
        return {name: value.clone() for name, value in state.items()}

    def begin_drawing(self, hearing: dict[str, Tensor]) -> None:
        """Go on from the best that was learned of sound."""
        self.network.audio_encoder.load_state_dict(hearing)
        self.average.load_state_dict(self.network.state_dict())

    def _heard(self, mel: Tensor) -> Tensor:
        heard: Tensor = self._head(self.network.audio_encoder(mel).flatten(1))
        return heard

    def _hear(self, rates: Rates) -> dict[str, float]:
        mel, shapes = self._sampler.draw_sound(BATCHES["hear"], PHASES.index("hear"), rates.step)
        self.network.train()
        heard = self._heard(mel.to(self._device))
        loss = (heard - shapes.to(self._device)).pow(2).mean()
        self._step("hear", loss, rates)
        return {"hearing": loss.item()}

    def _draw(self, phase: Phase, rates: Rates) -> dict[str, float]:
        worthless = _WORTHLESS if phase == "speak" else 0.0
        batch = self._sampler.draw(
            BATCHES[phase], PHASES.index(phase), rates.step, worthless=worthless
        ).to(self._device)
        self.network.train()
        with torch.autocast("cuda", torch.bfloat16, enabled=self._device.type == "cuda"):
            drawn = self.network(batch.mel, batch.faces)
        drawn = drawn.float()
        picture = picture_loss(drawn, batch.wanted)
        shape = shape_loss(drawn, batch, self._shapes)
        losses = {"picture": picture.item(), "shape": shape.item()}
        loss = picture + _SHAPE_WEIGHT[phase] * shape
        if phase == "speak":
            verdict, seen = self._judge.reproach(drawn, batch.wanted)
            weight = min(1.0, rates.step / _JUDGE_STEPS)
            loss = loss + weight * (_VERDICT_WEIGHT * verdict + _SEEN_WEIGHT * seen)
        self._step("draw", loss, rates)
        if phase == "speak":
            losses["judge"] = self._teach_judge(drawn.detach(), batch, rates)
        # A young average follows fast, so that it does not remember how the network began.
        young = (1 + rates.step) / (10 + rates.step) if phase == "draw" else 1.0
        self._follow(1 - min(_AVERAGE, young))
        return losses

    def _teach_judge(self, drawn: Tensor, batch: Batch, rates: Rates) -> float:
        loss = self._judge.mistakes(drawn, batch.wanted)
        self._step("judge", loss, rates)
        return loss.item()

    def _step(self, name: str, loss: Tensor, rates: Rates) -> None:
        optimizer = self._optimizers[name]
        for group in optimizer.param_groups:
            group["lr"] = group["full_rate"] * rates.factor
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for group in optimizer.param_groups:
            nn.utils.clip_grad_norm_(group["params"], 1.0)
        optimizer.step()

    def _follow(self, share: float) -> None:
        """Move the average towards the network by this share of the way."""
        with torch.no_grad():
            ours, theirs = self.average.state_dict(), self.network.state_dict()
            for name, value in ours.items():
                if value.dtype.is_floating_point:
                    value.lerp_(theirs[name], share)
                else:
                    value.copy_(theirs[name])  # how many batches a norm has seen


def _group(parameters: list[nn.Parameter], rate: float) -> dict[str, Any]:
    return {"params": parameters, "lr": rate, "full_rate": rate}
