"""The network of Wav2Lip, and its published checkpoints.

Source: Prajwal et al., "A Lip Sync Expert Is All You Need for Speech to Lip Generation In the
Wild", ACM Multimedia 2020. Module and parameter names follow the published files
(``wav2lip.pth``, ``wav2lip_gan.pth``), or those could not load. Every layer's width is a multiple
of the first one's, 16 in the published files; a narrower network of the same shape loads too.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from pipeline.errors import CheckpointError

#: Pixels on a side of what the network sees and draws.
FACE_SIZE = 96

#: Channels of the first face layer in the published checkpoints.
PUBLISHED_WIDTH = 16

#: Four times the published width; more is a damaged or hostile file that would fill the memory.
MAX_WIDTH = 64

_FIRST_LAYER = "face_encoder_blocks.0.0.conv_block.0.weight"


class Conv2d(nn.Module):
    """Convolution and batch norm; with ``residual`` the input is added *before* the ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int | tuple[int, int],
        padding: int,
        *,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.BatchNorm2d(outputs)
        )
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv_block(x)
        return torch.relu(y + x if self.residual else y)


class Conv2dTranspose(nn.Module):
    """Transposed convolution, batch norm, ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int,
        padding: int,
        *,
        output_padding: int = 0,
    ) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, output_padding),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv_block(x))


def _residual(channels: int) -> Conv2d:
    return Conv2d(channels, channels, 3, 1, 1, residual=True)


def _halve(inputs: int, outputs: int) -> Conv2d:
    return Conv2d(inputs, outputs, 3, 2, 1)


def _double(inputs: int, outputs: int) -> Conv2dTranspose:
    return Conv2dTranspose(inputs, outputs, 3, 2, 1, output_padding=1)


class Wav2Lip(nn.Module):
    """Sound and a face in, the same face speaking out.

    Args:
        width: channels of the first face layer, here *w*; 16 in the published checkpoints.
    """

    def __init__(self, width: int = PUBLISHED_WIDTH) -> None:
        super().__init__()
        self.width = width
        self.face_encoder_blocks = _face_encoder(width)
        self.audio_encoder = _audio_encoder(width)
        self.face_decoder_blocks = _face_decoder(width)
        self.output_block = nn.Sequential(
            Conv2d(5 * width, 2 * width, 3, 1, 1),  # (5w, 96, 96) → (2w, 96, 96)
            nn.Conv2d(2 * width, 3, 1, 1, 0),  # → (3, 96, 96)
            nn.Sigmoid(),
        )

    def forward(self, mel: Tensor, faces: Tensor) -> Tensor:
        """Draw the mouths.

        Args:
            mel: ``(B, 1, 80, 16)``, in [-4, 4].
            faces: ``(B, 6, 96, 96)``, in [0, 1], BGR: the frame's face with its lower half
                zeroed, then the reference face.

        Returns:
            ``(B, 3, 96, 96)``, in [0, 1], BGR.
        """
        sound = self.audio_encoder(mel)  # (B, 32w, 1, 1)
        skips: list[Tensor] = []
        x = faces
        for block in self.face_encoder_blocks:
            x = block(x)
            skips.append(x)  # (B, w, 96, 96) … (B, 32w, 1, 1), as in _face_encoder
        x = sound
        for block in self.face_decoder_blocks:
            x = torch.cat((block(x), skips.pop()), dim=1)  # the deepest skip first
        return cast(Tensor, self.output_block(x))  # (B, 5w, 96, 96) → (B, 3, 96, 96)


def _face_encoder(w: int) -> nn.ModuleList:
    r = _residual
    return nn.ModuleList(
        [
            nn.Sequential(Conv2d(6, w, 7, 1, 3)),  # (6, 96, 96) → (w, 96, 96)
            nn.Sequential(_halve(w, 2 * w), r(2 * w), r(2 * w)),  # → (2w, 48, 48)
            nn.Sequential(_halve(2 * w, 4 * w), r(4 * w), r(4 * w), r(4 * w)),  # → (4w, 24, 24)
            nn.Sequential(_halve(4 * w, 8 * w), r(8 * w), r(8 * w)),  # → (8w, 12, 12)
            nn.Sequential(_halve(8 * w, 16 * w), r(16 * w), r(16 * w)),  # → (16w, 6, 6)
            nn.Sequential(_halve(16 * w, 32 * w), r(32 * w)),  # → (32w, 3, 3)
            nn.Sequential(  # → (32w, 1, 1)
                Conv2d(32 * w, 32 * w, 3, 1, 0), Conv2d(32 * w, 32 * w, 1, 1, 0)
            ),
        ]
    )


def _audio_encoder(w: int) -> nn.Sequential:
    r = _residual
    return nn.Sequential(
        Conv2d(1, 2 * w, 3, 1, 1),  # (1, 80, 16) → (2w, 80, 16)
        r(2 * w),
        r(2 * w),
        Conv2d(2 * w, 4 * w, 3, (3, 1), 1),  # → (4w, 27, 16)
        r(4 * w),
        r(4 * w),
        Conv2d(4 * w, 8 * w, 3, 3, 1),  # → (8w, 9, 6)
        r(8 * w),
        r(8 * w),
        Conv2d(8 * w, 16 * w, 3, (3, 2), 1),  # → (16w, 3, 3)
        r(16 * w),
        Conv2d(16 * w, 32 * w, 3, 1, 0),  # → (32w, 1, 1)
        Conv2d(32 * w, 32 * w, 1, 1, 0),
    )


def _face_decoder(w: int) -> nn.ModuleList:
    # Inputs count the skip joined on after the block before: 64w = 32w + 32w, 48w = 32w + 16w, …
    r = _residual
    return nn.ModuleList(
        [
            nn.Sequential(Conv2d(32 * w, 32 * w, 1, 1, 0)),  # (32w, 1, 1) → (32w, 1, 1)
            nn.Sequential(  # (64w, 1, 1) → (32w, 3, 3)
                Conv2dTranspose(64 * w, 32 * w, 3, 1, 0), r(32 * w)
            ),
            nn.Sequential(_double(64 * w, 32 * w), r(32 * w), r(32 * w)),  # → (32w, 6, 6)
            nn.Sequential(_double(48 * w, 24 * w), r(24 * w), r(24 * w)),  # → (24w, 12, 12)
            nn.Sequential(_double(32 * w, 16 * w), r(16 * w), r(16 * w)),  # → (16w, 24, 24)
            nn.Sequential(_double(20 * w, 8 * w), r(8 * w), r(8 * w)),  # → (8w, 48, 48)
            nn.Sequential(_double(10 * w, 4 * w), r(4 * w), r(4 * w)),  # → (4w, 96, 96)
        ]
    )


def in_unit(levels: Tensor) -> Tensor:
    """uint8 levels as the network takes them, float32 in [0, 1], in the same memory layout.

    The original divided in float64 and rounded; of a level, that is the same float32.
    """
    return levels.float() / 255


def load_checkpoint(path: str | Path, device: str | torch.device = "cpu") -> Wav2Lip:
    """The network with a checkpoint's weights, in evaluation mode.

    Args:
        path: a ``.pth`` file as published (``{"state_dict": {"module.…": tensor}}``), a bare state
            dict, or a ``.safetensors`` file of the same names.
        device: where it will run, as torch names it.

    Raises:
        CheckpointError: missing, damaged, holding code, or weights of something else.
    """
    path = Path(path)
    weights = _own_names(_read_tensors(path), path)
    first = weights[_FIRST_LAYER]
    if first.ndim != 4 or not 0 < first.shape[0] <= MAX_WIDTH:
        raise CheckpointError(f"{path} holds the weights of another network, not Wav2Lip's")
    with torch.device("meta"):  # no time spent on initial values that are overwritten at once
        network = Wav2Lip(first.shape[0])
    network.to_empty(device=device)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise CheckpointError(f"{path} does not fit Wav2Lip: {reason}") from error
    if not all(bool(torch.isfinite(value).all()) for value in network.state_dict().values()):
        raise CheckpointError(f"{path} is damaged: some of its weights are not finite numbers")
    return network.eval().requires_grad_(False)


def _own_names(content: object, path: Path) -> dict[str, Tensor]:
    """The state dict inside a checkpoint, without the prefix ``DataParallel`` left on its names."""
    inner = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(inner, Mapping):
        raise CheckpointError(f"{path} is not a checkpoint: no state_dict in it")
    weights = {
        str(name).removeprefix("module."): value
        for name, value in inner.items()
        if isinstance(value, Tensor)
    }
    if _FIRST_LAYER not in weights:
        raise CheckpointError(f"{path} holds the weights of another network, not Wav2Lip's")
    return weights


def _read_tensors(path: Path) -> object:
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    try:
        with path.open("rb") as file:
            head = file.read(9)
        if head[8:] == b"{":  # eight bytes of length, then JSON: safetensors
            from safetensors.torch import load_file  # noqa: PLC0415 -- few checkpoints need it

            return load_file(path)
        return _torch_load(path, mapped=head.startswith(b"PK"))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # pickle, zip and safetensors each have errors of their own
        if "GLOBAL" in str(error):  # torch's word for a name that a pickle wants to call
            raise CheckpointError(
                f"{path} is refused: it holds more than plain tensors, and code in a checkpoint "
                "is never run"
            ) from error
        raise CheckpointError(f"{path} is damaged or not a checkpoint") from error


def _torch_load(path: Path, *, mapped: bool) -> Any:
    # Published files carry the optimizer's state too, twice the size of the weights. Mapped, it
    # is never read; the old format cannot be mapped.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd pickles; they are judged by what comes out
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
