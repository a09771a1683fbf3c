"""What the network that comes with lipfarm costs, as ratios in one run.

- alone, against the published width, both in the published arithmetic and both at the precision
  ``auto`` picks, in turn; one call at a time on all cores, and a call on each core;
- a whole dub with it against real time, at 576 × 768.

Needs the folder of real footage beside the checkout (``../shared/clips``).
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from bench.speed import CLIPS, Alone, dub, make_checkpoint, seconds_of_work, time_alternately
from infra.checkpoints import REGISTRY
from pipeline.networks.build import build_network
from pipeline.options import NetworkChoice, Precision

#: Dubs, in turn with nothing; each is told.
DUBS = 3

PRECISIONS: tuple[Precision, ...] = ("fp32", "auto")


def main() -> None:
    if not CLIPS.is_dir():
        sys.exit("bench needs real footage in ../shared/clips")
    shipped = NetworkChoice("wav2lip", REGISTRY["lipfarm-small"].path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        published = NetworkChoice("wav2lip", make_checkpoint(folder / "wav2lip.pth"))
        for precision in PRECISIONS:
            compare(replace(shipped, precision=precision), replace(published, precision=precision))
        for _ in range(DUBS):
            report = dub("portrait_25fps.mp4", "dialogue_zh.flac", folder, shipped)
            speed = report["picture_seconds"] / seconds_of_work(report)
            print(f"whole dub, 576 × 768:      {speed:6.2f} × real time")
        for stage, timing in report["timings"].items():
            print(f"  {stage:8} {timing['seconds']:7.2f} s")


def compare(small: NetworkChoice, full: NetworkChoice) -> None:
    networks = build_network(small), build_network(full)
    for network in networks:
        print(network.precision_note)
    ours, theirs = map(Alone, networks)
    seconds = time_alternately(
        ours.run_one_call, ours.run_side_by_side, theirs.run_one_call, theirs.run_side_by_side
    )
    rates = (ours.rates(*seconds[:2]), theirs.rates(*seconds[2:]))
    for way, small_rate, full_rate in zip(("one call", "side by side"), *rates, strict=True):
        print(
            f"network, {way:16}  {small_rate:6.1f} frames/s, {small_rate / full_rate:.1f} × the "
            f"published width's {full_rate:.1f}"
        )


if __name__ == "__main__":
    main()
