"""All streams of a file lie on one clock, whatever became of its times."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import UnusableMediaError
from pipeline.media.clock import on_clock, with_clock
from pipeline.media.packets import SourcePlan, scan_packets
from pipeline.media.probe import probe
from tests.pipeline.beeps import film, join, make, write_beeps


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clocks")


@pytest.fixture(scope="module")
def sound(folder: Path) -> Path:
    return write_beeps(folder / "beeps.wav", [0.5], 1.0)


@pytest.fixture(scope="module")
def parts(folder: Path, sound: Path) -> dict[str, Path]:
    """A second of film, with its times at different places of the clock."""
    return {
        "early": film(folder / "early.ts", sound),
        "late": film(folder / "late.ts", sound, "-output_ts_offset", 500),
        # The 33-bit counter of 90 kHz ends at 95,443.7 s.
        "wrapping": film(folder / "wrapping.ts", sound, "-output_ts_offset", 95442.2),
        "program": film(folder / "program.mpg", sound, "-f", "mpeg"),
    }


@pytest.mark.parametrize(
    "names",
    [
        ("early", "early"),
        ("early", "late"),
        ("late", "early"),
        ("early", "early", "early"),
        ("wrapping",),
        ("wrapping", "late", "wrapping"),
        ("late", "wrapping", "late"),
    ],
)
def test_joined_streams_play_on(names: tuple[str, ...], parts: dict[str, Path], tmp_path: Path):
    path = join(tmp_path / "joined.ts", *(parts[name] for name in names))
    info = probe(path)
    plan = scan_packets(path, info)
    assert len(plan) == 25 * len(names)
    steps = np.diff(plan.pts) * float(plan.time_base)
    np.testing.assert_allclose(steps, 0.04, atol=1e-4)
    assert plan.duration == len(names)
    joins = len(names) - 1
    assert [len(plan.clock.jumps.get(index, ())) for index in (0, 1)] == [joins, joins]


def test_sound_and_picture_move_by_the_same_at_a_join(parts: dict[str, Path], tmp_path: Path):
    path = join(tmp_path / "joined.ts", parts["late"], parts["early"])
    jumps = scan_packets(path, probe(path)).clock.jumps
    assert {jump.shift for own in jumps.values() for jump in own} == {jumps[0][0].shift}


def test_program_streams_play_on(parts: dict[str, Path], tmp_path: Path):
    path = join(tmp_path / "joined.mpg", parts["program"], parts["program"])
    info = with_clock(probe(path))
    assert info.clock.jumps
    assert info.duration == pytest.approx(2, abs=0.15)  # its last pictures tell no time


def test_a_file_without_jumps_keeps_its_times(clips: Path):
    for name in ("film.mkv", "film_vfr.mkv", "talk_mpeg4_25fps.mp4", "vertical_1080x1920_hevc.mp4"):
        info = probe(clips / name)
        plan = scan_packets(clips / name, info)
        assert not plan.clock.jumps
        assert not plan.clock.broken
        assert with_clock(info) == info


def test_a_hole_in_all_streams_stays_a_hole(parts: dict[str, Path], sound: Path, tmp_path: Path):
    following = film(tmp_path / "following.ts", sound, "-output_ts_offset", 4)
    path = join(tmp_path / "joined.ts", parts["early"], following)
    plan = scan_packets(path, probe(path))
    assert not plan.clock.jumps
    assert plan.duration > 4.9, "the last frame before the hole is shown until it is over"


def _retimed(out: Path, source: Path, kind: str, after: int, by: Fraction) -> Path:
    """A copy of a transport stream in which one stream's times jump after some packets."""
    with av.open(str(source)) as container, av.open(str(out), "w", format="mpegts") as muxer:
        copies = {s.index: muxer.add_stream_from_template(s) for s in container.streams}
        counts = itertools.count()
        for packet in container.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == kind and next(counts) >= after:
                packet.pts += round(by / packet.time_base)
                packet.dts += round(by / packet.time_base)
            packet.stream = copies[packet.stream_index]
            muxer.mux_one(packet)
    return out


@pytest.fixture(scope="module")
def long_part(folder: Path) -> Path:
    beeps = write_beeps(folder / "long.wav", [0.5, 5.5], 8.0)
    return film(folder / "long.ts", beeps, seconds=8)


