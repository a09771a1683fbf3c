"""Which arithmetic the network runs in, and making it run so."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from pipeline.errors import ParameterError
from pipeline.networks.calibration import calibration_batches
from pipeline.networks.folding import fold
from pipeline.networks.int8 import Int8Wav2Lip, find_scales
from pipeline.networks.wav2lip import Wav2Lip, in_unit

#: Mel ``(B, 1, 80, 16)`` float32 and faces ``(B, 6, 96, 96)`` uint8 → ``(B, 3, 96, 96)`` float32
#: in [0, 1]. Channels last is the layout the faces come in; another would round otherwise.
Forward = Callable[[Tensor, Tensor], Tensor]


class Precision(StrEnum):
    """``fp32`` is the published network to the bit; the others are faster and differ a little."""

    FP32 = "fp32"
    FP32_FOLDED = "fp32-folded"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A network ready to be called."""

    forward: Forward
    precision: Precision
    note: str


#: The integer network is refused below this likeness to the float one, in dB over all pixels of
#: held-out calibration variants. Half a level of mean error is about 50 dB.
LEAST_PSNR_DB = 40.0

#: Of the code below and of what it calls: raised whenever the same weights come to draw other
#: pixels, so that what was drawn before is not taken for it.
ARITHMETIC = 2

_CALIBRATION_BATCHES, _CALIBRATION_BATCH = 4, 8
_HELD_OUT = 1000


def prepare(network: Wav2Lip, device: torch.device, requested: str) -> Prepared:
    """The network in the precision asked for, or in the fastest that is good here.

    Args:
        network: as loaded, on ``device``; it may be used up.
        device: where it runs.
        requested: ``auto`` or a value of :class:`Precision`.

    Raises:
        ParameterError: the precision is unknown, or this device does not have it.
    """
    if requested == "auto":
        return _prepare_fastest(network, device)
    try:
        precision = Precision(requested)
    except ValueError:
        known = ", ".join(["auto", *Precision])
        raise ParameterError(
            f"unknown precision {requested!r}; there are {known}", field="precision"
        ) from None
    if precision is Precision.INT8:
        if not has_int8(device):
            raise ParameterError(
                "int8 needs a CPU with VNNI instructions; auto takes what this one has",
                field="precision",
            )
        return _prepare_int8(network, "as asked")[0]
    if precision is Precision.FP16 and device.type == "cpu":
        raise ParameterError(
            "fp16 needs a CUDA device; use bf16, int8 or auto on a CPU", field="precision"
        )
    return _prepare_float(network, precision, "as asked")


def _prepare_fastest(network: Wav2Lip, device: torch.device) -> Prepared:
    if device.type != "cpu":
        return _prepare_float(network, Precision.FP16, "picked for CUDA")
    if has_bf16():
        return _prepare_float(network, Precision.BF16, "picked: this CPU has bfloat16 instructions")
    if not has_int8(device):
        return _prepare_float(
            network, Precision.FP32_FOLDED, "picked: this CPU has no faster arithmetic"
        )
    prepared, likeness = _prepare_int8(network, "picked: this CPU has 8-bit instructions")
    if likeness >= LEAST_PSNR_DB:
        return prepared
    reason = f"int8 came within {likeness:.0f} dB of fp32 only, under {LEAST_PSNR_DB:.0f}"
    return _prepare_float(network, Precision.FP32_FOLDED, reason)


def _prepare_float(network: Wav2Lip, precision: Precision, why: str) -> Prepared:
    note = f"{precision.value}, {why}"
    if precision is Precision.FP32:
        return Prepared(lambda mel, faces: network(mel, in_unit(faces)), precision, note)
    types = {Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}
    dtype = types.get(precision, torch.float32)
    folded = fold(network).to(dtype)

    def forward(mel: Tensor, faces: Tensor) -> Tensor:
        shown = in_unit(faces).to(dtype, memory_format=torch.channels_last)
        drawn: Tensor = folded(mel.to(dtype), shown)
        return drawn.float()

    return Prepared(forward, precision, note)


def _prepare_int8(network: Wav2Lip, why: str) -> tuple[Prepared, float]:
    """In integers throughout if that is good enough, else with a head in floats; how like fp32."""
    folded = fold(network)
    scales = find_scales(folded, calibration_batches(_CALIBRATION_BATCHES, _CALIBRATION_BATCH))
    reference = Reference(network)
    for float_head in (False, True):
        forward = _channels_last(Int8Wav2Lip(folded, scales, float_head=float_head))
        likeness = reference.likeness(forward)
        if likeness >= LEAST_PSNR_DB:
            break
    note = f"{Precision.INT8.value}, {why}; {likeness:.0f} dB from fp32"
    return Prepared(forward, Precision.INT8, note), likeness


def _channels_last(quantized: Int8Wav2Lip) -> Forward:
    def forward(mel: Tensor, faces: Tensor) -> Tensor:
        return quantized(mel, faces.contiguous(memory_format=torch.channels_last))

    return forward


class Reference:
    """What a network draws of held-out variants, to hold other forward passes against."""

    def __init__(self, network: Wav2Lip) -> None:
        ((self._mel, self._faces),) = calibration_batches(1, _CALIBRATION_BATCH, first=_HELD_OUT)
        with torch.inference_mode():
            self._drawn = network(self._mel, in_unit(self._faces))

    def likeness(self, forward: Forward) -> float:
        """How like it another pass draws the same: PSNR in dB."""
        with torch.inference_mode():
            error = torch.mean((forward(self._mel, self._faces) - self._drawn) ** 2)
        return float(-10 * torch.log10(error.clamp_min(1e-12)))


def has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 natively; emulated, it is slower than float32."""
    capabilities = torch.backends.cpu.get_cpu_capability(), _cpu_flags()
    return "AMX" in capabilities[0] or bool({"avx512_bf16", "amx_bf16"} & capabilities[1])


def has_int8(device: torch.device) -> bool:
    """Whether this CPU has the dot products of bytes that make int8 worth while."""
    flags = {"avx512_vnni", "avx_vnni"}
    return (
        device.type == "cpu"
        and hasattr(torch.ops.onednn, "qconv2d_pointwise")
        and bool(flags & _cpu_flags())
    )


def _cpu_flags() -> set[str]:
    # torch tells of AVX-512 but not of its extensions in public; the kernel does.
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123 -- a stream: the file repeats per core
            lines = (line for line in file if line.startswith("flags"))
            return set(next(lines, "").split())
    except OSError:
        return set()
