"""Speed as ratios in one run: ``make bench``.

Absolute times on a shared machine say little; ratios of things timed in turn say what was gained.

- the network alone, at the precision ``auto`` picks, against the published network's own forward
  (eager, fp32, as the original script runs it), in turn; one call at a time on all cores, and as
  the renderer calls it, a call on each core;
- the whole command against the network alone, the process' own set-up left out, both ways;
- the built-in renderer against real time, at 720p.

Needs the folder of real footage beside the checkout (``../shared/clips``).
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
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

#: Calls a lane in one round of ours, so that starting the threads does not count.
BATCHES_A_ROUND = 4


def make_checkpoint(path: Path) -> Path:
    """A full-width Wav2Lip with seeded weights in the published checkpoint's format."""
    torch.manual_seed(0)
    state = {f"module.{name}": value for name, value in Wav2Lip().state_dict().items()}
    torch.save({"state_dict": state}, path)
    return path


def time_alternately(*works: Callable[[], object]) -> list[float]:
    """The median seconds of each, run in turn so that a slow minute hits all alike."""
    for work in works:
        work()
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, spent in zip(works, seconds, strict=True):
            start = time.perf_counter()
            work()
            spent.append(time.perf_counter() - start)
    return [statistics.median(spent) for spent in seconds]


@dataclass(frozen=True, slots=True)
class Rates:
    """Frames a second of the network alone."""

    eager: float
    one_call: float
    side_by_side: float


def measure_networks(checkpoint: Path, ours: Network) -> Rates:
    """The eager forward, ours one call at a time, and ours a call on each core, in turn."""
    eager = load_checkpoint(checkpoint)
    batch = ours.batch_size
    random = np.random.default_rng(0)
    crops = [random.integers(0, 256, (96, 96, 3), np.uint8) for _ in range(batch)]
    windows = [random.uniform(-4, 4, (80, 16)).astype(np.float32) for _ in range(batch)]
    landmarks = [np.zeros((5, 2), np.float32)] * batch
    mel, faces = torch.rand(batch, 1, 80, 16), torch.rand(batch, 6, 96, 96)

    def run_eager() -> None:
        torch.set_num_threads(os.cpu_count() or 1)
        with torch.inference_mode():
            eager(mel, faces)

    def speak(_: int) -> object:
        return ours.speak(crops, landmarks, windows)

    def run_ours() -> None:
        torch.set_num_threads(os.cpu_count() or 1)
        speak(0)

    calls = BATCHES_A_ROUND * ours.lanes
    eager_seconds, one, several = time_alternately(
        run_eager, run_ours, lambda: list(map_in_threads(speak, range(calls), ours.lanes))
    )
    return Rates(batch / eager_seconds, batch / one, batch * calls / several)


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


def main() -> None:
    if not CLIPS.is_dir():
        sys.exit("bench needs real footage in ../shared/clips")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        choice = NetworkChoice("wav2lip", make_checkpoint(folder / "wav2lip.pth"))
        assert choice.checkpoint is not None
        network = build_network(choice)
        alone = measure_networks(choice.checkpoint, network)
        print(f"precision: {network.precision_note}")
        print(f"network, eager fp32:       {alone.eager:6.1f} frames/s")
        for way, rate in (("one call", alone.one_call), ("side by side", alone.side_by_side)):
            print(f"network, {way:16}  {rate:6.1f} frames/s, {rate / alone.eager:.2f} × eager")
        report = dub("portrait_25fps.mp4", "dialogue_zh.flac", folder, choice)
        whole = report["frames"]["out"] / seconds_of_work(report)
        print(f"whole command:             {whole:6.1f} frames/s")
        print(f"  of one call:             {whole / alone.one_call:6.0%}")
        print(f"  of side by side:         {whole / alone.side_by_side:6.0%}")
        for stage, timing in report["timings"].items():
            print(f"  {stage:8} {timing['seconds']:7.2f} s")
        draft = dub("film.mkv", "dialogue_en.flac", folder, NetworkChoice("draft"))
        speed = draft["picture_seconds"] / seconds_of_work(draft)
        print(f"draft, 720p:               {speed:6.2f} × real time")


if __name__ == "__main__":
    main()
