"""A person chosen on a real film: that face moves, the one beside it does not."""

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.options import DubOptions, FacePoint
from pipeline.running.commands import run
from pipeline.steps.detecting import detect
from pipeline.steps.facts import SEGMENT_FILE
from pipeline.steps.preparing import Inputs, prepare
from pipeline.steps.rendering import render
from pipeline.steps.tracking import track
from tests.patience import LONG_SECONDS
from tests.pipeline.steps.machines import DETECTOR, DRAFT, SILENT, Farm, order

#: On the woman's face, in the left half of the picture; the man is the larger one.
WOMAN, LEFT_BOX, MIDDLE = FacePoint(12, 152, 100), [120, 55, 188, 140], 320


@pytest.fixture
def inputs(clips: Path, ffmpeg: str, tmp_path: Path) -> Inputs:
    """Two seconds of two people side by side."""
    film = tmp_path / "two.mkv"
    cut = ["-ss", "10.6", "-i", str(clips / "film.mkv"), "-t", "2", "-map", "0:v"]
    encode = ["-vf", "scale=640:360", "-c:v", "libx264", "-crf", "10", str(film)]
    run([ffmpeg, "-nostdin", "-loglevel", "error", *cut, *encode], timeout=LONG_SECONDS)
    return order(film, clips / "dialogue_short.flac", "out.mkv", sync_mode="cut_off")


def change(farm: Farm, inputs: Inputs) -> tuple[float, float]:
    """How far the left and the right half of the picture are from the source's, at the most."""
    store = farm.machine()
    prepared, steps = prepare(inputs, store, SILENT)
    for step in steps:
        detect(prepared, step.segment_index, DETECTOR, store, SILENT)
    tracked, ranges = track(prepared, DETECTOR, store, SILENT)
    done = [render(prepared, tracked, each, DRAFT, store, SILENT) for each in ranges]
    with av.open(str(inputs.source)) as source:
        before = [f.to_ndarray(format="gray").astype(int) for f in source.decode(video=0)]
    after = []
    for each in done:
        with av.open(str(store.path(each.artifact_key) / SEGMENT_FILE)) as segment:
            after += [f.to_ndarray(format="gray").astype(int) for f in segment.decode(video=0)]
    off = np.max([np.abs(a - b) for a, b in zip(before, after, strict=False)], axis=0)
    return float(np.percentile(off[:, :MIDDLE], 99.8)), float(np.percentile(off[:, MIDDLE:], 99.8))


def test_point_dubs_the_smaller_face_alone(farm: Farm, inputs: Inputs) -> None:
    left, right = change(farm, inputs)
    assert right > 2 * left, "the larger face is dubbed unless somebody chose"
    options = DubOptions(sync_mode="cut_off", chosen=(WOMAN,))
    left, right = change(farm, replace(inputs, options=options))
    assert left > 2 * right


def test_boxes_dub_the_face_they_are_on(farm: Farm, inputs: Inputs, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([LEFT_BOX] * 48))
    left, right = change(farm, replace(inputs, face_boxes=boxes))
    assert left > 2 * right
