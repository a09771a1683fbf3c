"""The self-test passes where all is well, fails where something is broken, and leaves nothing."""

from pathlib import Path

import pytest

from pipeline.artifacts import Store
from pipeline.errors import MemoryExhaustedError
from pipeline.networks.draft import DraftNetwork
from pipeline.options import NetworkChoice
from pipeline.steps.self_test import self_test


def test_sound_machine_passes_and_is_left_clean(tmp_path: Path) -> None:
    finished: list[int] = []
    with Store(tmp_path) as store:
        self_test(NetworkChoice("draft"), store, finished.append)
    assert sum(finished) >= 25
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_published_network_is_tried_where_it_is_the_machine_s(models: Path, tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        nano = NetworkChoice("wav2lip", models / "wav2lip_nano.pth", precision="fp32")
        self_test(nano, store, lambda _: None)


def test_broken_device_does_not_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def speak(*_: object) -> None:
        raise MemoryExhaustedError("not even one frame fits")

    monkeypatch.setattr(DraftNetwork, "speak", speak)
    with Store(tmp_path) as store, pytest.raises(MemoryExhaustedError):
        self_test(NetworkChoice("draft"), store, lambda _: None)
