"""A training run: phase after phase, until its time is up, whatever kills it on the way."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from pipeline.errors import CheckpointError, ParameterError, UnusableMediaError, one_line
from pipeline.networks.inference import choose_device
from pipeline.networks.wav2lip import MAX_WIDTH
from pipeline.output.publish import check_output, writing_errors
from pipeline.training.cards import CARD_SUFFIXES, UNKNOWN_LICENCE, write_card
from pipeline.training.clips import Clip
from pipeline.training.measuring import Measures, draw_rows, measure, network_of
from pipeline.training.mouths import MouthShapes
from pipeline.training.phases import BATCHES, ENDS, PHASES, Learner, Phase, Rates
from pipeline.training.sheet import SHEET_SUFFIX, write_sheet

#: How often everything is written down: so much a kill costs.
_SAVE_SECONDS: Final = 60.0

#: How often people held out are looked at.
_LOOK_SECONDS: Final = 240.0

#: How often a line says how far it is.
_SAY_SECONDS: Final = 15.0

#: Steps between two looks at how well sound is understood.
_HEARING_STEPS: Final = 50

#: Sound is learned by heart soon after it is understood: looks without a better one end it.
_HEARING_PATIENCE: Final = 8

#: Looks in a row at mouths that stood no truer than the best before a run ends early.
_PATIENCE: Final = 8

#: Of each phase's last loss in what is said.
_SMOOTH: Final = 0.95


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do.

    Attributes:
        clips: the prepared folder.
        output: the checkpoint to write: ``.safetensors`` (half precision) or ``.pth``.
        width: channels of the first face layer; the published networks have 16.
        seconds: of training, all sittings together; setting up and looking do not count.
        samples: to be seen at the most, for runs that must not depend on the machine; None: no
            such end.
        seed: of everything that is drawn.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        licence: what the clips allow a network to be used for, for its card.
    """

    clips: Path
    output: Path
    width: int
    seconds: float
    samples: int | None = None
    seed: int = 0
    device: str = "auto"
    licence: str = UNKNOWN_LICENCE

    def __post_init__(self) -> None:
        if not 1 <= self.width <= MAX_WIDTH:
            raise ParameterError(
                f"the width {self.width} is not between 1 and {MAX_WIDTH}", field="width"
            )
        if self.output.suffix not in {".pth", ".safetensors"}:
            raise ParameterError(
                f"{one_line(self.output)}: a checkpoint ends in .safetensors or .pth",
                field="output",
            )
        if self.seconds <= 0 or (self.samples is not None and self.samples <= 0):
            raise ParameterError("a run needs some time and some samples")

    @property
    def folder(self) -> Path:
        """Where the run keeps its state, log and pictures."""
        return self.output.with_name(self.output.name + ".training")


@dataclass(slots=True)
class Standing:
    """How far a run is; kept through kills."""

    phase: Phase = "hear"
    step: int = 0
    samples: int = 0
    seconds: float = 0.0
    best_hearing: float = 0.0
    stale_looks: int = 0
    best_shape: float = -1.0
    losses: dict[str, float] = field(default_factory=dict)

    def passed(self, plan: Plan) -> float:
        """Part of the run that is over, by time or by samples, whichever is farther."""
        by_time = self.seconds / plan.seconds
        return max(by_time, self.samples / plan.samples) if plan.samples else by_time


Say = Callable[[str], None]


def train(plan: Plan, say: Say) -> Measures:
    """Train a network from nothing, or go on where an earlier call for the same output stopped.

    Args:
        plan: what to do.
        say: is told, line by line, how far it is and how good.

    Returns:
        How the checkpoint does on people held out.

    Raises:
        UnusableMediaError: too few clips are prepared.
        CheckpointError: the output belongs to a run with another plan.
        OutputError: the checkpoint, or what goes with it, cannot be written there.
    """
    return _Run(plan, say).to_its_end()


