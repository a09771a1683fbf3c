"""A farm of folders, and a film for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.running.commands import run
from tests.patience import LONG_SECONDS
from tests.pipeline.steps.machines import Farm


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    farm = Farm(tmp_path)
    yield farm
    for store in farm.machines:
        store.close()


@pytest.fixture
def short_film(clips: Path, ffmpeg: str, tmp_path: Path) -> Path:
    """Ten seconds of film.mkv with all its streams: a face for six seconds, then none."""
    film = tmp_path / "film.mkv"
    cut = ["-t", "10", "-i", str(clips / "film.mkv"), "-map", "0", "-c", "copy", str(film)]
    run([ffmpeg, "-nostdin", "-loglevel", "error", *cut], timeout=LONG_SECONDS)
    return film
