"""One frame from the picture to the pasted patch, against the original script's own steps."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pipeline.composite import box_patch
from pipeline.geometry import Box
from pipeline.networks.inference import Wav2LipNetwork
from pipeline.networks.wav2lip import load_checkpoint

#: As many as the network always takes at once; kernels round by shape.
BATCH = 16


@pytest.fixture(scope="module")
def checkpoint(models: Path) -> Path:
    return models / "wav2lip_nano.pth"


def paste_as_the_original(
    frame: np.ndarray, box: Box, windows: np.ndarray, checkpoint: Path
) -> list[np.ndarray]:
    """inference.py's steps, written down again from their description: BGR throughout."""
    face = cv2.resize(frame[box.y1 : box.y2, box.x1 : box.x2], (96, 96))
    faces = np.asarray([face] * BATCH)
    masked = faces.copy()
    masked[:, 96 // 2 :] = 0
    images = np.concatenate((masked, faces), axis=3) / 255.0
    images = torch.FloatTensor(np.transpose(images, (0, 3, 1, 2)))
    # The layout in memory matters to the last bit: it chooses the kernels.
    mels = torch.FloatTensor(np.transpose(np.reshape(windows, (BATCH, 80, 16, 1)), (0, 3, 1, 2)))
    with torch.no_grad():
        drawn = load_checkpoint(checkpoint)(mels, images)
    pictures = drawn.cpu().numpy().transpose(0, 2, 3, 1) * 255.0
    return [cv2.resize(p.astype(np.uint8), (box.width, box.height)) for p in pictures]


def test_box_blend_pastes_the_originals_patch_bit_for_bit(checkpoint: Path) -> None:
    from skimage import data  # noqa: PLC0415

    frame = np.ascontiguousarray(data.astronaut()[..., ::-1])
    box = Box(171, 70, 273, 211)
    windows = np.random.default_rng(0).uniform(-4, 4, (BATCH, 80, 16)).astype(np.float32)
    network = Wav2LipNetwork(checkpoint, device="cpu", precision="fp32")
    crop = frame[box.y1 : box.y2, box.x1 : box.x2]
    mouths = network.speak([crop] * BATCH, [np.zeros((5, 2), np.float32)] * BATCH, list(windows))
    expected = paste_as_the_original(frame, box, windows, checkpoint)
    for mouth, patch in zip(mouths, expected, strict=True):
        assert (box_patch(mouth, box) == patch).all()
