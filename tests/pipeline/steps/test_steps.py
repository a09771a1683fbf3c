"""The stages one by one, each on a machine of its own: nothing is read but what a step names."""

from dataclasses import replace
from pathlib import Path

import av
import cv2
import pytest

from pipeline.errors import CheckpointError, OutputError
from pipeline.options import NetworkChoice
from pipeline.steps.preparing import Inputs, prepare
from pipeline.steps.rendering import render
from tests.pipeline.steps.machines import SILENT, Farm, dub_here, order, prepare_on, run_on


def test_farm_makes_the_file_that_one_machine_makes(
    farm: Farm, clips: Path, tmp_path: Path
) -> None:
    talk, dialogue = clips / "talk_29_97fps.mp4", clips / "dialogue_short.flac"
    inputs = order(talk, dialogue, "out.mp4", segment_seconds=1.5, sync_mode="bounce")
    compare_to_one_machine(farm, inputs, tmp_path)


@pytest.mark.slow
def test_film_with_everything_in_it_comes_out_of_the_farm_the_same(
    farm: Farm, short_film: Path, clips: Path, tmp_path: Path
) -> None:
    options = {"segment_seconds": 3.0, "language": "deu", "sync_mode": "silence"}
    inputs = order(short_film, clips / "dialogue_short.flac", "out.mkv", **options)
    compare_to_one_machine(farm, inputs, tmp_path)


def compare_to_one_machine(farm: Farm, inputs: Inputs, folder: Path) -> None:
    output = inputs.output_name
    alone = dub_here(inputs, folder / output)
    dub = run_on(farm, inputs)
    assert len(dub.detect_steps) > 2
    assert len(dub.render_steps) > 2
    assert dub.output.read_bytes() == (folder / output).read_bytes()
    for kind in ("source", "dialogue", "output"):
        alone[kind]["path"] = Path(alone[kind]["path"]).name
    for cost in ("timings", "peak_memory_bytes", "peak_disk_bytes"):
        del alone[cost]
    assert dub.report == alone


def test_damaged_film_is_tracked_by_what_decodes(farm: Farm, clips: Path, tmp_path: Path) -> None:
    """Which takes its objects a second time; the result is that of one machine."""
    damaged = tmp_path / "damaged.mp4"
    damage(clips / "talk_29_97fps.mp4", damaged)
    dialogue = clips / "dialogue_short.flac"
    inputs = order(damaged, dialogue, "out.mp4", segment_seconds=1.5)
    dub = run_on(farm, inputs)
    assert dub.tracked.frames != dub.prepared.frames, "it was not damaged enough"
    alone = tmp_path / "alone.mp4"
    dub_here(inputs, alone)
    assert dub.output.read_bytes() == alone.read_bytes()


def damage(path: Path, out: Path) -> None:
    """Overwrite the data of some pictures in the middle."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.pos is not None]
    for position, size in packets[50:60]:
        data[position + 4 : position + size] = b"\xff" * (size - 4)
    out.write_bytes(data)


def test_still_picture_needs_no_source_after_it_was_prepared(
    farm: Farm, clips: Path, tmp_path: Path
) -> None:
    still = tmp_path / "still.png"
    _, picture = cv2.VideoCapture(str(clips / "talk_29_97fps.mp4")).read()
    cv2.imwrite(str(still), picture)
    dialogue = clips / "dialogue_short.flac"
    inputs = order(still, dialogue, "out.mp4", segment_seconds=4.0)
    alone = tmp_path / "alone.mp4"
    dub_here(inputs, alone)
    prepare_on(farm, inputs)
    dub = run_on(farm, inputs, source_is_here=False)
    assert dub.report["source"]["is_still"]
    assert dub.output.read_bytes() == alone.read_bytes()


def test_other_network_than_the_job_s_is_refused(farm: Farm, clips: Path, models: Path) -> None:
    inputs = order(clips / "talk_29_97fps.mp4", clips / "dialogue_short.flac", "out.mp4")
    dub = run_on(farm, inputs)
    nano = NetworkChoice("wav2lip", models / "wav2lip_nano.pth")
    step = dub.render_steps[0]
    with pytest.raises(CheckpointError, match="rendered with draft"):
        render(dub.prepared, dub.tracked, step, nano, farm.machine(step.reads), SILENT)


def test_container_is_refused_before_the_source_is_cut(farm: Farm, clips: Path) -> None:
    inputs = order(clips / "film.mkv", clips / "dialogue_short.flac", "out.mp4")
    inputs = replace(inputs, output_name="out.avi")
    store = farm.machine()
    with pytest.raises(OutputError):
        prepare(inputs, store, SILENT)
    assert not list(store.root.glob("source-*"))
