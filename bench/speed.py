"""Speed as ratios in one run: ``make bench``.

Absolute times on a shared machine say little; ratios of things timed in turn say what was gained.

- the network alone, at the precision ``auto`` picks, against the published network's own forward
  (eager, fp32, as the original script runs it), in turn; one call at a time on all cores, and as
  the renderer calls it, a call on each core;
- the whole command against the network alone, timed right before and after it, both ways; the
  process' own set-up (imports, loading the network) is left out. The first dub warms up;
- the built-in renderer against real time, at 720p.

Needs the folder of real footage beside the checkout (``../shared/clips``).
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipeline.dub import Order, dub_film
from pipeline.networks import Network
from pipeline.networks.build import build_network
from pipeline.networks.wav2lip import Wav2Lip, load_checkpoint
from pipeline.options import DetectorChoice, DubOptions, NetworkChoice
from pipeline.report import Report
from pipeline.running.progress import Silent
from pipeline.running.threads import map_in_threads

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "clips"

#: Rounds of each, in turn; the median counts.
ROUNDS = 5

#: Dubs of the whole command; the median of their ratios counts.
DUBS = 3

#: Calls a lane in one round of ours, so that starting the threads does not count.
BATCHES_A_ROUND = 4


def make_checkpoint(path: Path) -> Path:
    """A full-width Wav2Lip with seeded weights in the published checkpoint's format."""
    torch.manual_seed(0)
    state = {f"module.{name}": value for name, value in Wav2Lip().state_dict().items()}
    torch.save({"state_dict": state}, path)
    return path


def time_alternately(*works: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """The median seconds of each, run in turn so that a slow minute hits all alike."""
    for work in works:
        work()
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, spent in zip(works, seconds, strict=True):
            start = time.perf_counter()
            work()
            spent.append(time.perf_counter() - start)
    return [statistics.median(spent) for spent in seconds]


class Alone:
    """The network without the command around it, on random faces and sound."""

    def __init__(self, network: Network) -> None:
        random = np.random.default_rng(0)
        batch = network.batch_size
        crops = [random.integers(0, 256, (96, 96, 3), np.uint8) for _ in range(batch)]
        windows = [random.uniform(-4, 4, (80, 16)).astype(np.float32) for _ in range(batch)]
        self._network = network
        self._call = (crops, [np.zeros((5, 2), np.float32)] * batch, windows)
        self._calls = BATCHES_A_ROUND * network.lanes

    def run_one_call(self) -> None:
        torch.set_num_threads(os.cpu_count() or 1)
        self._network.speak(*self._call)

    def run_side_by_side(self) -> None:
        calls = [self._call] * self._calls
        list(map_in_threads(lambda call: self._network.speak(*call), calls, self._network.lanes))

    def rates(self, one_call: float, side_by_side: float) -> tuple[float, float]:
        """Frames a second, from seconds."""
        batch = self._network.batch_size
        return batch / one_call, batch * self._calls / side_by_side


def measure_networks(checkpoint: Path, alone: Alone, batch: int) -> tuple[float, float, float]:
    """Frames a second of the eager forward, ours one call at a time, and ours side by side."""
    eager = load_checkpoint(checkpoint)
    mel, faces = torch.rand(batch, 1, 80, 16), torch.rand(batch, 6, 96, 96)

    def run_eager() -> None:
        torch.set_num_threads(os.cpu_count() or 1)
        with torch.inference_mode():
            eager(mel, faces)

    seconds, *ours = time_alternately(run_eager, alone.run_one_call, alone.run_side_by_side)
    return batch / seconds, *alone.rates(*ours)


@dataclass(frozen=True, slots=True)
class Whole:
    """The whole command between two measurements of the network alone; frames a second."""

    rate: float
    one_call: float
    side_by_side: float
    report: Report

    @property
    def share(self) -> float:
        """Of the stricter rate."""
        return self.rate / self.side_by_side


def measure_whole(alone: Alone, folder: Path, network: NetworkChoice) -> Whole:
    ways = (alone.run_one_call, alone.run_side_by_side)
    before = alone.rates(*time_alternately(*ways, rounds=2))
    report = dub("portrait_25fps.mp4", "dialogue_zh.flac", folder, network)
    after = alone.rates(*time_alternately(*ways, rounds=2))
    one_call, side_by_side = (sum(pair) / 2 for pair in zip(before, after, strict=True))
    return Whole(report["frames"]["out"] / seconds_of_work(report), one_call, side_by_side, report)


def dub(film: str, dialogue: str, folder: Path, network: NetworkChoice) -> Report:
    options = DubOptions(sync_mode="cut_off")
    order = Order(
        CLIPS / film, CLIPS / dialogue, folder / "out.mkv", options, network, DetectorChoice()
    )
    return dub_film(order, Silent())


def seconds_of_work(report: Report) -> float:
    """All stages; loading the network is set-up."""
    stages = report["timings"].items()
    return float(sum(timing["seconds"] for stage, timing in stages if stage != "load"))


def print_whole(ascending: Sequence[Whole]) -> None:
    median = ascending[len(ascending) // 2]
    shares = ", ".join(f"{whole.share:.0%}" for whole in ascending)
    print(f"whole command:             {median.rate:6.1f} frames/s")
    print(f"  of one call:             {median.rate / median.one_call:6.0%}")
    print(f"  of side by side:         {median.share:6.0%} (of {shares})")
    for stage, timing in median.report["timings"].items():
        print(f"  {stage:8} {timing['seconds']:7.2f} s")


def main() -> None:
    if not CLIPS.is_dir():
        sys.exit("bench needs real footage in ../shared/clips")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        choice = NetworkChoice("wav2lip", make_checkpoint(folder / "wav2lip.pth"))
        assert choice.checkpoint is not None
        network = build_network(choice)
        alone = Alone(network)
        eager, *ours = measure_networks(choice.checkpoint, alone, network.batch_size)
        print(f"precision: {network.precision_note}")
        print(f"network, eager fp32:       {eager:6.1f} frames/s")
        for way, rate in zip(("one call", "side by side"), ours, strict=True):
            print(f"network, {way:16}  {rate:6.1f} frames/s, {rate / eager:.2f} × eager")
        dub("talk_30fps.mp4", "dialogue_short.flac", folder, choice)
        wholes = [measure_whole(alone, folder, choice) for _ in range(DUBS)]
        print_whole(sorted(wholes, key=lambda whole: whole.share))
        draft = dub("film.mkv", "dialogue_en.flac", folder, NetworkChoice("draft"))
        speed = draft["picture_seconds"] / seconds_of_work(draft)
        print(f"draft, 720p:               {speed:6.2f} × real time")


if __name__ == "__main__":
    main()