class _Run:
    def __init__(self, plan: Plan, say: Say) -> None:
        self._plan, self._say = plan, say
        _check_outputs(plan.output)
        clips = Clip.all_in(plan.clips)
        self._held_out = [clip for clip in clips if clip.facts.held_out]
        self._clips = [clip for clip in clips if not clip.facts.held_out]
        if not self._clips or not self._held_out:
            raise UnusableMediaError(f"{plan.clips}: needs clips of at least two people")
        self._shapes = MouthShapes.of(self._clips)
        device = choose_device(plan.device)
        self._learner = Learner(plan.width, self._clips, self._shapes, plan.seed, device)
        self._standing = Standing()
        self._hearing = self._learner.hearing_state()
        plan.folder.mkdir(parents=True, exist_ok=True)
        self._take_up()

    def to_its_end(self) -> Measures:
        self._introduce()
        saved = looked = said = time.monotonic()
        while self._standing.phase != PHASES[-1] or self._standing.passed(self._plan) < 1:
            began = time.monotonic()
            self._step()
            self._standing.seconds += (now := time.monotonic()) - began
            if now - said > _SAY_SECONDS:
                self._tell(began=began)
                said = now
            if now - looked > _LOOK_SECONDS and self._standing.phase != "hear":
                if self._look():
                    break
                looked = time.monotonic()
            if now - saved > _SAVE_SECONDS:
                self._save()
                saved = time.monotonic()
        return self._finish()

    def _step(self) -> None:
        standing = self._standing
        phase = standing.phase
        rates = Rates(standing.passed(self._plan), standing.step)
        seen, losses = self._learner.learn(phase, rates)
        standing.step += 1
        standing.samples += seen
        for name, value in losses.items():
            before = standing.losses.get(name, value)
            standing.losses[name] = _SMOOTH * before + (1 - _SMOOTH) * value
        is_over = standing.passed(self._plan) >= ENDS[phase]
        if phase == "hear" and (is_over or standing.step % _HEARING_STEPS == 0):
            is_over = self._listen() or is_over
        if is_over and phase != PHASES[-1]:
            self._begin(PHASES[PHASES.index(phase) + 1])

    def _listen(self) -> bool:
        """Whether sound is as well understood as it will be."""
        standing = self._standing
        heard = self._learner.hearing(self._held_out)
        if heard > standing.best_hearing:
            standing.best_hearing, standing.stale_looks = heard, 0
            self._hearing = self._learner.hearing_state()
        else:
            standing.stale_looks += 1
        self._say(f"hear: correlation with the mouths of people held out {heard:.2f}")
        return standing.stale_looks >= _HEARING_PATIENCE

    def _begin(self, phase: Phase) -> None:
        if phase == "draw":
            self._learner.begin_drawing(self._hearing)
        standing = self._standing
        standing.phase, standing.step, standing.stale_looks = phase, 0, 0
        standing.losses, standing.best_shape = {}, -1.0
        self._say(f"{phase}: begins after {standing.samples} samples")
        self._save()

    def _look(self) -> bool:
        """Look at people held out; whether the last phase has stopped getting better."""
        network = network_of(self._learner.average)
        measures = measure(network, self._held_out, self._shapes)
        write_sheet(
            draw_rows(network, self._held_out, self._shapes), self._plan.folder / "sheet.png"
        )
        self._say(describe(measures))
        self._log({"measures": measures.as_json()})
        standing = self._standing
        # Not the error: more detail costs some, and is wanted.
        is_better = measures.shape > standing.best_shape
        standing.best_shape = max(standing.best_shape, measures.shape)
        standing.stale_looks = 0 if is_better else standing.stale_looks + 1
        return standing.phase == PHASES[-1] and standing.stale_looks >= _PATIENCE

    def _finish(self) -> Measures:
        network = network_of(self._learner.average)
        measures = measure(network, self._held_out, self._shapes)
        self._save()
        _write_checkpoint(self._learner.average.state_dict(), self._plan.output)
        sheet = self._plan.output.with_suffix(SHEET_SUFFIX)
        write_sheet(draw_rows(network, self._held_out, self._shapes), sheet)
        facts = asdict(self._standing) | {"width": self._plan.width, "seed": self._plan.seed}
        licence = self._plan.licence
        write_card(self._plan.output, self._clips, self._held_out, facts, measures, licence)
        self._say(f"{self._plan.output}: {describe(measures)}")
        return measures

    def _introduce(self) -> None:
        standing, frames = self._standing, sum(map(len, self._clips))
        self._say(
            f"{len(self._clips)} clips, {frames} frames, {len(self._held_out)} held out; "
            + (f"goes on after {standing.seconds / 60:.1f} min" if standing.samples else "begins")
        )

    def _tell(self, began: float) -> None:
        standing, taken = self._standing, time.monotonic() - began
        passed = standing.passed(self._plan)
        left = standing.seconds / passed - standing.seconds if passed else self._plan.seconds
        losses = ", ".join(f"{name} {value:.4f}" for name, value in standing.losses.items())
        self._say(
            f"{standing.phase}: step {standing.step}, {standing.samples} samples, "
            f"{BATCHES[standing.phase] / taken:.0f}/s, {left / 60:.0f} min left; {losses}"
        )
        self._log({"samples": standing.samples, "losses": dict(standing.losses)})

    def _log(self, entry: dict[str, Any]) -> None:
        standing = self._standing
        entry = {"phase": standing.phase, "seconds": round(standing.seconds, 1), **entry}
        with (self._plan.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(entry) + "\n")

    def _save(self) -> None:
        state = {
            "plan": self._identity(),
            "standing": asdict(self._standing),
            "hearing": self._hearing,
            "learner": self._learner.state(),
        }
        _replace(self._plan.folder / "state.pt", lambda path: torch.save(state, path))

    def _take_up(self) -> None:
        path = self._plan.folder / "state.pt"
        if not path.is_file():
            return
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise CheckpointError(
                f"{path} is damaged; remove {path.parent} to begin again"
            ) from error
        if state["plan"] != self._identity():
            raise CheckpointError(
                f"{path.parent} is of a run with other clips, width or seed; "
                "remove it to begin again, or name another output"
            )
        self._standing = Standing(**state["standing"])
        self._hearing = state["hearing"]
        self._learner.load(state["learner"])

    def _identity(self) -> dict[str, Any]:
        """What may not change between two sittings of one run."""
        digests = sorted(clip.facts.digest for clip in (*self._clips, *self._held_out))
        return {"clips": digests, "width": self._plan.width, "seed": self._plan.seed}


