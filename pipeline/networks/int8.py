"""Wav2Lip in 8-bit integers, for CPUs that multiply those several times as fast as floats.

Activations are uint8 with one scale a tensor (all follow a ReLU, so zero is zero), weights int8
with one scale an output channel. The arithmetic is oneDNN's, through the operators torch's own
compiler emits for quantized convolutions; they take and return plain uint8 tensors. Scales come
from a fixed calibration set, so the same checkpoint gives the same integers on every worker.

Five things differ from a float network layer by layer:

- a *joined* tensor (decoder output and skip) keeps the scales of its two parts; the next layer's
  weights absorb them, so joining is a copy of bytes;
- a transposed convolution of stride 2 is an ordinary 2×2 convolution that yields the four pixels
  of each output square as four groups of channels, which are then dealt out;
- the first convolution of the face, 7×7 of six channels, takes and gives 2×2 pixels at once;
- the last 3×3 convolution of a narrow network takes and gives two pixels of a row at once;
- the last 1×1 convolution and the first one of the sound stay in floats; so may the *head*, the
  two blocks of the face encoder that see most pixels: rounding them does a wide network's picture
  most harm, and in a narrow one they are a quarter of the work.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.networks.wav2lip import Conv2d, Conv2dTranspose, Wav2Lip, in_unit

_LARGEST_WEIGHT = 127
_LARGEST_ACTIVATION = 255

#: A vector of AVX-512 sums for sixteen channels.
_HALF_A_VECTOR = 8

#: Blocks of the face encoder that are its head.
_HEAD_BLOCKS = 2

#: What a face's integers stand for: its levels, as they are.
_LEVEL = 1 / 255

Scales = dict[nn.Module, float]
Values = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Coded:
    """What the integers of a tensor stand for: one scale per channel."""

    scales: Tensor  # (C,)

    @classmethod
    def even(cls, channels: int, scale: float) -> "Coded":
        return cls(torch.full((channels,), scale))

    def __add__(self, other: "Coded") -> "Coded":
        return Coded(torch.cat([self.scales, other.scales]))


class _Convolution:
    """uint8 (B, C, H, W) in; uint8, or float32 where ``out_scale`` is None, out; ReLU inside."""

    def __init__(
        self, weight: Tensor, bias: Tensor, code: Coded, out_scale: float | None, **shape: Any
    ) -> None:
        # The input's scales go into the weights: a unit of any channel then counts as 1.
        real = weight * code.scales[None, :, None, None]
        scales = real.abs().amax(dim=(1, 2, 3)).clamp_min(1e-12) / _LARGEST_WEIGHT
        integers = torch.round(real / scales[:, None, None, None]).to(torch.int8)
        self.scales, self.zeros = scales, torch.zeros(len(scales), dtype=torch.int32)
        self.bias = bias.clone()
        self.stride = list(shape.get("stride", (1, 1)))
        self.padding = list(shape.get("padding", (0, 0)))
        self.out_scale, self.out_type = (
            (1.0, torch.float32) if out_scale is None else (out_scale, torch.uint8)
        )
        self.packed = torch.ops.onednn.qconv_prepack(
            integers, scales, 1.0, 0, self.stride, self.padding, [1, 1], 1, None
        )

    def __call__(self, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.onednn.qconv2d_pointwise(
            *(x, 1.0, 0, self.packed, self.scales, self.zeros, self.bias),
            *(self.stride, self.padding, [1, 1], 1),
            *(self.out_scale, 0, self.out_type, "relu", [], ""),
        )
        return y


class _Residual(_Convolution):
    """The same with its input added before the ReLU."""

    def __init__(
        self, weight: Tensor, bias: Tensor, code: Coded, out_scale: float, **shape: Any
    ) -> None:
        super().__init__(weight, bias, code, out_scale, **shape)
        self.in_scale = float(code.scales[0])  # of one tensor, hence the same in all channels

    def __call__(self, x: Tensor) -> Tensor:
        total = x.clone()  # the operator writes its sum where it read its second operand
        torch.ops.onednn.qconv2d_pointwise.binary(
            *(x, 1.0, 0, self.packed, self.scales, self.zeros, total, self.bias),
            *(self.stride, self.padding, [1, 1], 1, self.out_scale, 0, self.out_type),
            *(self.in_scale, 0, "sum", 1.0, "relu", [], ""),
        )
        return total


class _Doubling:
    """A transposed convolution of kernel 3, stride 2, as a 2×2 convolution and a deal of pixels.

    Along one axis output 2i is tap 1 of input i, and output 2i + 1 is tap 2 of input i plus tap 0
    of input i + 1; so each output square needs the 2×2 inputs from (i, j) on.
    """

    def __init__(self, weight: Tensor, bias: Tensor, code: Coded, out_scale: float) -> None:
        taps = {0: ((0, 1),), 1: ((0, 2), (1, 0))}  # parity → (offset of the input, tap)
        channels = weight.shape[1]
        square = weight.new_zeros(2, 2, channels, weight.shape[0], 2, 2)
        for row in (0, 1):
            for column in (0, 1):
                for down, tap_y in taps[row]:
                    for right, tap_x in taps[column]:
                        square[row, column, :, :, down, right] = weight[:, :, tap_y, tap_x].T
        self.convolution = _Convolution(
            square.flatten(0, 2), bias.repeat(4), code, out_scale, padding=(1, 1)
        )

    def __call__(self, x: Tensor) -> Tensor:
        y = self.convolution(x)  # (B, 4C, H + 1, W + 1); padding is on all sides, so drop the first
        return _deal(y.permute(0, 2, 3, 1)[:, 1:, 1:])


class _Spreading:
    """A transposed convolution of a single pixel to 3×3: one matrix product, dealt out."""

    def __init__(self, weight: Tensor, bias: Tensor, code: Coded, out_scale: float) -> None:
        spread = weight.permute(2, 3, 1, 0).flatten(0, 2)[:, :, None, None]  # (9C, inputs, 1, 1)
        self.convolution = _Convolution(spread, bias.repeat(9), code, out_scale)

    def __call__(self, x: Tensor) -> Tensor:
        y = self.convolution(x)  # (B, 9C, 1, 1)
        return y.reshape(len(x), 3, 3, -1).permute(0, 3, 1, 2)  # (B, C, 3, 3), channels last


class _FourAtOnce:
    """A 7×7 convolution of few channels as one that sees and gives 2×2 pixels as channels.

    The same sums of the same integers, in vectors that are full: six channels fill a third of one.
    Squares of the input begin one pixel up and left of those of the output, so that the seven taps
    of both pixels of an output square lie in four input squares.
    """

    def __init__(self, weight: Tensor, bias: Tensor, code: Coded, out_scale: float) -> None:
        outputs, inputs = weight.shape[:2]
        square = weight.new_zeros(2, 2, outputs, 2, 2, inputs, 4, 4)
        for row, column, tap_y, tap_x in product((0, 1), (0, 1), range(7), range(7)):
            (down, low), (right, far) = divmod(row + tap_y, 2), divmod(column + tap_x, 2)
            square[row, column, :, low, far, :, down, right] = weight[:, :, tap_y, tap_x]
        four = Coded(code.scales.repeat(4))
        self.convolution = _Convolution(
            square.flatten(3, 5).flatten(0, 2), bias.repeat(4), four, out_scale, padding=(1, 1)
        )

    def __call__(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        padded = functional.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))  # (B, H + 2, W + 2, C)
        pairs = padded.view(torch.int16)  # two bytes at a time
        squares = pairs.reshape(batch, height // 2 + 1, 2, width // 2 + 1, -1).transpose(2, 3)
        seen = squares.reshape(batch, height // 2 + 1, width // 2 + 1, -1).view(torch.uint8)
        return _deal(self.convolution(seen.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class _TwoAtOnce:
    """A 3×3 convolution to few channels as one that sees and gives two pixels of a row as channels.

    Eight channels fill half a vector. Pairs of the input begin one pixel left of those of the
    output, so the input comes with a column of zeros on either side.
    """

    def __init__(self, weight: Tensor, bias: Tensor, code: Coded) -> None:
        outputs, inputs = weight.shape[:2]
        pair = weight.new_zeros(2, outputs, 2, inputs, 3, 2)
        for column, tap in product((0, 1), range(3)):
            right, far = divmod(column + tap, 2)
            pair[column, :, far, :, :, right] = weight[:, :, :, tap]
        two = Coded(code.scales.repeat(2))
        self.convolution = _Convolution(
            pair.flatten(2, 3).flatten(0, 1), bias.repeat(2), two, None, padding=(1, 0)
        )

    def __call__(self, x: Tensor) -> Tensor:
        """uint8 ``(B, C, H, W + 2)`` in, float32 ``(B, outputs, H, W)`` out."""
        batch, channels, height, width = x.shape
        pairs = x.permute(0, 2, 3, 1).reshape(batch, height, width // 2, 2 * channels)
        y = self.convolution(pairs.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return y.reshape(batch, height, width - 2, -1).permute(0, 3, 1, 2)


def _deal(squares: Tensor) -> Tensor:
    """``(B, H, W, 4C)``, a square's pixels after each other: ``(B, C, 2H, 2W)``, channels last."""
    batch, height, width, values = squares.shape
    words = squares
    for size, dtype in ((8, torch.int64), (4, torch.int32)):  # so many bytes at a time
        if values % (4 * size) == 0:
            words = squares.view(dtype)
            break
    # (B, H, W, 2, 2, C); then in the order of the picture's rows.
    pixels = words.reshape(batch, height, width, 2, 2, -1).permute(0, 1, 3, 2, 4, 5)
    dealt = torch.empty(pixels.shape, dtype=words.dtype).copy_(pixels).view(torch.uint8)
    return dealt.reshape(batch, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)


