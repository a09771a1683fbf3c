"""Frames of the source laid out over the output, for dialogue longer and shorter than the film."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline.media.info import ColorTags
from pipeline.media.packets import scan_packets
from pipeline.media.plan import SourcePlan
from pipeline.media.probe import probe
from pipeline.options import SyncMode
from pipeline.timeline import Timeline, build_timeline

MODES: tuple[SyncMode, ...] = ("cut_off", "loop", "bounce", "silence", "remap")
RATE = Fraction(24000, 1001)


def plan_of(
    durations: list[int],
    *,
    rate: Fraction = RATE,
    time_base: Fraction = Fraction(1, 24000),
    start: int = 0,
) -> SourcePlan:
    """A source whose frames last that many ticks."""
    edges = start + np.cumsum([0, *durations])
    frames = np.arange(len(durations), dtype=np.int32)
    return SourcePlan(
        pts=edges[:-1],
        packets=frames,
        packet_pts=edges[:-1],
        keyframes=frames[:1],
        anchors=frames[:1],
        end=int(edges[-1]),
        time_base=time_base,
        frame_rate=rate,
        codec="h264",
        width=16,
        height=16,
        color=ColorTags(),
    )


@pytest.fixture(scope="module")
def film(clips: Path) -> SourcePlan:
    path = clips / "talk_29_97fps.mp4"
    return scan_packets(path, probe(path))


@pytest.fixture(scope="module")
def vfr(clips: Path) -> SourcePlan:
    path = clips / "film_vfr.mkv"
    return scan_packets(path, probe(path))


def length_of(plan: SourcePlan) -> Fraction:
    return (plan.end - int(plan.pts[0])) * plan.time_base


def assert_sound(timeline: Timeline, plan: SourcePlan) -> None:
    assert timeline.source_index.dtype == np.int32
    assert timeline.pts.dtype == np.int64
    assert len(timeline.source_index) == len(timeline.pts)
    assert (np.diff(timeline.pts) > 0).all()
    assert timeline.end > timeline.pts[-1]
    assert timeline.pts[0] == plan.pts[0]
    assert 0 <= timeline.source_index.min() <= timeline.source_index.max() < len(plan)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "seconds", [Fraction(1), Fraction(33, 10), Fraction(20), Fraction(1801, 100)]
)
@pytest.mark.parametrize("source", ["film", "vfr"])
def test_lengths_are_the_tables_to_within_a_frame(
    mode: SyncMode, seconds: Fraction, source: str, request: pytest.FixtureRequest
) -> None:
    plan = request.getfixturevalue(source)
    video = length_of(plan)
    expected = {
        "cut_off": min(video, seconds),
        "silence": max(video, seconds),
    }.get(mode, seconds)
    timeline = build_timeline(plan, seconds, mode)
    assert_sound(timeline, plan)
    longest = Fraction(int(plan.durations.max())) * plan.time_base
    assert (
        expected
        <= timeline.duration
        < expected + max(longest, 1 / plan.frame_rate) + plan.time_base
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("frames_off", [Fraction(-99, 100), Fraction(0), Fraction(99, 100)])
def test_less_than_a_frame_of_difference_changes_nothing(
    film: SourcePlan, mode: SyncMode, frames_off: Fraction
) -> None:
    timeline = build_timeline(film, length_of(film) + frames_off / film.frame_rate, mode)
    assert (timeline.source_index == np.arange(len(film))).all()
    assert (timeline.pts == film.pts).all()
    assert timeline.end == film.end


def test_a_start_offset_is_kept() -> None:
    plan = plan_of([1001] * 24, start=504)
    for mode in MODES:
        assert build_timeline(plan, Fraction(3), mode).pts[0] == 504


def test_loop_starts_again_with_vfr_timing_kept() -> None:
    plan = plan_of([1000, 3000, 2000], rate=Fraction(12))
    timeline = build_timeline(plan, Fraction(15, 24), "loop")
    assert timeline.source_index.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert timeline.durations.tolist() == [1000, 3000, 2000, 1000, 3000, 2000, 1000, 3000]


def test_bounce_turns_without_doubling_a_frame() -> None:
    plan = plan_of([1000, 3000, 2000], rate=Fraction(12))
    timeline = build_timeline(plan, Fraction(18, 24), "bounce")
    assert timeline.source_index.tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert timeline.durations.tolist() == [1000, 3000, 2000, 3000, 1000, 3000, 2000, 3000]


@pytest.mark.parametrize("mode", ["loop", "bounce"])
def test_trimming_keeps_the_frame_in_which_the_dialogue_ends(mode: SyncMode) -> None:
    plan = plan_of([1001] * 100)
    timeline = build_timeline(plan, Fraction(2), mode)
    assert timeline.source_index.tolist() == list(range(48))  # 47.95 frames


def test_silence_holds_the_last_frame_at_the_nominal_rate() -> None:
    plan = plan_of([1001] * 24)
    timeline = build_timeline(plan, Fraction(2), "silence")
    assert timeline.source_index.tolist() == [*range(24), *[23] * 24]
    assert set(timeline.durations.tolist()) == {1001}


def test_silence_leaves_a_longer_film_alone() -> None:
    plan = plan_of([1001] * 48)
    assert len(build_timeline(plan, Fraction(1), "silence")) == 48


@pytest.mark.parametrize(("seconds", "step"), [(Fraction(4), 0.5), (Fraction(1), 2.0)])
def test_remap_keeps_the_rate_and_takes_the_nearest_frame(seconds: Fraction, step: float) -> None:
    plan = plan_of([960] * 50, rate=Fraction(25))
    timeline = build_timeline(plan, seconds, "remap")
    assert len(timeline) == seconds * 25
    assert set(timeline.durations.tolist()) == {960}
    exact = np.arange(len(timeline)) * step
    assert np.abs(timeline.source_index - exact).max() <= 0.5


def test_remap_follows_the_time_of_a_vfr_film(vfr: SourcePlan) -> None:
    seconds = length_of(vfr) * 2
    timeline = build_timeline(vfr, seconds, "remap")
    last = float((vfr.pts[-1] - vfr.pts[0]) * vfr.time_base)
    wanted = np.minimum(timeline.seconds / 2, last)
    shown = (vfr.pts[timeline.source_index] - vfr.pts[0]) * float(vfr.time_base)
    assert np.abs(shown - wanted).max() <= float(vfr.durations.max() * vfr.time_base) / 2 + 1e-9


@pytest.mark.parametrize("mode", MODES)
def test_one_frame_is_enough(mode: SyncMode) -> None:
    plan = plan_of([1001])
    timeline = build_timeline(plan, Fraction(10), mode)
    assert_sound(timeline, plan)
    assert len(timeline) == (1 if mode == "cut_off" else 240)


def test_two_hours_do_not_drift() -> None:
    plan = plan_of([42, 42, 41] * 8, rate=RATE, time_base=Fraction(1, 1000))
    timeline = build_timeline(plan, Fraction(7200), "remap")
    assert len(timeline) == -(-7200 * 24000 // 1001)
    exact = np.arange(len(timeline)) * 1001 / 24
    assert np.abs(timeline.pts - exact).max() <= 0.5


@pytest.mark.parametrize(
    ("mode", "seconds", "keeps_time"),
    [
        ("cut_off", 1, True),
        ("cut_off", 9, True),
        ("silence", 1, True),
        ("silence", 9, True),
        ("loop", 1, True),
        ("loop", 3, True),
        ("loop", 9, False),
        ("bounce", 1, True),
        ("bounce", 9, False),
        ("remap", 1, False),
        ("remap", 3, True),
        ("remap", 9, False),
    ],
)
def test_the_films_other_tracks_belong_to_a_picture_that_keeps_its_time(
    mode: SyncMode, seconds: int, keeps_time: bool
) -> None:
    plan = plan_of([960] * 75, rate=Fraction(25))
    timeline = build_timeline(plan, Fraction(seconds), mode)
    assert timeline.keeps_time is keeps_time
    assert timeline.stretch == (Fraction(seconds, 3) if mode == "remap" else 1)