def _check_outputs(checkpoint: Path) -> None:
    """See, before hours of work, that all that is written at the end can be.

    Raises:
        OutputError, StorageFullError: it cannot.
    """
    with writing_errors(checkpoint):
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (checkpoint.suffix, *CARD_SUFFIXES, SHEET_SUFFIX):
        check_output(checkpoint.with_suffix(suffix), what="checkpoint")


def describe(measures: Measures) -> str:
    """Measures in one line."""
    motion = (
        "" if measures.motion is None else f", motion in speech {measures.motion:.1f} × silence"
    )
    return (
        f"mouth error {measures.right:.2f} levels, with a wrong sound {measures.wrong:.2f} "
        f"({100 * measures.sound_matters:+.1f} %), shape {measures.shape:.2f}, reach "
        f"{measures.reach:.2f}, sharpness "
        f"{measures.sharpness:.2f}, colour {measures.colour:.1f} levels{motion}"
    )


def _write_checkpoint(weights: dict[str, Tensor], path: Path) -> None:
    if path.suffix == ".pth":
        _replace(path, lambda part: torch.save({"state_dict": weights}, part))
        return
    from safetensors.torch import save_file  # noqa: PLC0415 -- only for this kind

    half = {
        name: value.half() if value.dtype == torch.float32 else value
        for name, value in weights.items()
    }
    _replace(path, lambda part: save_file(half, part))


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file whole or not at all, and have it on the disk before it counts."""
    part = path.with_name(f".{path.name}.part")
    write(part)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
