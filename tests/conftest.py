"""Where tests find real footage and weights, and what they say where it is absent."""

from pathlib import Path

import pytest

from pipeline.running.commands import ffmpeg_path

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs the {name} folder of real footage and weights at ../shared/{name}")
    return folder


@pytest.fixture(scope="session")
def clips() -> Path:
    """Real footage; see its README for what each clip is."""
    return _shared("clips")


@pytest.fixture(scope="session")
def models() -> Path:
    """YuNet and the quarter-width Wav2Lip."""
    return _shared("models")


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    return ffmpeg_path()
