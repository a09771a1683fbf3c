"""Noise in the decoder, as if it counted in coarse integers.

Left to itself, a decoder trained for detail draws with small differences of large values, which
8-bit integers lose: measured, 24 dB from the float network. No loss asks for that, and with this
noise none gains by it. Source: noise in place of rounding, which has no gradient, as in Baskin et
al., "UNIQ: Uniform Noise Injection for Non-Uniform Quantization of Neural Networks", 2018.
"""

from typing import Any

import torch
from torch import Tensor, nn

from pipeline.networks.wav2lip import Conv2d, Conv2dTranspose, Wav2Lip


class Roughness:
    """Noise in each layer of a network's decoder, while that is in training.

    Attributes:
        step: how far the noise goes, from end to end, in parts of a layer's largest value; 8-bit
            integers have steps of 1/255 of it.
    """

    def __init__(self, network: Wav2Lip) -> None:
        self.step = 0.0
        for part in (network.face_decoder_blocks, network.output_block):
            for layer in part.modules():
                if isinstance(layer, Conv2d | Conv2dTranspose):
                    layer.register_forward_hook(self._add_noise)

    def _add_noise(self, layer: nn.Module, _: Any, output: Tensor) -> Tensor:
        if not layer.training or not self.step:
            return output
        values = output.detach()
        noise = (torch.rand_like(values) - 0.5) * (self.step * values.amax())
        return torch.relu(output + noise * (values > 0))  # zero stays zero, as in integers
