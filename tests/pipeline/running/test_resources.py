"""The meter goes on whatever happens in the folder it watches."""

import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.running.resources import ResourceMeter


def test_folder_that_goes_away_while_it_is_read_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept").write_bytes(bytes(1000))
    (tmp_path / "gone").mkdir()
    scandir = os.scandir

    def scandir_too_late(path: Any) -> Any:
        if Path(path).name == "gone":
            Path(path).rmdir()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scandir_too_late)
    with ResourceMeter(tmp_path) as meter, meter.stage("any"):
        pass
    assert not (tmp_path / "gone").exists()
    assert meter.peak_disk == 1000
