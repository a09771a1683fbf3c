"""Around the network: the published arithmetic, the same for a frame wherever it stands."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from pipeline.errors import MemoryExhaustedError, ParameterError
from pipeline.networks import Network, Sound
from pipeline.networks import precision as precision_module
from pipeline.networks.calibration import calibration_batches
from pipeline.networks.folding import fold
from pipeline.networks.inference import Wav2LipNetwork
from pipeline.networks.int8 import Int8Wav2Lip
from pipeline.networks.precision import Reference, has_int8, prepare
from pipeline.networks.wav2lip import Wav2Lip, in_unit, load_checkpoint

CPU = torch.device("cpu")
needs_int8 = pytest.mark.skipif(not has_int8(CPU), reason="this CPU has no VNNI instructions")
landmarks = np.zeros((5, 2), np.float32)


@pytest.fixture(scope="session")
def checkpoint(models: Path) -> Path:
    return models / "wav2lip_nano.pth"


@pytest.fixture(scope="module")
def crops(clips: Path) -> list[np.ndarray]:
    """Real faces, each of another size."""
    video = cv2.VideoCapture(str(clips / "talk_30fps.mp4"))
    read = [video.read()[1] for _ in range(20)]
    video.release()
    return [frame[40 + i : 400 - 2 * i, 60 + i : 420 - i] for i, frame in enumerate(read)]


@pytest.fixture(scope="module")
def features() -> list[np.ndarray]:
    mel = next(iter(calibration_batches(1, 20)))[0].numpy()
    return list(mel[:, 0])


def speak(
    network: Network, crops: list[np.ndarray], features: list[np.ndarray]
) -> list[np.ndarray]:
    return network.speak(crops, [landmarks] * len(crops), features)


def published_mouths(
    network: Wav2Lip, crops: list[np.ndarray], features: list[np.ndarray]
) -> np.ndarray:
    """The published script's batch, from its description, in numpy."""
    faces = np.asarray([cv2.resize(crop, (96, 96)) for crop in crops])
    masked = faces.copy()
    masked[:, 96 // 2 :] = 0
    batch = np.concatenate((masked, faces), axis=3) / 255.0
    mel = np.reshape(np.asarray(features), [len(features), 80, 16, 1])
    batch_tensor = torch.FloatTensor(np.transpose(batch, (0, 3, 1, 2)))
    mel_tensor = torch.FloatTensor(np.transpose(mel, (0, 3, 1, 2)))
    with torch.no_grad():
        drawn = network(mel_tensor, batch_tensor)
    return (drawn.numpy().transpose(0, 2, 3, 1) * 255.0).astype(np.uint8)


def test_fp32_mouths_are_the_published_scripts_bit_for_bit(
    checkpoint: Path, crops: list[np.ndarray], features: list[np.ndarray]
) -> None:
    network = Wav2LipNetwork(checkpoint, device="cpu", precision="fp32")
    found = speak(network, crops[:16], features[:16])
    expected = published_mouths(load_checkpoint(checkpoint), crops[:16], features[:16])
    np.testing.assert_array_equal(np.stack(found), expected)
    assert np.std(expected) > 10


@pytest.mark.parametrize(
    "precision", ["fp32", "fp32-folded", pytest.param("int8", marks=needs_int8)]
)
def test_a_mouth_does_not_depend_on_its_batch(
    precision: str, checkpoint: Path, crops: list[np.ndarray], features: list[np.ndarray]
) -> None:
    network = Wav2LipNetwork(checkpoint, device="cpu", precision=precision)
    together = speak(network, crops, features)
    assert len(together) == 20
    assert all(mouth.shape == (96, 96, 3) and mouth.dtype == np.uint8 for mouth in together)
    for i in (0, 7, 19):
        np.testing.assert_array_equal(
            speak(network, crops[i : i + 1], features[i : i + 1])[0], together[i]
        )
    backward = speak(network, crops[:5:-1], features[:5:-1])
    np.testing.assert_array_equal(np.stack(backward[::-1]), np.stack(together[6:]))


@pytest.mark.parametrize(
    ("precision", "levels"),
    [("fp32-folded", 1), ("bf16", 6), pytest.param("int8", 40, marks=needs_int8)],
)
def test_faster_arithmetic_draws_nearly_the_same(
    precision: str,
    levels: int,
    checkpoint: Path,
    crops: list[np.ndarray],
    features: list[np.ndarray],
) -> None:
    exact = Wav2LipNetwork(checkpoint, device="cpu", precision="fp32")
    fast = Wav2LipNetwork(checkpoint, device="cpu", precision=precision)
    difference = np.abs(
        np.stack(speak(exact, crops[:8], features[:8])).astype(int)
        - np.stack(speak(fast, crops[:8], features[:8]))
    )
    assert difference.max() <= levels
    assert difference.mean() < 2
    assert fast.digest != exact.digest
    assert precision in fast.precision_note


def test_bf16_is_within_a_level_at_the_published_width() -> None:
    torch.manual_seed(0)
    network = Wav2Lip().eval()
    mel, faces = next(iter(calibration_batches(1, 2)))
    with torch.inference_mode():
        drawn = prepare(network, CPU, "bf16").forward(mel, faces)
        assert (drawn - network(mel, in_unit(faces))).abs().max() < 1 / 255


def test_folding_is_exact_but_for_rounding(checkpoint: Path) -> None:
    network = load_checkpoint(checkpoint)
    mel, levels = next(iter(calibration_batches(1, 2)))
    faces = in_unit(levels)
    with torch.inference_mode():
        torch.testing.assert_close(
            fold(network)(mel, faces), network(mel, faces), atol=1e-5, rtol=0
        )


@needs_int8
def test_auto_takes_int8_where_it_is_good_and_floats_where_it_is_not(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_module, "has_bf16", lambda: False)
    network = load_checkpoint(checkpoint)
    assert prepare(network, CPU, "auto").precision == "int8"
    monkeypatch.setattr(precision_module, "LEAST_PSNR_DB", 90.0)
    prepared = prepare(network, CPU, "auto")
    assert prepared.precision == "fp32-folded"
    assert "under 90" in prepared.note


def test_level_divided_in_float32_is_the_originals_float64_rounded() -> None:
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(
        np.divide(levels, 255, dtype=np.float32), (levels / 255.0).astype(np.float32)
    )


@needs_int8
def test_head_stays_in_floats_where_integers_throughout_are_not_good_enough(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[bool] = []

    def quantize(*given: Any, float_head: bool) -> Int8Wav2Lip:
        heads.append(float_head)
        return Int8Wav2Lip(*given, float_head=float_head)

    monkeypatch.setattr(precision_module, "Int8Wav2Lip", quantize)
    network = load_checkpoint(checkpoint)
    throughout = Reference(network).likeness(prepare(network, CPU, "int8").forward)
    assert heads == [False]
    monkeypatch.setattr(precision_module, "LEAST_PSNR_DB", throughout + 0.5)
    assert Reference(network).likeness(prepare(network, CPU, "int8").forward) > throughout + 0.5
    assert heads == [False, False, True]


@needs_int8
def test_every_worker_quantizes_alike(checkpoint: Path) -> None:
    mel, faces = next(iter(calibration_batches(1, 4, first=500)))
    with torch.inference_mode():
        drawn = [
            prepare(load_checkpoint(checkpoint), CPU, "int8").forward(mel, faces) for _ in "ab"
        ]
    assert torch.equal(drawn[0], drawn[1])


def test_comparison_sees_a_wrong_network(checkpoint: Path) -> None:
    network = load_checkpoint(checkpoint)
    right = prepare(network, CPU, "fp32").forward
    assert Reference(network).likeness(right) > 100
    assert Reference(network).likeness(lambda mel, faces: right(mel, faces) + 0.1) < 21


def sound(speech: np.ndarray) -> Sound:
    return Sound(mel=np.full((80, 400), 2, np.float32), speech=speech)


def test_mouths_rest_where_nobody_speaks_and_after_the_end(checkpoint: Path) -> None:
    network = Wav2LipNetwork(checkpoint, device="cpu", precision="fp32")
    speech = np.zeros(157, np.float32)
    speech[:60] = 0.9  # 1.92 s of five
    times = np.arange(150) / 25
    heard = network.hear(sound(speech), times, 25.0)
    assert len(heard) == 150
    assert (heard[10] == 2).all()
    assert (heard[70] == -4).all()
    assert (heard[140] == -4).all(), "after the track there is silence, not its last window"
    between = heard[51]
    assert between.shape == (80, 16)
    assert (np.diff(between[0]) <= 0).all()
    assert heard[2:4][1].shape == (80, 16)
    awake = Wav2LipNetwork(checkpoint, device="cpu", precision="fp32", rest=False)
    assert (awake.hear(sound(speech), times, 25.0)[140] == 2).all()


def test_digital_silence_and_variable_rates_are_heard(checkpoint: Path) -> None:
    network = Wav2LipNetwork(checkpoint, device="cpu", precision="fp32")
    silent = Sound(mel=np.full((80, 5), -4, np.float32), speech=np.zeros(0, np.float32))
    heard = network.hear(silent, np.array([0.0, 0.011, 3.0]))
    assert [float(np.ptp(window)) for window in heard] == [0, 0, 0]


def test_impossible_devices_and_precisions_are_refused(checkpoint: Path) -> None:
    for device in ("gpu", "tpu:0", "cuda:99", "meta"):
        with pytest.raises(ParameterError, match="device"):
            Wav2LipNetwork(checkpoint, device=device)
    for precision in ("fp8", "fp16"):
        with pytest.raises(ParameterError, match=precision):
            Wav2LipNetwork(checkpoint, device="cpu", precision=precision)


def test_out_of_memory_has_our_name(
    checkpoint: Path, crops: list[np.ndarray], features: list[np.ndarray]
) -> None:
    network = Wav2LipNetwork(checkpoint, device="cpu", precision="fp32")

    def exhausted(mel: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError

    network._forward = exhausted
    with pytest.raises(MemoryExhaustedError, match="smaller batch"):
        speak(network, crops[:1], features[:1])


def test_batch_is_halved_until_it_fits(
    checkpoint: Path, crops: list[np.ndarray], features: list[np.ndarray]
) -> None:
    network = Wav2LipNetwork(checkpoint, device="cpu", precision="fp32")
    undisturbed = speak(network, crops, features)
    forward, sizes = network._forward, []

    def narrow(mel: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        sizes.append(len(faces))
        if len(faces) > 5:
            raise torch.OutOfMemoryError
        return forward(mel, faces)

    network._forward = narrow
    found = speak(network, crops, features)
    assert sizes[:3] == [16, 8, 4]
    assert set(sizes[2:]) == {4}, "what did not fit once was tried again"
    difference = np.abs(np.stack(found).astype(int) - np.stack(undisturbed))
    assert difference.max() <= 1, "another batch size rounds differently, and no more"


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("precision", ["auto", "fp32", "fp16", "bf16"])
def test_cuda_draws_what_the_cpu_draws(
    precision: str, checkpoint: Path, crops: list[np.ndarray], features: list[np.ndarray]
) -> None:
    expected = speak(Wav2LipNetwork(checkpoint, device="cpu", precision="fp32"), crops, features)
    found = speak(Wav2LipNetwork(checkpoint, device="cuda:0", precision=precision), crops, features)
    difference = np.abs(np.stack(found).astype(int) - np.stack(expected))
    assert difference.mean() < 0.5
