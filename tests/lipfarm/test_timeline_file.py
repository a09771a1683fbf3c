"""A timeline's file is read exactly, or refused with the place of the mistake."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lipfarm.cli import cli
from lipfarm.timeline_file import read_timeline
from pipeline.errors import TimelineError, UnreadableMediaError
from pipeline.options import Clip

F = Fraction


def segment(start: Any, end: Any, name: str, **part: Any) -> dict[str, Any]:
    return {"startTime": start, "endTime": end, "audioInput": {"refId": name, **part}}


@pytest.fixture
def timeline(tmp_path: Path) -> Path:
    return tmp_path / "timeline.json"


def test_times_are_as_written_and_sounds_lie_beside_the_file(timeline: Path) -> None:
    segments = [
        segment(0.1, 12.345, "b.wav", startTime=1.1, endTime=2),
        segment(13, 14, "a.wav"),
        segment(14, 15, "b.wav"),
    ]
    timeline.write_text(json.dumps(segments))
    clips, paths = read_timeline(timeline)
    assert clips == (
        Clip(F("0.1"), F("12.345"), 0, F("1.1"), F(2)),
        Clip(F(13), F(14), 1),
        Clip(F(14), F(15), 0),
    )
    assert paths == (timeline.parent / "b.wav", timeline.parent / "a.wav")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no", "JSON"),
        ("[]", "no segment"),
        ('[{"startTime": 1}]', "0.endTime"),
        ('[{"startTime": "x", "endTime": 2, "audioInput": {"refId": "a"}}]', "0.startTime"),
        ('[{"startTime": 1, "endTime": 2, "audioInput": {"refId": "a"}, "more": 1}]', "0.more"),
    ],
)
def test_what_is_no_timeline_is_refused(timeline: Path, text: str, words: str) -> None:
    timeline.write_text(text)
    with pytest.raises(TimelineError, match=words):
        read_timeline(timeline)


def test_missing_file_is_told(timeline: Path) -> None:
    with pytest.raises(UnreadableMediaError, match="No such file"):
        read_timeline(timeline)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "either --audio or --timeline"),
        (["--audio", "a.wav", "--timeline", "t.json"], "either --audio or --timeline"),
        (["--audio", "a.wav", "--keep-original", "12"], "such as 12.5-20"),
        (["--audio", "a.wav", "--face", "12,3"], "such as 48:640,210"),
    ],
)
def test_options_that_make_no_sense_are_refused(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(cli, ["dub", "--video", "v.mp4", "--output", "o.mp4", *arguments])
    assert result.exit_code == 2
    assert words in result.output
