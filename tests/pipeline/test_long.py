"""Long films: memory does not grow with length, and nothing drifts. `make test-slow`."""

import json
import sys
from pathlib import Path
from typing import Any

import av
import pytest

from pipeline.running.commands import run
from tests.patience import LONG_SECONDS

MEGABYTE = 1e6


def repeat(ffmpeg: str, source: Path, out: Path, seconds: int, *stream: str) -> Path:
    argv = [ffmpeg, "-v", "error", "-stream_loop", "-1", "-i", str(source)]
    run([*argv, *stream, "-t", str(seconds), str(out)], timeout=LONG_SECONDS)
    return out


def dub_for(minutes: int, clips: Path, folder: Path, ffmpeg: str) -> dict[str, Any]:
    """The report of a dub in a process of its own, so that one's memory is not the next one's."""
    film = repeat(
        ffmpeg, clips / "film.mkv", folder / "film.mkv", 60 * minutes, "-map", "0:v", "-c", "copy"
    )
    dialogue = repeat(ffmpeg, clips / "dialogue_en.flac", folder / "dialogue.flac", 60 * minutes)
    argv = [sys.executable, "-m", "lipfarm", "dub", "--network", "draft"]
    argv += ["--video", str(film), "--audio", str(dialogue), "--output", str(folder / "out.mkv")]
    run([*argv, "--report", str(folder / "report.json")], timeout=1700)
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_memory_of_ten_minutes_is_that_of_one(clips: Path, tmp_path: Path, ffmpeg: str) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "ten").mkdir()
    one = dub_for(1, clips, tmp_path / "one", ffmpeg)["peak_memory_bytes"]
    ten = dub_for(10, clips, tmp_path / "ten", ffmpeg)["peak_memory_bytes"]
    assert ten < 1.1 * one
    assert ten < 1500 * MEGABYTE


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_quarter_of_an_hour_does_not_drift(clips: Path, tmp_path: Path, ffmpeg: str) -> None:
    report = dub_for(15, clips, tmp_path, ffmpeg)
    with av.open(str(tmp_path / "film.mkv")) as container:
        before = sorted(p.pts for p in container.demux(video=0) if p.pts is not None)
    with av.open(str(tmp_path / "out.mkv")) as container:
        after = sorted(p.pts for p in container.demux(video=0) if p.pts is not None)
    assert report["frames"]["in"] == len(before)
    # Both are in milliseconds. A dialogue longer than the film holds its last frame.
    moved = [b - before[0] - (a - after[0]) for a, b in zip(after, before, strict=False)]
    assert max(map(abs, moved)) <= 1
    assert abs(report["picture_seconds"] - report["sound_seconds"]) < 1024 / 16000