Layer = Callable[[Tensor], Tensor]


class Int8Wav2Lip:
    """The quantized network, called as the float one but for its faces, which are levels.

    Args:
        network: folded (see :mod:`pipeline.networks.folding`), float32, on the CPU. Only the
            layers that stay in floats are kept.
        scales: of the output of each :class:`Conv2d` and :class:`Conv2dTranspose` in it, from
            :func:`find_scales`.
        float_head: keep the head of the face encoder in floats.
    """

    def __init__(self, network: Wav2Lip, scales: Scales, *, float_head: bool) -> None:
        blocks = network.face_encoder_blocks
        self._head = blocks[:_HEAD_BLOCKS] if float_head else blocks[:0]
        self._head_scales = [scales[cast(nn.Sequential, block)[-1]] for block in self._head]
        self._last = network.output_block[1]
        skips = [
            Coded.even(network.width * 2**depth, scale)
            for depth, scale in enumerate(self._head_scales)
        ]
        code = skips[-1] if skips else Coded.even(6, _LEVEL)
        self._encoder: list[list[Layer]] = []
        for block in blocks[len(self._head) :]:
            layers, code = _quantize(block, code, scales)
            self._encoder.append(layers)
            skips.append(code)
        self._sound_first = cast(Conv2d, network.audio_encoder[0])
        self._sound_scale = scales[self._sound_first]
        code = Coded.even(2 * network.width, self._sound_scale)
        self._sound, code = _quantize(network.audio_encoder[1:], code, scales)
        self._decoder: list[list[Layer]] = []
        for block in network.face_decoder_blocks:
            layers, code = _quantize(block, code, scales)
            self._decoder.append(layers)
            code = code + skips.pop()
        weight, bias, shape = _parameters(cast(Conv2d, network.output_block[0]))
        self._margin = 1 if len(bias) <= _HALF_A_VECTOR else 0  # columns beside what is drawn from
        self._draw: Layer = (
            _TwoAtOnce(weight, bias, code)
            if self._margin
            else _Convolution(weight, bias, code, None, **shape)
        )

    def __call__(self, mel: Tensor, faces: Tensor) -> Tensor:
        """As :meth:`Wav2Lip.forward`, but of faces in uint8 levels."""
        skips = self._see_head(faces)
        x = skips[-1] if skips else faces
        for layers in self._encoder:
            x = _run(layers, x)
            skips.append(x)
        first = self._sound_first(mel).contiguous(memory_format=torch.channels_last)
        x = _run(self._sound, _coded(first, self._sound_scale))
        for layers in self._decoder:
            x = _join(_run(layers, x), skips.pop(), margin=0 if skips else self._margin)
        return torch.sigmoid_(self._last(self._draw(x)))

    def _see_head(self, faces: Tensor) -> list[Tensor]:
        if not self._head_scales:
            return []
        seen, x = [], in_unit(faces)
        for block, scale in zip(self._head, self._head_scales, strict=True):
            x = block(x)
            seen.append(_coded(x, scale))
        return seen