def test_a_picture_that_jumps_alone_is_refused_with_the_place(long_part: Path, tmp_path: Path):
    # A transport stream muxer refuses times that go back, so the sound is moved on instead: the
    # picture jumps back by 8 s, the sound goes on by itself.
    moved = _retimed(tmp_path / "moved.ts", long_part, "audio", 0, Fraction(8))
    path = join(tmp_path / "joined.ts", long_part, moved)
    with pytest.raises(UnusableMediaError, match=r"stream 0 jumps by -8\.0\d\d s 8\.0\d\d s in"):
        scan_packets(path, probe(path))


def test_a_sound_that_jumps_alone_is_left_out_of_the_clock(long_part: Path, tmp_path: Path):
    moved = _retimed(tmp_path / "moved.ts", long_part, "video", 0, Fraction(8))
    path = join(tmp_path / "joined.ts", long_part, moved)
    plan = scan_packets(path, probe(path))
    assert plan.duration == 16
    assert list(plan.clock.broken) == [1]
    assert "jumps by -8" in plan.clock.broken[1]


def test_a_hole_in_the_picture_alone_is_shown(long_part: Path, tmp_path: Path):
    path = _retimed(tmp_path / "hole.ts", long_part, "video", 100, Fraction(15))
    plan = scan_packets(path, probe(path))
    assert not plan.clock.jumps
    assert plan.duration == 23


def test_one_sound_alone_plays_on(sound: Path, tmp_path: Path):
    part = make(tmp_path / "part.ts", "-i", sound, "-c:a", "ac3")
    info = with_clock(probe(join(tmp_path / "joined.ts", part, part)))
    assert len(info.clock.jumps[0]) == 1
    assert info.duration == pytest.approx(2, abs=0.08)


def test_a_part_without_sound_moves_the_sound_after_it_by_both_joins(sound: Path, tmp_path: Path):
    part = film(tmp_path / "part.ts", sound)
    mute = film(tmp_path / "mute.ts", sound, "-an")
    jumps = scan_joined(join(tmp_path / "joined.ts", part, mute, part)).clock.jumps
    assert [jump.shift for jump in jumps[0]] == [1, 2]
    assert [jump.shift for jump in jumps[1]] == [2]


def test_parts_that_overlap_by_less_than_a_tenth_play_on_together(sound: Path, tmp_path: Path):
    part = film(tmp_path / "part.ts", sound)
    following = film(tmp_path / "following.ts", sound, "-output_ts_offset", 0.94)
    jumps = scan_joined(join(tmp_path / "joined.ts", part, following)).clock.jumps
    assert len({jump.shift for own in jumps.values() for jump in own}) == 1
    assert set(jumps) == {0, 1}


def test_a_sound_that_begins_in_a_later_part_is_placed_there(sound: Path, tmp_path: Path):
    part = film(tmp_path / "part.ts", sound)
    more = film(tmp_path / "more.ts", sound, "-map", "1:a")
    plan = scan_joined(join(tmp_path / "joined.ts", part, more))
    assert plan.duration == 2
    assert not plan.clock.broken


def test_parts_with_other_streams_are_refused_with_the_place(sound: Path, tmp_path: Path):
    part = film(tmp_path / "part.ts", sound)
    options = ("-mpegts_start_pid", 0x200, "-mpegts_pmt_start_pid", 0x1100)
    other = film(tmp_path / "other.ts", sound, *options)
    with pytest.raises(UnusableMediaError, match=r"goes on with other streams 1\.000 s in"):
        scan_joined(join(tmp_path / "joined.ts", part, other))


def test_another_programme_does_not_move_the_film(sound: Path, tmp_path: Path):
    """Its clock has nothing to do with the film's."""
    late = film(tmp_path / "late.ts", sound, "-output_ts_offset", 500)
    early = film(tmp_path / "early.ts", sound, "-output_ts_offset", 100)
    inputs = ("-copyts", "-i", late, "-i", early, "-map", "0", "-map", "1", "-c", "copy")
    path = make(tmp_path / "both.ts", *inputs, "-max_interleave_delta", 1, "-f", "mpegts")
    info = probe(path)
    assert info.video is not None
    clock = scan_packets(path, info).clock
    assert len(clock.broken) == 2
    assert on_clock(info, clock).start > 400


def scan_joined(path: Path) -> SourcePlan:
    return scan_packets(path, probe(path))
