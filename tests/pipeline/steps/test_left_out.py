"""What of the film will be missed in the output is told before the work, and again in the end."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.dub import Order, dub_film
from pipeline.options import DubOptions, SyncMode
from pipeline.running.commands import run
from pipeline.running.progress import Silent
from tests.patience import LONG_SECONDS
from tests.pipeline.output.tiny import make_film
from tests.pipeline.steps.machines import DETECTOR, DRAFT


@dataclass
class Listener(Silent):
    """What was told, and between which stages."""

    told: list[str] = field(default_factory=list)

    def start_stage(self, stage: str, frames: int) -> None:
        self.told.append(stage)

    def note(self, message: str) -> None:
        self.told.append(message)


@pytest.fixture(scope="module")
def film(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of picture, with Vorbis and AAC."""
    argv = ["-map", "0", "-map", "1", "-map", "1", "-c:a:0", "libvorbis", "-c:a:1", "aac"]
    return make_film(ffmpeg, tmp_path_factory.mktemp("film") / "film.mkv", *argv)


@pytest.mark.parametrize(
    ("mode", "seconds", "told"),
    [
        ("silence", 2, ["sound stream 1 (vorbis) is left out: MP4 cannot hold vorbis; {}.mkv"]),
        ("bounce", 0.5, ["sound stream 1 (vorbis) is left out: MP4 cannot hold vorbis; {}.mkv"]),
        (
            "bounce",
            2,
            [
                "sound stream 1 (vorbis) is left out: MP4 cannot hold vorbis; {}.mkv",
                "sound stream 2 (aac) is left out: the sync mode bounce moves the picture in time;"
                " choose the sync mode silence",
            ],
        ),
    ],
)
def test_what_will_be_missed_is_told_before_the_work(
    ffmpeg: str, tmp_path: Path, film: Path, mode: SyncMode, seconds: float, told: list[str]
) -> None:
    dialogue = tmp_path / "dialogue.wav"
    run(
        [ffmpeg, "-v", "error", "-f", "lavfi", "-i", f"sine=d={seconds}", str(dialogue)],
        timeout=LONG_SECONDS,
    )
    listener, options = Listener(), DubOptions(sync_mode=mode)
    order = Order(film, dialogue, tmp_path / "out.mp4", options, DRAFT, DETECTOR)
    report = dub_film(order, listener)
    told = [sentence.format("name the output ") for sentence in told]
    assert listener.told == ["prepare", *told, "detect", "track", "render", "stitch"]
    assert len(report["left_out"]) == len(told)
    assert all(left["reason"] in told[i] for i, left in enumerate(report["left_out"]))
