"""A sound is heard where its file says, to the millisecond."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from pipeline.errors import UnusableMediaError
from pipeline.sound.decoding import Decoder, Placing, SoundFile, open_sound
from tests.pipeline.beeps import RATE, film, join, make, onsets, write_beeps

BEEPS = [0.5, 1.5, 2.5]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sounds")


@pytest.fixture(scope="module")
def beeps(folder: Path) -> Path:
    return write_beeps(folder / "beeps.wav", BEEPS, 3.0)


def placed(sound: SoundFile) -> list[float]:
    """When the beeps are heard after the sound's zero."""
    decoder = Decoder(sound)
    samples = np.concatenate(list(decoder.blocks())).reshape(-1, decoder.channels)[:, 0]
    assert decoder.duration == Fraction(len(samples), decoder.rate)
    return onsets(samples, decoder.rate)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.wav", "pcm_s24le"),
        ("a.flac", "flac"),
        ("a.mp3", "libmp3lame"),
        ("a.m4a", "aac"),
        ("a.m4a", "alac"),
        ("a.ogg", "libvorbis"),
        ("a.opus", "libopus"),
        ("a.mka", "aac"),
        ("a.webm", "libopus"),
        ("a.mov", "pcm_s16be"),
        ("a.aiff", "pcm_s16be"),
        ("a.caf", "pcm_s16le"),
    ],
)
def test_a_sound_of_any_kind_begins_with_its_file(
    name: str, codec: str, beeps: Path, tmp_path: Path
):
    path = make(tmp_path / name, "-i", beeps, "-c:a", codec, "-ar", RATE)
    assert placed(open_sound(path)) == pytest.approx(BEEPS, abs=0.002)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("late.mov", "pcm_s16le"),
        ("late.m4a", "aac"),
        ("late.mka", "libopus"),
        ("late.mkv", "flac"),
        ("late.webm", "libvorbis"),
        ("late.nut", "pcm_s16le"),
    ],
)
def test_a_sound_that_starts_late_is_late(name: str, codec: str, beeps: Path, tmp_path: Path):
    path = make(tmp_path / name, "-itsoffset", 0.8, "-i", beeps, "-c:a", codec, "-ar", RATE)
    assert placed(open_sound(path)) == pytest.approx([b + 0.8 for b in BEEPS], abs=0.002)


@pytest.mark.parametrize("name", ["film.mov", "film.mkv", "film.ts", "film.mp4"])
def test_beside_a_picture_a_sound_counts_from_the_earliest(name: str, beeps: Path, tmp_path: Path):
    codec = "pcm_s16le" if name.endswith(("mov", "mkv")) else "mp2"
    path = film(tmp_path / name, beeps, "-c:a", codec, seconds=4, late=0.8)
    assert placed(open_sound(path)) == pytest.approx([b + 0.8 for b in BEEPS], abs=0.004)


def _without(out: Path, source: Path, start: float, end: float) -> Path:
    """A copy of a file's sound without the packets of a part of it."""
    with av.open(str(source)) as container, av.open(str(out), "w") as muxer:
        copied = muxer.add_stream_from_template(container.streams.audio[0])
        for packet in container.demux(container.streams.audio[0]):
            if packet.dts is None or start <= packet.pts * packet.time_base < end:
                continue
            packet.stream = copied
            muxer.mux_one(packet)
    return out


@pytest.mark.parametrize(
    ("whole", "codec"),
    [
        ("a.mka", "libopus"),
        ("a.mka", "aac"),
        ("a.mkv", "pcm_s16le"),
        ("a.webm", "libvorbis"),
        ("a.ts", "mp2"),
        ("a.nut", "flac"),
    ],
)
@pytest.mark.parametrize("length", [0.05, 0.6])
def test_a_hole_is_silent_and_moves_nothing(
    whole: str, codec: str, length: float, beeps: Path, tmp_path: Path
):
    source = make(tmp_path / f"whole-{whole}", "-i", beeps, "-c:a", codec, "-ar", RATE)
    before = placed(open_sound(source))
    start = 1.4 if whole.endswith("ts") else 0  # where a transport stream of ffmpeg's begins
    holed = _without(tmp_path / whole, source, start + 0.7, start + 0.7 + length)
    assert placed(open_sound(holed)) == pytest.approx(before, abs=0.002)


