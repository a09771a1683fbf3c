"""Noise in the decoder: only there, only while it learns, and never on nothing."""

import pytest
import torch

from pipeline.networks.wav2lip import Wav2Lip
from pipeline.training.roughening import Roughness


@pytest.fixture
def network() -> Wav2Lip:
    torch.manual_seed(0)
    return Wav2Lip(1)


def test_network_in_use_draws_as_if_there_were_no_noise(network: Wav2Lip) -> None:
    mel, faces = torch.rand(2, 1, 80, 16), torch.rand(2, 6, 96, 96)
    network.eval()
    calm = network(mel, faces)
    Roughness(network).step = 0.5
    assert torch.equal(network(mel, faces), calm)


def test_noise_moves_values_by_half_a_step_and_leaves_zero(network: Wav2Lip) -> None:
    layer = network.face_decoder_blocks.get_submodule("6.1")
    values = torch.rand(2, 4, 8, 8)
    calm = layer.train()(values)
    Roughness(network).step = 0.1
    moved = layer(values)
    assert (moved[calm == 0] == 0).all()
    assert 0 < (moved - calm).abs().max() <= 0.05 * calm.max() + 1e-6


def test_the_encoders_stay_calm(network: Wav2Lip) -> None:
    Roughness(network).step = 0.5
    assert not any(part._forward_hooks for part in network.face_encoder_blocks.modules())
    assert not any(part._forward_hooks for part in network.audio_encoder.modules())
