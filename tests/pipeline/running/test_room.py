"""Room is asked for with figures, and only where it is certain that it is not there."""

import shutil
from pathlib import Path

import pytest

from pipeline.errors import StorageFullError
from pipeline.running import room
from pipeline.running.room import free_bytes, require_room


def test_what_does_not_fit_is_told_with_both_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda _: 3_000_000_000)
    require_room(tmp_path, 3_000_000_000)
    with pytest.raises(StorageFullError) as told:
        require_room(tmp_path, 12_340_000_000, field="work_dir")
    assert f"at least 12.3 GB are needed in {tmp_path}, 3.0 GB are free" in str(told.value)
    assert told.value.field == "work_dir"


def test_a_folder_that_is_not_there_has_the_room_it_will_have(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    assert free_bytes(tmp_path / "a" / "b") == pytest.approx(free, abs=100_000_000)
    with pytest.raises(StorageFullError):
        require_room(tmp_path / "a", 10**18)


def test_a_disk_that_does_not_tell_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise OSError

    monkeypatch.setattr(room.os, "statvfs", refuse)
    require_room(tmp_path, 10**18)
