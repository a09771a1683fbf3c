"""Speed as ratios in one run: ``make bench``.

Absolute times on a shared machine say little; ratios of things timed in turn say what was gained.

- the network alone, at the precision ``auto`` picks, against the published network's own forward
  (eager, fp32, as the original script runs it), both in turn;
- the whole command against the network alone, the process' own set-up left out;
- the built-in renderer against real time, at 720p.

Needs the folder of real footage beside the checkout (``../shared/clips``).
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
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

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "clips"

#: Rounds of each, in turn; the median counts.
ROUNDS = 5


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


def compare_networks(checkpoint: Path, choice: NetworkChoice) -> tuple[float, float, Network]:
    """Frames a second of the eager forward and of ours, on the same batch."""
    eager = load_checkpoint(checkpoint)
    ours = build_network(choice)
    batch = ours.batch_size
    random = np.random.default_rng(0)
    crops = [random.integers(0, 256, (96, 96, 3), np.uint8) for _ in range(batch)]
    windows = [random.uniform(-4, 4, (80, 16)).astype(np.float32) for _ in range(batch)]
    landmarks = [np.zeros((5, 2), np.float32)] * batch
    mel, faces = torch.rand(batch, 1, 80, 16), torch.rand(batch, 6, 96, 96)

    def run_eager() -> None:
        with torch.inference_mode():
            eager(mel, faces)

    slow, fast = time_alternately(run_eager, lambda: ours.speak(crops, landmarks, windows))
    return batch / slow, batch / fast, ours


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
        eager, alone, network = compare_networks(choice.checkpoint or folder, choice)
        print(f"precision: {network.precision_note}")
        print(f"network, eager fp32: {eager:6.1f} frames/s")
        print(f"network, ours:       {alone:6.1f} frames/s, {alone / eager:.2f} × eager (≥ 3.5)")
        report = dub("portrait_25fps.mp4", "dialogue_zh.flac", folder, choice)
        _, after, _ = compare_networks(choice.checkpoint or folder, choice)
        whole = report["frames"]["out"] / seconds_of_work(report)
        reference = statistics.mean((alone, after))
        print(
            f"whole command:       {whole:6.1f} frames/s, {whole / reference:.0%} of ours (≥ 55 %)"
        )
        for stage, timing in report["timings"].items():
            print(f"  {stage:8} {timing['seconds']:7.2f} s")
        draft = dub("film.mkv", "dialogue_en.flac", folder, NetworkChoice("draft"))
        speed = draft["picture_seconds"] / seconds_of_work(draft)
        print(f"draft, 720p:         {speed:6.2f} × real time (> 1)")


if __name__ == "__main__":
    main()
