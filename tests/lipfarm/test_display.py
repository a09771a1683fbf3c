"""How progress reads, by what it counts."""

import json

import pytest

from lipfarm.display import choose_display


@pytest.mark.parametrize("counted", ["frames", "clips"])
def test_plain_lines_say_what_they_count(counted: str, capsys: pytest.CaptureFixture[str]) -> None:
    display = choose_display(as_json=False, counted=counted)
    display.start_stage("prepare", 39)
    display.advance(39)
    display.finish_stage()
    display.close()
    said = capsys.readouterr().err
    assert f"prepare: 39/39 {counted}, " in said
    assert f" {counted}/s, in " in said


def test_the_time_left_is_not_told_before_anybody_knows_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    display = choose_display(as_json=False)
    display.start_stage("detect", 39)
    display.advance(0)
    display.close()
    assert capsys.readouterr().err == "detect: 0/39 frames, 0.0 frames/s\n"
    display = choose_display(as_json=True)
    display.start_stage("detect", 39)
    display.advance(0)
    assert json.loads(capsys.readouterr().out)["seconds_left"] is None