def _run(layers: list[Layer], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


def _join(drawn: Tensor, seen: Tensor, margin: int) -> Tensor:
    """Channels after channels, with so many columns of zeros on either side.

    Four bytes at a time where both have whole fours of them.
    """
    parts = [part.permute(0, 2, 3, 1).contiguous() for part in (drawn, seen)]
    if not any(part.shape[3] % 4 for part in parts):
        parts = [part.view(torch.int32) for part in parts]
    if not margin:
        return torch.cat(parts, dim=3).view(torch.uint8).permute(0, 3, 1, 2)
    batch, height, width, first = parts[0].shape
    second = parts[1].shape[3]
    joined = parts[0].new_empty(batch, height, width + 2 * margin, first + second)
    joined[:, :, :margin] = joined[:, :, -margin:] = 0
    joined[:, :, margin:-margin, :first] = parts[0]
    joined[:, :, margin:-margin, first:] = parts[1]
    return joined.view(torch.uint8).permute(0, 3, 1, 2)


def _coded(values: Tensor, scale: float) -> Tensor:
    return (values / scale).round_().clamp_(0, _LARGEST_ACTIVATION).to(torch.uint8)


def _quantize(block: nn.Module, code: Coded, scales: Scales) -> tuple[list[Layer], Coded]:
    layers: list[Layer] = []
    for module in block.children():
        weight, bias, shape = _parameters(module)
        scale = scales[module]
        if isinstance(module, Conv2dTranspose):
            kind = _Doubling if shape["stride"] == (2, 2) else _Spreading
            layers.append(kind(weight, bias, code, scale))
        elif weight.shape[2:] == (7, 7):
            layers.append(_FourAtOnce(weight, bias, code, scale))
        elif cast(Conv2d, module).residual:
            layers.append(_Residual(weight, bias, code, scale, **shape))
        else:
            layers.append(_Convolution(weight, bias, code, scale, **shape))
        code = Coded.even(len(bias), scale)
    return layers, code


def _parameters(module: nn.Module) -> tuple[Tensor, Tensor, dict[str, Any]]:
    convolution = cast(nn.Conv2d, module.conv_block)
    assert convolution.bias is not None  # noqa: S101 -- for the type checker; folding gives one
    shape = {"stride": convolution.stride, "padding": convolution.padding}
    return convolution.weight.float(), convolution.bias.float(), shape


#: Values kept of each layer's output and each batch: enough for a histogram's tail.
_SAMPLED = 65_536

_BINS = 2048

#: Largest values tried, as parts of the largest seen: clipping a rare peak can pay.
_CLIPS = np.linspace(0.3, 1.0, 29)


def find_scales(network: Wav2Lip, batches: Iterable[tuple[Tensor, Tensor]]) -> Scales:
    """The scale of each layer's output that loses least, in squares, over the calibration set.

    Args:
        network: folded, float32.
        batches: mel ``(B, 1, 80, 16)`` and faces ``(B, 6, 96, 96)`` in uint8.
    """
    seen: dict[nn.Module, list[Values]] = {}

    def keep(module: nn.Module, _: Any, output: Tensor) -> None:
        values = output.permute(0, 2, 3, 1).numpy().reshape(-1)
        sample = values[:: max(1, len(values) // _SAMPLED)]
        seen.setdefault(module, []).append(np.append(sample, values.max()))

    layers = [m for m in network.modules() if isinstance(m, Conv2d | Conv2dTranspose)]
    hooks = [layer.register_forward_hook(keep) for layer in layers]
    try:
        with torch.inference_mode():
            for mel, faces in batches:
                network(mel, in_unit(faces))
    finally:
        for hook in hooks:
            hook.remove()
    return {layer: _best_scale(np.concatenate(seen[layer])) for layer in layers}


def _best_scale(values: Values) -> float:
    largest = float(values.max())
    if largest <= 0:
        return 1.0
    # Zeros, half of all values, are coded exactly by any scale.
    counts, edges = np.histogram(values[values > 0], _BINS, (0.0, largest))
    centres = (edges[1:] + edges[:-1]) / 2
    scales = (largest * _CLIPS / _LARGEST_ACTIVATION)[:, None]  # (candidates, 1)
    coded = np.clip(np.round(centres / scales), 0, _LARGEST_ACTIVATION) * scales
    loss = ((coded - centres) ** 2 * counts).sum(axis=1)
    return float(scales[np.argmin(loss), 0])
