"""What grows is alive; what stands still is not."""

import threading
from pathlib import Path

import pytest

from pipeline.running import growth
from pipeline.running.growth import telling_growth
from tests.patience import LONG_SECONDS


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "_LOOK_SECONDS", 0.02)


def test_a_growing_file_is_a_sign_of_life(tmp_path: Path) -> None:
    told = threading.Event()
    with telling_growth(tmp_path, lambda _: told.set()), (tmp_path / "film").open("wb") as file:
        for _ in range(round(LONG_SECONDS / 0.02)):
            file.write(b"frame")
            file.flush()
            if told.wait(0.02):
                break
    assert told.is_set()


def test_silence_is_no_sign_of_life(tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(b"as it was")
    told = threading.Event()
    with telling_growth(tmp_path, lambda _: told.set()):
        assert not told.wait(0.3)


def test_other_files_do_not_count(tmp_path: Path) -> None:
    told = threading.Event()
    with telling_growth(tmp_path, lambda _: told.set(), "film*"):
        (tmp_path / "letters").write_bytes(b"all the while")
        assert not told.wait(0.3)
