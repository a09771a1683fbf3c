"""What of the film will be missed in the output is told before the work, and again in the end."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from api.answers import summary_of
from api.farm_schemas import Report
from pipeline.dub import Order, dub_film
from pipeline.options import DubOptions, SyncMode
from pipeline.running.commands import run
from pipeline.running.progress import Silent
from tests.closed_schemas import closed
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
    assert [left["note"] for left in report["left_out"]] == told
    check_report(report)
    assert summary_of(report) == {
        "frames": report["frames"],
        "network": report["network"],
        "leftOut": told,
        "notes": [],
    }


def check_report(report: dict[str, Any]) -> None:
    """It has the fields the OpenAPI document tells of and, but for its costs, no others."""
    costs = {"timings", "peak_memory_bytes", "peak_disk_bytes"}
    plain = {name: value for name, value in report.items() if name not in costs}
    told = closed(TypeAdapter(Report).json_schema(mode="serialization"))
    Draft202012Validator(told).validate(json.loads(json.dumps(plain)))


def test_what_was_not_asked_for_is_left_out_without_a_note(
    ffmpeg: str, tmp_path: Path, film: Path
) -> None:
    dialogue = tmp_path / "dialogue.wav"
    run(
        [ffmpeg, "-v", "error", "-f", "lavfi", "-i", "sine=d=1", str(dialogue)],
        timeout=LONG_SECONDS,
    )
    listener = Listener()
    order = Order(
        film, dialogue, tmp_path / "out.mp4", DubOptions(keep_audio="none"), DRAFT, DETECTOR
    )
    report = dub_film(order, listener)
    assert [left["note"] for left in report["left_out"]] == [None, None]
    check_report(report)
    summary = summary_of(report)
    assert summary is not None
    assert summary["leftOut"] == []
    assert listener.told == ["prepare", "detect", "track", "render", "stitch"]
