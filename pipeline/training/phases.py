"""What is learned when.

Told to draw faces from the start, a network finds that the reference explains nearly everything,
and never listens. So sound is learned first and alone, then drawing with another frame as the
reference, and at last drawing as one dubs: from the frame itself, whose own mouth must not help.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.networks.wav2lip import Wav2Lip
from pipeline.training.clips import Clip
from pipeline.training.losses import PatchJudge, color_loss, edge_loss, picture_loss, shape_loss
from pipeline.training.mouths import COMPONENTS, MouthShapes, correlation
from pipeline.training.roughening import Roughness
from pipeline.training.samples import Batch, Sampler

Phase = Literal["hear", "draw", "speak"]
PHASES: Final[tuple[Phase, ...]] = ("hear", "draw", "speak")

#: Of the time there is, when a phase ends at the latest. Detail asked for before the drawing is
#: true becomes a texture that stays: teeth were drawn as dots where drawing ended at 0.38.
ENDS: Final[dict[Phase, float]] = {"hear": 0.06, "draw": 0.6, "speak": 1.0}

#: The last part of the time, in which the rate falls to a twentieth.
_COOLING: Final = 0.3

#: Steps over which a phase's rate rises.
_WARMING_STEPS: Final = 200

#: Samples of a step.
BATCHES: Final[dict[Phase, int]] = {"hear": 128, "draw": 32, "speak": 32}

_HEAR_RATE, _DRAW_RATE, _JUDGE_RATE = 2e-3, 1.5e-3, 1e-3

#: Components that tell most of a mouth; sound says little of the others.
_LARGEST: Final = 6

#: What was learned of sound is kept: it moves at a tenth of the rate.
_HEARING_SHARE: Final = 0.1

#: Part of the samples whose reference is the frame itself, its mouth replaced.
_WORTHLESS: Final[dict[Phase, float]] = {"draw": 0.4, "speak": 0.65}

_SHAPE_WEIGHT: Final[dict[Phase, float]] = {"draw": 0.04, "speak": 0.075}

#: Steps over which those who ask for detail come to have their whole say.
_DETAIL_STEPS: Final = 400

#: What each of them has to say to a drawn pixel, as a part of what the loss of truth says. Their
#: losses have no common measure, and drift as the judge learns; their gradients have one. Source:
#: the adaptive weight of Esser et al., CVPR 2021.
_DETAIL_SHARES: Final = {"verdict": 0.8, "seen": 0.35, "edges": 0.65}

#: Steps of the noise in the decoder, in parts of its layers' largest values: wide until the network
#: draws without small differences, and narrow where it would pass for the detail asked for.
_ROUGHNESS: Final[dict[Phase, float]] = {"draw": 8 / 255, "speak": 2 / 255}

#: Of the averaged weights, which are what is kept.
_AVERAGE: Final = 0.99


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
        self._seed, self._device = seed, device
        self.network = Wav2Lip(width).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._roughness = Roughness(self.network)
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

    def hearing(self, clips: Sequence[Clip]) -> float:
        """Correlation of what is heard with how mouths stand: of the components that say most."""
        self.network.eval()
        scores = []
        for clip in clips:
            mel = np.stack([clip.windows[frame] for frame in range(0, len(clip), 2)])[:, None]
            with torch.inference_mode():
                heard = self._heard(torch.from_numpy(mel).to(self._device)).cpu().numpy()
            seen = self._shapes.of_clip(clip)[::2]
            scores += [correlation(heard[:, k], seen[:, k]) for k in range(_LARGEST)]
        return float(np.mean(scores))

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
        batch = self._sampler.draw(
            BATCHES[phase], PHASES.index(phase), rates.step, worthless=_WORTHLESS[phase]
        ).to(self._device)
        self.network.train()
        # A run that was killed meets the same noise as one that was not.
        key = np.random.SeedSequence([self._seed, PHASES.index(phase), rates.step])
        torch.manual_seed(int(key.generate_state(1)[0]))
        self._roughness.step = _ROUGHNESS[phase]
        with torch.autocast("cuda", torch.bfloat16, enabled=self._device.type == "cuda"):
            drawn = self.network(batch.mel, batch.faces)
        seen = drawn.detach().float().requires_grad_()
        true = {
            "picture": picture_loss(seen, batch.wanted),
            "color": color_loss(seen, batch.wanted),
            "shape": _SHAPE_WEIGHT[phase] * shape_loss(seen, batch, self._shapes),
        }
        (pull,) = torch.autograd.grad(torch.stack(list(true.values())).sum(), seen)
        losses = {name: loss.item() for name, loss in true.items()}
        if phase == "speak":
            detail = self._judge.reproach(seen, batch.wanted)
            detail["edges"] = edge_loss(seen, batch.wanted)
            pull = _shared(pull, seen, detail, min(1.0, rates.step / _DETAIL_STEPS))
            losses |= {name: loss.item() for name, loss in detail.items()}
        self._step("draw", drawn, rates, pull.to(drawn.dtype))
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

    def _step(self, name: str, output: Tensor, rates: Rates, pull: Tensor | None = None) -> None:
        """Against a gradient of an output; without one the output is a loss."""
        optimizer = self._optimizers[name]
        for group in optimizer.param_groups:
            group["lr"] = group["full_rate"] * rates.factor
        optimizer.zero_grad(set_to_none=True)
        output.backward(pull)  # type: ignore[no-untyped-call]
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


def _shared(pull: Tensor, seen: Tensor, detail: dict[str, Tensor], say: float) -> Tensor:
    """A gradient with those of the detail losses, each scaled to its share of it."""
    whole = pull
    for name, loss in detail.items():
        (own,) = torch.autograd.grad(loss, seen, retain_graph=True)  # both judge losses share one
        share = say * _DETAIL_SHARES[name] * pull.norm() / own.norm().clamp(min=1e-12)
        whole = whole + share * own
    return whole


def _group(parameters: list[nn.Parameter], rate: float) -> dict[str, Any]:
    return {"params": parameters, "lr": rate, "full_rate": rate}
