"""Parts of the network in integers against the plain way of counting the same."""

import pytest
import torch
from torch.nn import functional

from pipeline.networks.int8 import Coded, _Convolution, _FourAtOnce, _TwoAtOnce
from pipeline.networks.precision import has_int8

pytestmark = pytest.mark.skipif(
    not has_int8(torch.device("cpu")), reason="int8 needs a CPU with VNNI instructions"
)


def layer_and_input(
    outputs: int, inputs: int, kernel: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Coded]:
    """Weight and bias of a convolution, two pictures for it, and what their integers stand for."""
    random = torch.Generator().manual_seed(outputs)
    weight = torch.randn(outputs, inputs, kernel, kernel, generator=random)
    bias = torch.randn(outputs, generator=random)
    seen = torch.randint(0, 256, (2, inputs, 96, 96), dtype=torch.uint8, generator=random)
    code = Coded(torch.linspace(0.5, 1.5, inputs) / 255)
    return weight, bias, seen.contiguous(memory_format=torch.channels_last), code


@pytest.mark.parametrize("outputs", [1, 4, 16])
def test_four_pixels_at_once_are_the_same_integers_as_one_by_one(outputs: int) -> None:
    weight, bias, faces, code = layer_and_input(outputs, 6, 7)
    plain = _Convolution(weight, bias, code, 0.1, padding=(3, 3))(faces)
    fours = _FourAtOnce(weight, bias, code, 0.1)(faces)
    assert plain.float().std() > 5
    assert torch.equal(fours, plain)


@pytest.mark.parametrize("outputs", [1, 8])
def test_two_pixels_at_once_are_the_same_integers_as_one_by_one(outputs: int) -> None:
    weight, bias, seen, code = layer_and_input(outputs, 20, 3)
    plain = _Convolution(weight, bias, code, None, padding=(1, 1))(seen)
    with_margin = functional.pad(seen.permute(0, 2, 3, 1), (0, 0, 1, 1)).permute(0, 3, 1, 2)
    pairs = _TwoAtOnce(weight, bias, code)(with_margin)
    assert plain.std() > 1
    assert torch.equal(pairs, plain)
