"""How progress reads, by what it counts."""

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
