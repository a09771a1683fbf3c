"""Batch norm folded into the convolutions before it: the same function, fewer passes over memory.

Exact in real numbers, and within rounding in floats; so the network that must match the published
one bit for bit is never folded.
"""

import copy
from typing import cast

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.networks.wav2lip import Conv2d, Conv2dTranspose, Wav2Lip


def fold(network: Wav2Lip) -> Wav2Lip:
    """A folded copy, channels last, on the same device and of the same type.

    In the copy each ``conv_block`` is a single convolution with a bias.
    """
    folded = copy.deepcopy(network).eval()
    for module in folded.modules():
        if isinstance(module, Conv2d | Conv2dTranspose):
            convolution, norm = module.conv_block
            fused = fuse_conv_bn_eval(
                cast(nn.Conv2d, convolution),
                cast(nn.BatchNorm2d, norm),
                transpose=isinstance(module, Conv2dTranspose),
            )
            setattr(module, "conv_block", fused)  # noqa: B010 -- no longer the declared Sequential
    folded.requires_grad_(False)
    return channels_last(folded)


def channels_last(network: Wav2Lip) -> Wav2Lip:
    """The network with its weights laid out as the fast kernels read them, in place."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network
