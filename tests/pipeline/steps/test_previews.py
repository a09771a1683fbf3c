"""Before and after beside the output: of the same frames, and without a trace in the output."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.media.probe import probe
from pipeline.output.preview import HalfSize
from pipeline.steps.detecting import detect
from pipeline.steps.facts import PREVIEW_FILE, RANGE_FILES, SEGMENT_FILE, STILL_FILE, render_key
from pipeline.steps.preparing import prepare
from pipeline.steps.rendering import load_network, render
from pipeline.steps.stitching import stitch
from pipeline.steps.tracking import track
from tests.pipeline.steps.machines import DETECTOR, DRAFT, SILENT, Dub, Farm, order, run_on


@pytest.fixture
def dub(farm: Farm, clips: Path) -> Dub:
    inputs = order(
        clips / "talk_29_97fps.mp4",
        clips / "dialogue_short.flac",
        "out.mp4",
        segment_seconds=1.5,
        sync_mode="cut_off",
    )
    return run_on(farm, inputs)


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


def stitch_with_preview(farm: Farm, dub: Dub, clips: Path, *, without: int | None = None) -> Path:
    """Render and stitch again, with previews of all ranges but one; the preview."""
    network = load_network(DRAFT)
    store = farm.machine()
    keys = {}
    for step in dub.render_steps:
        key = keys[step.segment_index] = render_key(step, network.digest)
        has_preview = step.segment_index != without
        farm.fetch(store, step.reads)
        render(dub.prepared, dub.tracked, step, DRAFT, store, SILENT, with_preview=has_preview)
        made = {path.name for path in store.path(key).iterdir()}
        assert made == {*RANGE_FILES} | ({PREVIEW_FILE, STILL_FILE} if has_preview else set())
        assert (store.path(key) / SEGMENT_FILE).read_bytes() == (
            farm.bucket / key / SEGMENT_FILE
        ).read_bytes()
    output, preview = store.root / dub.prepared.output_name, store.root / "preview.mp4"
    inputs = clips / "talk_29_97fps.mp4", clips / "dialogue_short.flac"
    farm.asking(
        store,
        lambda: stitch(
            dub.prepared, dub.tracked, keys, *inputs, output, store, SILENT, network,
            preview=preview,
        ),
    )  # fmt: skip
    assert output.read_bytes() == dub.output.read_bytes(), "the preview shows in the output"
    return preview


def test_halves_are_the_source_and_the_output_frame_by_frame(farm: Farm, dub: Dub, clips: Path):
    preview = stitch_with_preview(farm, dub, clips)
    before, after = pictures(clips / "talk_29_97fps.mp4"), pictures(dub.output)
    shown = pictures(preview)
    assert len(shown) == len(after) == dub.tracked.output_frames
    with av.open(str(preview)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert video.codec_context.pix_fmt == "yuv420p"
        assert video.width % 4 == video.height % 2 == 0
        assert abs(float(video.duration * video.time_base) - dub.tracked.output_seconds) < 0.05
    for number in range(5, len(shown), 17):
        small = shown[number].astype(float)
        width = small.shape[1] // 2
        for half, large in ((small[:, :width], before[number]), (small[:, width:], after[number])):
            wanted = cv2.resize(large, half.shape[::-1], interpolation=cv2.INTER_AREA)
            assert np.abs(half - wanted).mean() < 6, number
    middle = shown[0].shape[1] // 2
    assert any(np.abs(p[:, :middle] - 0.0 - p[:, middle:]).max() > 60 for p in shown)


def test_range_without_a_preview_is_a_gap_and_no_more(farm: Farm, dub: Dub, clips: Path):
    whole = dub.tracked.output_frames
    lacking = dub.render_steps[1]
    preview = stitch_with_preview(farm, dub, clips, without=1)
    with av.open(str(preview)) as container:
        stream = container.streams.video[0]
        times = [frame.time for frame in container.decode(stream)]
        assert abs(float(stream.duration * stream.time_base) - dub.tracked.output_seconds) < 0.05
    assert len(times) == whole - lacking.frames
    rate = float(dub.prepared.frame_rate)
    assert times[lacking.start] == pytest.approx(lacking.end / rate, abs=0.02)


def test_still_is_a_jpeg_of_both(farm: Farm, dub: Dub, clips: Path):
    step, network = dub.render_steps[0], load_network(DRAFT)
    store = farm.machine(step.reads)
    render(dub.prepared, dub.tracked, step, DRAFT, store, SILENT, with_preview=True)
    picture = cv2.imread(str(store.path(render_key(step, network.digest)) / STILL_FILE))
    assert picture is not None
    height, width = picture.shape[:2]
    assert width <= 960
    assert width == 2 * height, "two squares side by side"


@pytest.mark.parametrize("name", ["film_hdr10.mp4", "film_rotated.mp4", "film_vfr.mkv"])
def test_other_films_have_previews_too(farm: Farm, clips: Path, name: str):
    inputs = order(clips / name, clips / "dialogue_short.flac", "out.mkv", segment_seconds=2.0)
    store = farm.machine()
    prepared, steps = prepare(inputs, store, SILENT)
    for step in steps:
        detect(prepared, step.segment_index, DETECTOR, store, SILENT)
    tracked, ranges = track(prepared, DETECTOR, store, SILENT)
    done = render(prepared, tracked, ranges[0], DRAFT, store, SILENT, with_preview=True)
    folder, size = store.path(done.artifact_key), HalfSize.of(probe(clips / name).video)
    shown = pictures(folder / PREVIEW_FILE)
    assert len(shown) == ranges[0].frames
    assert shown[0].shape == (size.height, 2 * size.width)
    assert (folder / STILL_FILE).exists()
