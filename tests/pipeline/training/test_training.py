"""From real clips to a checkpoint: what is kept, what is left out, and what a kill costs."""

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.errors import CheckpointError, UnusableMediaError
from pipeline.networks.wav2lip import load_checkpoint
from pipeline.options import DetectorChoice
from pipeline.running.commands import run
from pipeline.running.progress import Silent
from pipeline.training import CROP, running
from pipeline.training.clips import Clip
from pipeline.training.judging import judge
from pipeline.training.mouths import MouthShapes
from pipeline.training.preparing import prepare_clips
from pipeline.training.running import Plan, train
from pipeline.training.samples import Sampler
from tests.patience import LONG_SECONDS

#: Short ones; of these three people one is held out.
TALKING = ("vexpress_short_case_tys.mp4", "vexpress_short_case_10.mp4", "retalking_face_5.mp4")

# What is equal to the bit is so for one number of threads; and with one, tests side by side do not
# wait for each other.
THREADS = 1

YUNET = "face_detection_yunet_2023mar.onnx"


@pytest.fixture(scope="module")
def detector(models: Path) -> DetectorChoice:
    return DetectorChoice("yunet", models / YUNET)


@pytest.fixture(scope="module")
def folder(clips: Path, detector: DetectorChoice, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three talkers, prepared."""
    talking = tmp_path_factory.mktemp("talking")
    for name in TALKING:
        shutil.copy(clips / "talking" / name, talking / name)
    out = tmp_path_factory.mktemp("prepared")
    verdicts = prepare_clips(talking, out, detector, Silent())
    assert [verdict.reason for verdict in verdicts] == ["", "", ""]
    return out


def small(folder: Path, output: Path, **more: Any) -> Plan:
    """A run of seconds that ends by samples, so that it does not depend on the machine."""
    return Plan(folder, output, **{"width": 1, "seconds": 1e6, "samples": 320, **more})


def quietly(plan: Plan) -> None:
    torch.set_num_threads(THREADS)
    train(plan, lambda _: None)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(path).state_dict())


def test_clips_become_faces_with_their_sound_and_somebody_is_held_out(folder: Path) -> None:
    clips = Clip.all_in(folder)
    assert len(clips) == 3
    assert sum(clip.facts.held_out for clip in clips) == 1
    for clip in clips:
        assert clip.crops.shape == (len(clip), CROP, CROP, 3)
        assert clip.windows[0].shape == (80, 16)
        assert (np.diff(clip.times) > 0).all()
        assert float(clip.crops[len(clip) // 2].std()) > 20  # a face, not a blank


def test_second_run_makes_nothing_anew(
    folder: Path, clips: Path, detector: DetectorChoice, tmp_path: Path
) -> None:
    talking = tmp_path / "elsewhere"
    talking.mkdir()
    for name in TALKING:
        shutil.copy(clips / "talking" / name, talking / name)
    before = {path: path.stat().st_ino for path in folder.glob("clips/*/crops.npy")}
    prepare_clips(talking, folder, detector, Silent())
    assert {path: path.stat().st_ino for path in folder.glob("clips/*/crops.npy")} == before


def test_clip_whose_mouth_has_no_part_in_the_sound_is_left_out_with_the_reason(
    clips: Path, detector: DetectorChoice, ffmpeg: str, tmp_path: Path
) -> None:
    talking, out = tmp_path / "talking", tmp_path / "out"
    talking.mkdir()
    source = clips / "talking" / TALKING[1]
    argv = [ffmpeg, "-v", "error", "-i", str(source)]
    silence = ["-f", "lavfi", "-i", "anullsrc=r=16000", "-map", "0:v", "-map", "1:a", "-t", "4"]
    run([*argv, *silence, "-c:v", "copy", str(talking / "mute.mp4")], timeout=LONG_SECONDS)
    run([*argv, "-an", "-c", "copy", str(talking / "deaf.mp4")], timeout=LONG_SECONDS)
    with pytest.raises(UnusableMediaError, match="no clip of 2 can be used"):
        prepare_clips(talking, out, detector, Silent())
    report = json.loads((out / "prepared.json").read_text())
    reasons = {row["name"]: row["left_out"] for row in report}
    assert "nobody speaks" in reasons["mute.mp4"]
    assert "holds no sound" in reasons["deaf.mp4"]


def test_same_seed_gives_the_same_network_and_another_seed_another(
    folder: Path, tmp_path: Path
) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        quietly(small(folder, tmp_path / f"{name}.pth", seed=seed))
    a, b, c = (weights(tmp_path / f"{name}.pth") for name in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], c[name]) for name in a)


def _train_until_killed(plan: Plan) -> None:
    running._SAVE_SECONDS = 0.0  # type: ignore[misc]
    steps = 0

    def count(self: Any) -> None:
        nonlocal steps
        steps += 1
        if steps > 3:
            os.kill(os.getpid(), signal.SIGKILL)
        step(self)

    step = running._Run._step
    running._Run._step = count  # type: ignore[method-assign]
    quietly(plan)


def test_killed_run_goes_on_and_ends_where_the_undisturbed_one_does(
    folder: Path, tmp_path: Path
) -> None:
    quietly(small(folder, tmp_path / "whole.pth"))
    plan = small(folder, tmp_path / "killed.pth")
    process = multiprocessing.get_context("spawn").Process(target=_train_until_killed, args=(plan,))
    process.start()
    process.join(LONG_SECONDS)
    assert process.exitcode == -signal.SIGKILL
    assert not plan.output.exists()
    state = torch.load(plan.folder / "state.pt", weights_only=True)
    assert state["standing"]["samples"] > 0
    said: list[str] = []
    torch.set_num_threads(THREADS)
    train(plan, said.append)
    assert "goes on after" in said[0]
    whole, killed = weights(tmp_path / "whole.pth"), weights(plan.output)
    assert all(torch.equal(whole[name], killed[name]) for name in whole)


def test_checkpoint_has_half_precision_a_card_and_a_sheet(folder: Path, tmp_path: Path) -> None:
    plan = small(folder, tmp_path / "tiny.safetensors")
    quietly(plan)
    assert load_checkpoint(plan.output).width == 1
    assert plan.output.stat().st_size < 2.5 * sum(w.numel() for w in weights(plan.output).values())
    card = plan.output.with_suffix(".md").read_text()
    data = json.loads(plan.output.with_suffix(".json").read_text())
    assert data["sha256"] in card
    assert len(data["clips"]) == 2
    assert plan.output.with_suffix(".png").stat().st_size > 1000


def test_output_of_another_run_is_not_gone_on_with(folder: Path, tmp_path: Path) -> None:
    quietly(small(folder, tmp_path / "a.pth"))
    with pytest.raises(CheckpointError, match="another output"):
        quietly(small(folder, tmp_path / "a.pth", seed=5))


def test_wrong_sound_of_a_sample_is_another_moment_of_the_same_clip(folder: Path) -> None:
    clips = Clip.all_in(folder)
    sampler = Sampler(clips, MouthShapes.of(clips), 0)
    right = sampler.draw(16, 0, changed=False)
    wrong = sampler.draw(16, 0, changed=False, wrong_sound=True)
    assert torch.equal(right.faces, wrong.faces)
    assert all(not torch.equal(a, b) for a, b in zip(right.mel, wrong.mel, strict=True))


def test_network_that_speaks_is_judged_better_than_one_that_learned_nothing(
    folder: Path, models: Path, tmp_path: Path
) -> None:
    quietly(small(folder, tmp_path / "nothing.pth"))
    nano = judge(models / "wav2lip_nano.pth", folder, tmp_path / "sheet.png")
    nothing = judge(tmp_path / "nothing.pth", folder)
    assert nano.right < nothing.right
    assert nano.shape > nothing.shape
    assert nano.sharpness > nothing.sharpness
    assert 0.5 < nano.reach < 1.5
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_weights_of_something_else_are_refused(folder: Path, tmp_path: Path) -> None:
    torch.save({"state_dict": {"weight": torch.zeros(3)}}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="not Wav2Lip"):
        judge(tmp_path / "other.pth", folder)