@pytest.mark.parametrize("name", ["part.ts", "part.ogg", "part.opus", "part.mpg"])
def test_parts_put_together_follow_each_other(name: str, beeps: Path, tmp_path: Path):
    part = make(tmp_path / name, "-i", beeps, "-ar", RATE)
    once = placed(open_sound(part))
    twice = placed(open_sound(join(tmp_path / f"joined-{name}", part, part)))
    assert twice[:3] == once
    # Encoders fill their last packet: a part may last a little longer than what was put in.
    assert twice[3:] == pytest.approx([b + 3 for b in once], abs=0.03)


def test_joined_films_keep_their_sound_with_their_picture(tmp_path: Path):
    part = film(tmp_path / "part.ts", write_beeps(tmp_path / "b.wav", [0.5], 1.0))
    once = placed(open_sound(part))
    twice = placed(open_sound(join(tmp_path / "joined.ts", part, part)))
    assert twice == pytest.approx([once[0], once[0] + 1], abs=0.001)


def test_a_clock_that_runs_a_little_fast_makes_no_holes(beeps: Path, tmp_path: Path):
    """As sound cards' do; its times are off by 3 ms at the end."""
    source = make(tmp_path / "a.mka", "-i", beeps, "-c:a", "pcm_s16le")
    with av.open(str(source)) as container, av.open(str(tmp_path / "b.mka"), "w") as muxer:
        copied = muxer.add_stream_from_template(container.streams.audio[0])
        for packet in container.demux(container.streams.audio[0]):
            if packet.dts is not None:
                packet.pts = packet.dts = round(packet.pts * 1.001)
                packet.stream = copied
                muxer.mux_one(packet)
    steady, fast = (
        np.concatenate(list(Decoder(open_sound(tmp_path / name)).blocks()))
        for name in ("a.mka", "b.mka")
    )
    np.testing.assert_array_equal(steady, fast)


def test_a_hole_without_end_is_refused_with_the_place(beeps: Path, tmp_path: Path):
    source = make(tmp_path / "a.mka", "-i", beeps, "-c:a", "pcm_s16le")
    with av.open(str(source)) as container, av.open(str(tmp_path / "b.mka"), "w") as muxer:
        copied = muxer.add_stream_from_template(container.streams.audio[0])
        for number, packet in zip(itertools.count(), container.demux(0), strict=False):
            if packet.dts is not None:
                packet.pts = packet.dts = packet.pts + (10**9 if number > 10 else 0)
                packet.stream = copied
                muxer.mux_one(packet)
    with pytest.raises(UnusableMediaError, match=r"jumps by \+1000000\.\d+ s .* s in; write"):
        placed(open_sound(tmp_path / "b.mka"))


def test_a_clock_that_jumps_back_is_refused_with_the_place(beeps: Path):
    """What follows would be dropped without a word."""
    place = Placing(open_sound(beeps), RATE)
    assert place(Fraction(0), RATE) == (0, 0)
    assert place(Fraction(1), RATE) == (0, 0)
    with pytest.raises(UnusableMediaError, match=r"stream 0 jumps by -2\.000 s 2\.000 s in"):
        place(Fraction(0), RATE)


def test_a_number_that_no_sound_has_is_silenced_and_counted(tmp_path: Path):
    samples = np.full(1000, 0.25, np.float32)
    samples[[3, 5, 7]] = 1e15, -1e30, np.nan
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    decoder = Decoder(open_sound(tmp_path / "a.wav"))
    heard = np.concatenate(list(decoder.blocks()))
    assert decoder.repaired == 3
    assert heard[[3, 5, 7]].tolist() == [0, 0, 0]
    assert set(heard.tolist()) == {0, 0.25}


def test_what_lies_before_zero_is_dropped(beeps: Path):
    sound = replace(open_sound(beeps), zero=Fraction(9, 4))
    assert placed(sound) == pytest.approx([0.25], abs=0.001)


@pytest.fixture
def changing(tmp_path: Path) -> Callable[..., Path]:
    """A transport stream whose sound changes on the way, as broadcasts do between programmes."""

    def make_changing(*options: object) -> Path:
        before = write_beeps(tmp_path / "b.wav", [0.5], 1.0)
        first = make(tmp_path / "1.ts", "-i", before, "-c:a", "ac3", "-ar", RATE, "-ac", 2)
        second = make(tmp_path / "2.ts", "-i", before, "-c:a", "ac3", *options)
        return join(tmp_path / "changing.ts", first, second)

    return make_changing


@pytest.mark.parametrize("options", [("-ac", 6, "-ar", RATE), ("-ac", 2, "-ar", 32000)])
def test_a_sound_may_change_its_channels_and_rate_on_the_way(
    options: tuple[object, ...], changing: Callable[..., Path]
):
    assert placed(open_sound(changing(*options))) == pytest.approx([0.505, 1.54], abs=0.04)
