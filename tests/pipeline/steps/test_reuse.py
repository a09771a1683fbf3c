"""What is made once is not made again; what is given up is kept as it was."""

from pathlib import Path

import av
import pytest

from pipeline.steps.facts import (
    render_key,
)
from tests.pipeline.steps.machines import Farm, order, run_on


@pytest.mark.slow
def test_second_language_looks_for_no_face_again(farm: Farm, clips: Path) -> None:
    talk = clips / "talk_29_97fps.mp4"
    options = {"segment_seconds": 1.5, "sync_mode": "cut_off"}
    first = run_on(farm, order(talk, clips / "dialogue_short.flac", "a.mp4", **options))
    made = {stage: farm.made(stage) for stage in ("source", "detect", "tracks")}
    inputs = order(talk, clips / "dialogue_zh.flac", "b.mp4", **options)
    second = run_on(farm, inputs, source_is_here=False)
    assert {stage: farm.made(stage) for stage in made} == made
    assert second.prepared.source_key == first.prepared.source_key
    assert {s.artifact_key for s in second.detect_steps} == made["detect"]
    assert second.prepared.sound_key != first.prepared.sound_key
    assert first.output.read_bytes() != second.output.read_bytes()


@pytest.mark.slow
def test_ranges_without_a_face_are_rendered_once_for_all_languages(
    farm: Farm, short_film: Path, clips: Path
) -> None:
    options = {"segment_seconds": 2.0, "sync_mode": "cut_off"}
    first = run_on(farm, order(short_film, clips / "dialogue_en.flac", "a.mkv", **options))
    empty = {render_key(step, None) for step in first.render_steps if step.dubbed is None}
    assert 0 < len(empty) < len(first.render_steps)
    made = farm.made("render")
    second = run_on(farm, order(short_film, clips / "dialogue_zh.flac", "b.mkv", **options))
    assert len(farm.made("render")) == 2 * len(made) - len(empty)
    assert empty == {render_key(step, None) for step in second.render_steps if not step.dubbed}


def test_original_is_kept_where_a_step_was_given_up(farm: Farm, clips: Path) -> None:
    inputs = order(
        clips / "talk_29_97fps.mp4", clips / "dialogue_short.flac", "out.mp4",
        segment_seconds=1.0, sync_mode="cut_off", crf=0.0,
    )  # fmt: skip
    dub = run_on(farm, inputs, unseen=[1], unrendered=[3])
    kept = [dub.render_steps[1], dub.render_steps[3]]
    assert dub.tracked.kept_original == (1,)
    assert dub.render_steps[1].dubbed is None
    assert dub.render_steps[3].dubbed is not None
    reason = "its step was given up"
    expected = [{"start": step.start, "end": step.end, "reason": reason} for step in kept]
    assert dub.report["kept_original"] == expected
    before, after = pictures(inputs.source), pictures(dub.output)
    for step in dub.render_steps:
        same = before[step.start : step.end] == after[step.start : step.end]
        assert same == (step in kept), f"{step.start} to {step.end}"
    # Next to a segment nobody looked through, a face may be seen a look later.
    rendered = sum(step.frames for step in dub.render_steps if step not in kept)
    assert rendered - 6 < dub.report["frames"]["dubbed"] <= rendered


def pictures(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(frame.planes[0]) for frame in container.decode(video=0)]
