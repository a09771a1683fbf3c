"""How fast the network alone is in each precision, in one run: ``python -m bench.network``.

A seeded checkpoint of the published width, made on the spot. Rounds are interleaved, so what else
the machine does falls on all alike; medians and their ratios to the eager fp32 forward count.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from pipeline.networks.inference import CPU_BATCH
from pipeline.networks.precision import has_int8, prepare
from pipeline.networks.wav2lip import Wav2Lip, in_unit

CPU = torch.device("cpu")


def seeded_network(width: int) -> Wav2Lip:
    torch.manual_seed(0)
    return Wav2Lip(width).eval().requires_grad_(False)


def candidates(width: int) -> dict[str, Callable[[], object]]:
    network = seeded_network(width)
    generator = torch.Generator().manual_seed(1)
    mel = torch.rand(CPU_BATCH, 1, 80, 16, generator=generator) * 8 - 4
    faces = torch.randint(0, 256, (CPU_BATCH, 6, 96, 96), dtype=torch.uint8, generator=generator)
    channels_last = faces.contiguous(memory_format=torch.channels_last)
    precisions = ["fp32-folded", "bf16", *(["int8"] if has_int8(CPU) else []), "auto"]
    calls: dict[str, Callable[[], object]] = {"eager fp32": partial(network, mel, in_unit(faces))}
    for precision in precisions:
        start = time.perf_counter()
        prepared = prepare(network, CPU, precision)
        print(f"{precision}: {prepared.note} (ready in {time.perf_counter() - start:.1f} s)")
        calls[precision] = partial(prepared.forward, mel, channels_last)
    return calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    seconds: dict[str, list[float]] = {}
    with torch.inference_mode():
        calls = candidates(options.width)
        for call in calls.values():
            call()
        for _ in range(options.rounds):
            for name, call in calls.items():
                start = time.perf_counter()
                call()
                seconds.setdefault(name, []).append(time.perf_counter() - start)
    base = seconds["eager fp32"]
    print(f"batch {CPU_BATCH}, {options.threads} threads, {options.rounds} rounds")
    for name, times in seconds.items():
        rate = CPU_BATCH / statistics.median(times)
        ratio = np.median(np.array(base) / np.array(times))
        print(f"{name:12} {rate:6.1f} frames/s  {ratio:5.2f} × eager fp32")


if __name__ == "__main__":
    main()
