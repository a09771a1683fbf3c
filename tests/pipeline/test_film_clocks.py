"""A whole dub of films whose streams start late, have holes, or were put together."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from pipeline.dub import Order, dub_film
from pipeline.geometry import Box
from pipeline.options import Clip, DetectorChoice, DubOptions, NetworkChoice
from pipeline.report import Report
from pipeline.running.progress import Silent
from tests.pipeline.beeps import film, heard, join, make, write_beeps

#: ffmpeg's transport streams begin their sound 10 ms before their picture.
TS_LEAD = 0.01


def dub(source: Path, dialogue: Path, output: Path, **options: object) -> Report:
    chosen = DubOptions(box=Box(20, 20, 80, 80), **options)
    network, detector = NetworkChoice("draft"), DetectorChoice()
    return dub_film(Order(source, dialogue, output, chosen, network, detector), Silent())


@pytest.fixture
def beeps(tmp_path: Path) -> Path:
    return write_beeps(tmp_path / "beeps.wav", [0.5], 1.0)


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
def test_joined_streams_keep_all_their_sound_with_the_picture(
    suffix: str, beeps: Path, tmp_path: Path
):
    parts = [film(tmp_path / "a.ts", beeps), film(tmp_path / "b.ts", beeps, "-output_ts_offset", 9)]
    source = join(tmp_path / "joined.ts", parts[0], parts[1], parts[0])
    dialogue = write_beeps(tmp_path / "dialogue.wav", [0.25, 1.25], 11.0)
    output = tmp_path / f"out.{suffix}"
    report = dub(source, dialogue, output)
    # Nine seconds on is a hole in the recording; back to the start is a new part.
    kept = [0.5, 9.42, 10.42]
    assert report["frames"]["in"] == 75
    assert heard(output, 0) == pytest.approx([0.25 + TS_LEAD, 1.25 + TS_LEAD], abs=0.001)
    assert heard(output, 1) == pytest.approx([t + TS_LEAD for t in kept], abs=0.002)


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
def test_a_dialogue_that_starts_late_is_heard_late(suffix: str, beeps: Path, tmp_path: Path):
    source = film(tmp_path / "film.mp4", beeps, "-an", seconds=2)
    dialogue = make(tmp_path / "d.mka", "-itsoffset", 0.8, "-i", beeps, "-c:a", "libopus")
    dub(source, dialogue, tmp_path / f"out.{suffix}")
    assert heard(tmp_path / f"out.{suffix}") == pytest.approx([1.3], abs=0.002)


def test_a_hole_in_the_film_s_own_sound_moves_nothing_of_a_timeline(tmp_path: Path):
    sound = write_beeps(tmp_path / "long.wav", [0.5, 1.5, 2.5], 3.0)
    whole = film(tmp_path / "whole.mkv", sound, "-c:a", "libopus", seconds=3)
    source = tmp_path / "hole.mkv"
    with av.open(str(whole)) as container, av.open(str(source), "w") as muxer:
        copies = {s.index: muxer.add_stream_from_template(s) for s in container.streams}
        for packet in container.demux():
            is_lost = packet.stream.type == "audio" and 0.7 < (packet.pts or 0) / 1000 < 1.3
            if packet.pts is not None and not is_lost:
                packet.stream = copies[packet.stream_index]
                muxer.mux_one(packet)
    dialogue = write_beeps(tmp_path / "dialogue.wav", [0.1], 0.3)
    dub(
        source,
        dialogue,
        tmp_path / "out.mkv",
        timeline=(Clip(Fraction(2), Fraction(23, 10)),),
    )
    # The track put together, and the film's own as it was.
    assert heard(tmp_path / "out.mkv", 0) == pytest.approx([0.5, 1.5, 2.1, 2.5], abs=0.003)
    assert heard(tmp_path / "out.mkv", 1) == pytest.approx([0.5, 1.5, 2.5], abs=0.003)


def test_a_film_whose_own_sound_starts_late_keeps_it_late_in_a_timeline(
    beeps: Path, tmp_path: Path
):
    source = film(tmp_path / "film.mkv", beeps, "-c:a", "pcm_s16le", seconds=3, late=0.8)
    dialogue = write_beeps(tmp_path / "dialogue.wav", [0.1], 0.3)
    clip = Clip(Fraction(2), Fraction(23, 10))
    dub(source, dialogue, tmp_path / "out.mkv", timeline=(clip,))
    assert heard(tmp_path / "out.mkv", 0) == pytest.approx([1.3, 2.1], abs=0.002)


def test_a_sound_that_nothing_decodes_is_silent_in_a_timeline(beeps: Path, tmp_path: Path):
    source = film(tmp_path / "film.mp4", beeps, "-c:a", "aac", seconds=2)
    whole = source.read_bytes()
    source.write_bytes(whole.replace(b"mp4a", b"apac").replace(b"esds", b"dapa"))
    dialogue = write_beeps(tmp_path / "dialogue.wav", [0.1], 0.3)
    clip = Clip(Fraction(1), Fraction(13, 10))
    report = dub(source, dialogue, tmp_path / "out.mkv", timeline=(clip,))
    assert heard(tmp_path / "out.mkv", 0) == pytest.approx([1.1], abs=0.002)
    (left,) = report["left_out"]
    assert left["reason"] == "there is no decoder for its codec"


def test_a_sound_whose_clock_jumps_alone_is_left_out_and_named(tmp_path: Path):
    sound = write_beeps(tmp_path / "long.wav", [0.5], 4.0)
    part = film(tmp_path / "part.ts", sound, seconds=4)
    moved = tmp_path / "moved.ts"
    with av.open(str(part)) as container, av.open(str(moved), "w", format="mpegts") as muxer:
        copies = {s.index: muxer.add_stream_from_template(s) for s in container.streams}
        for packet in container.demux():
            if packet.dts is not None:
                if packet.stream.type == "video":
                    packet.pts += 8 * 90_000
                    packet.dts += 8 * 90_000
                packet.stream = copies[packet.stream_index]
                muxer.mux_one(packet)
    source = join(tmp_path / "joined.ts", part, moved)
    report = dub(source, sound, tmp_path / "out.mkv")
    (reason,) = (each["reason"] for each in report["left_out"] if each["kind"] == "audio")
    assert reason.startswith("its clock jumps by -4.0")


@pytest.mark.parametrize("options", [("-ac", 6, "-ar", 48_000), ("-ac", 2, "-ar", 32_000)])
def test_a_sound_that_changes_its_header_is_left_out_and_named(
    options: tuple[object, ...], tmp_path: Path
):
    """A copy has one header: the rest of it would be lost, or play at another speed."""
    beeps = write_beeps(tmp_path / "beeps.wav", [0.5], 1.0)
    sounds = [
        make(tmp_path / "1.aac", "-i", beeps, "-ac", 2, "-ar", 48_000),
        make(tmp_path / "2.aac", "-i", beeps, *options),
    ]
    sound = join(tmp_path / "changing.aac", *sounds)
    picture = film(tmp_path / "film.mkv", beeps, "-an", seconds=2)
    source = make(tmp_path / "film.ts", "-i", picture, "-i", sound, "-c", "copy")
    report = dub(source, beeps, tmp_path / "out.mkv")
    (left,) = report["left_out"]
    assert left["reason"] == "its channels or its rate change on the way"
    assert heard(tmp_path / "out.mkv") == pytest.approx([0.5], abs=0.1)
