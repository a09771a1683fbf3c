"""The network is the published one, and a checkpoint is plain tensors or refused."""

import os
import pickle  # noqa: TID251 -- to build the files that must be refused
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from pipeline.errors import CheckpointError
from pipeline.networks.wav2lip import Wav2Lip, load_checkpoint


def seeded_weights(width: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights with batch-norm statistics that matter, under the published names."""
    generator = torch.Generator().manual_seed(seed)
    weights = Wav2Lip(width).state_dict()
    for name, value in weights.items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2, generator=generator)
        elif name.endswith("num_batches_tracked"):
            value.fill_(1000)
        elif value.ndim == 4:
            fan_in = value[0].numel()
            value.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
        else:
            value.uniform_(0.2, 1, generator=generator)
    return {f"module.{name}": value for name, value in weights.items()}


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return seeded_weights(width=2)


@pytest.fixture
def checkpoint(tmp_path: Path, weights: dict[str, torch.Tensor]) -> Path:
    path = tmp_path / "narrow.pth"
    torch.save({"state_dict": weights, "global_step": 7}, path)
    return path


# An independent forward pass: weights in the order of their names, no module of ours.
ENCODER_STRIDES = [(1, 3), (2, 1), (2, 1), (2, 1), (2, 1), (2, 1), (1, 0)]
SOUND = [
    (1, 1, 0),
    (1, 1, 1),
    (1, 1, 1),
    ((3, 1), 1, 0),
    (1, 1, 1),
    (1, 1, 1),
    (3, 1, 0),
    (1, 1, 1),
    (1, 1, 1),
    ((3, 2), 1, 0),
    (1, 1, 1),
    (1, 0, 0),
    (1, 0, 0),
]  # fmt: skip -- stride, padding, residual


def reference_forward(
    weights: dict[str, torch.Tensor], mel: torch.Tensor, faces: torch.Tensor
) -> torch.Tensor:
    w = {name.removeprefix("module."): value for name, value in weights.items()}

    def norm(x: torch.Tensor, at: str) -> torch.Tensor:
        shape = (1, -1, 1, 1)
        mean, variance = w[f"{at}.running_mean"], w[f"{at}.running_var"]
        x = (x - mean.view(shape)) / torch.sqrt(variance.view(shape) + 1e-5)
        return x * w[f"{at}.weight"].view(shape) + w[f"{at}.bias"].view(shape)

    def conv(
        x: torch.Tensor, at: str, stride: object, padding: int, residual: bool
    ) -> torch.Tensor:
        y = functional.conv2d(
            x, w[f"{at}.conv_block.0.weight"], w[f"{at}.conv_block.0.bias"], stride, padding
        )
        y = norm(y, f"{at}.conv_block.1")
        return functional.relu(y + x if residual else y)

    def count(prefix: str) -> int:
        return len([name for name in w if name.startswith(prefix) and name.endswith("0.weight")])

    sound = mel
    for i, (stride, padding, residual) in enumerate(SOUND):
        sound = conv(sound, f"audio_encoder.{i}", stride, padding, bool(residual))
    skips, x = [], faces
    for i, (stride, padding) in enumerate(ENCODER_STRIDES):
        x = conv(x, f"face_encoder_blocks.{i}.0", stride, padding, False)
        for j in range(1, count(f"face_encoder_blocks.{i}.")):
            at = f"face_encoder_blocks.{i}.{j}"
            x = conv(x, at, 1, 0, False) if i == 6 else conv(x, at, 1, 1, True)
        skips.append(x)
    x = conv(sound, "face_decoder_blocks.0.0", 1, 0, False)
    x = torch.cat([x, skips[6]], 1)
    for i in range(1, 7):
        at = f"face_decoder_blocks.{i}.0.conv_block"
        stride, padding, extra = (1, 0, 0) if i == 1 else (2, 1, 1)
        x = functional.conv_transpose2d(
            x, w[f"{at}.0.weight"], w[f"{at}.0.bias"], stride, padding, extra
        )
        x = functional.relu(norm(x, f"{at}.1"))
        for j in range(1, count(f"face_decoder_blocks.{i}.")):
            x = conv(x, f"face_decoder_blocks.{i}.{j}", 1, 1, True)
        x = torch.cat([x, skips[6 - i]], 1)
    x = conv(x, "output_block.0", 1, 1, False)
    x = functional.conv2d(x, w["output_block.1.weight"], w["output_block.1.bias"])
    return torch.sigmoid(x)


def inputs(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    mel = torch.rand(batch, 1, 80, 16, generator=generator) * 8 - 4
    return mel, torch.rand(batch, 6, 96, 96, generator=generator)


def test_the_published_width_has_the_published_size() -> None:
    with torch.device("meta"):
        network = Wav2Lip()
    assert sum(value.numel() for value in network.parameters()) == 36_298_035


def test_forward_equals_an_independent_one(
    checkpoint: Path, weights: dict[str, torch.Tensor]
) -> None:
    network = load_checkpoint(checkpoint)
    assert not network.training
    mel, faces = inputs(2)
    with torch.inference_mode():
        drawn = network(mel, faces)
        expected = reference_forward(weights, mel, faces)
    assert drawn.shape == (2, 3, 96, 96)
    assert drawn.std() > 1e-3, "a constant picture would prove nothing"
    torch.testing.assert_close(drawn, expected, atol=1e-5, rtol=0)


def test_forward_with_trained_weights_equals_an_independent_one(
    models: Path,
) -> None:
    path = models / "wav2lip_nano.pth"
    network = load_checkpoint(path)
    assert network.width == 4
    weights = torch.load(path, weights_only=True)["state_dict"]
    mel, faces = inputs(2)
    with torch.inference_mode():
        drawn = network(mel, faces)
        torch.testing.assert_close(drawn, reference_forward(weights, mel, faces), atol=1e-5, rtol=0)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("form", ["nested", "bare", "old", "safetensors"])
def test_every_form_of_a_checkpoint_loads(
    prefix: str, form: str, weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    named = {prefix + name.removeprefix("module."): value for name, value in weights.items()}
    path = tmp_path / "weights"
    if form == "safetensors":
        save_file(named, path)
    else:
        content = named if form == "bare" else {"state_dict": named}
        torch.save(content, path, _use_new_zipfile_serialization=form != "old")
    loaded = load_checkpoint(path).state_dict()
    for name, value in weights.items():
        assert torch.equal(loaded[name.removeprefix("module.")], value)


class Code:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch carried-out",)


@pytest.mark.parametrize("form", ["zip", "old", "raw"])
def test_code_in_a_checkpoint_is_refused_and_never_run(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pth"
    if form == "raw":
        path.write_bytes(pickle.dumps(Code()))
    else:
        content = {"state_dict": {"module.x": Code()}}
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(
        CheckpointError, match="is refused" if form != "raw" else "not a checkpoint"
    ):
        load_checkpoint(path)
    assert not (tmp_path / "carried-out").exists()


def test_what_is_no_checkpoint_is_refused_with_one_line(
    checkpoint: Path, weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    some = sorted(weights)[50]
    bad: dict[str, object] = {
        "missing": {name: value for name, value in weights.items() if name != some},
        "shape": weights | {some: torch.zeros(2, 2)},
        "nan": weights | {some: weights[some] * float("nan")},
        "other": {"fc.weight": torch.zeros(3)},
        "huge": weights
        | {
            "module.face_encoder_blocks.0.0.conv_block.0.weight": torch.zeros(1).expand(
                10**9, 6, 7, 7
            )
        },
        "list": [1, 2],
    }
    for name, content in bad.items():
        torch.save(content, tmp_path / name)
    whole = checkpoint.read_bytes()
    (tmp_path / "truncated").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "page").write_text("<!doctype html>\n" * 100)
    (tmp_path / "folder").mkdir()
    for name in [*bad, "truncated", "empty", "page", "folder", "absent"]:
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
