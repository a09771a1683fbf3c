"""A dialogue put together of several sounds has each where it belongs, to the sample."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from pipeline.options import Clip
from pipeline.sound.assembly import (
    FADE_SECONDS,
    FILM,
    SILENCE,
    Piece,
    encode_assembled,
    lay_out,
    write_assembled,
)
from pipeline.sound.decoding import SoundFile, open_sound

RATE = 16_000
FADE = round(FADE_SECONDS * RATE)

F = Fraction


def noise(seconds: float, seed: int) -> npt.NDArray[np.float32]:
    return (0.2 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype("f4")


def sound_file(path: Path, samples: npt.NDArray[np.float32]) -> Path:
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return path


@pytest.fixture
def sounds(tmp_path: Path) -> dict[int, npt.NDArray[np.float32]]:
    return {FILM: noise(30, 1), 0: noise(9, 2), 1: noise(3, 3)}


@pytest.fixture
def files(sounds: dict[int, npt.NDArray[np.float32]], tmp_path: Path) -> dict[int, SoundFile]:
    written = {n: sound_file(tmp_path / f"{n}.wav", samples) for n, samples in sounds.items()}
    return {n: open_sound(path) for n, path in written.items()}


def assembled(pieces: tuple[Piece, ...], files: dict[int, SoundFile], folder: Path) -> np.ndarray:
    write_assembled(pieces, files, folder / "out.npy")
    return np.load(folder / "out.npy")


def test_every_sample_comes_from_where_the_timeline_says(sounds, files, tmp_path):
    clips = [Clip(F(2), F(5), 0, F(1, 2), F(3)), Clip(F(10), F(14), 1), Clip(F(20), F(21), 0, F(4))]
    pieces = lay_out(clips, F(30), has_sound=True)
    out = assembled(pieces, files, tmp_path)
    assert len(out) == 30 * RATE
    expected = sounds[FILM].copy()
    for start, end, sound in (
        (2, 4.5, sounds[0][RATE // 2 :]),
        (4.5, 5, np.zeros(RATE)),
        (10, 13, sounds[1]),
        (13, 14, np.zeros(RATE)),
        (20, 21, sounds[0][4 * RATE :]),
    ):
        first, last = round(start * RATE), round(end * RATE)
        expected[first:last] = sound[: last - first]
    joins = [2, 4.5, 5, 10, 14, 20, 21]
    inside = np.ones(len(out), bool)
    for join in joins:
        inside[round(join * RATE) - FADE : round(join * RATE) + FADE] = False
    np.testing.assert_allclose(out[inside], expected[inside], atol=1e-6)


def test_sound_that_is_used_out_of_order_is_right(sounds, files, tmp_path):
    clips = [Clip(F(1), F(2), 0, F(6)), Clip(F(3), F(5), 0, F(1)), Clip(F(5), F(6), 0, F(8))]
    out = assembled(lay_out(clips, F(7), has_sound=False), files, tmp_path)
    for start, end, offset in ((1, 2, 6), (3, 5, 1), (5, 6, 8)):
        part = out[start * RATE + FADE : end * RATE - FADE]
        wanted = sounds[0][offset * RATE + FADE :][: len(part)]
        np.testing.assert_allclose(part, wanted, atol=1e-6)


def test_joins_are_soft_and_short(files, tmp_path):
    loud = np.full(4 * RATE, 0.9, np.float32)
    files[FILM] = open_sound(sound_file(tmp_path / "loud.wav", loud))
    files[0] = open_sound(sound_file(tmp_path / "other.wav", -loud))
    out = assembled(lay_out([Clip(F(1), F(2))], F(4), has_sound=True), files, tmp_path)
    assert np.abs(np.diff(out)).max() < 0.9 * 1.5 / FADE
    assert (np.abs(out) < 0.89).sum() <= 2 * 2 * FADE, "more than ten milliseconds a join"


def test_neighbours_in_the_same_sound_have_no_join():
    clips = [Clip(F(0), F(1), 0, F(0), F(1)), Clip(F(1), F(2), 0, F(1), F(2))]
    assert lay_out(clips, F(2), has_sound=True) == (Piece(0, F(0), F(2), F(0)),)


@pytest.mark.parametrize("zero", [F(1, 4), F(-1, 4)])
def test_sound_that_starts_before_or_after_the_picture_stays_in_sync(sounds, files, tmp_path, zero):
    files[FILM] = replace(files[FILM], zero=zero)
    out = assembled(lay_out([], F(5), has_sound=True), files, tmp_path)
    at = round(zero * RATE)
    expected = sounds[FILM][at:] if at >= 0 else np.pad(sounds[FILM], (-at, 0))
    np.testing.assert_allclose(out, expected[: 5 * RATE], atol=1e-6)


def test_film_without_sound_is_silent_where_nothing_covers_it(files, tmp_path):
    del files[FILM]
    pieces = lay_out([Clip(F(1), F(2))], F(4), has_sound=False)
    assert [piece.file for piece in pieces] == [SILENCE, 0, SILENCE]
    out = assembled(pieces, files, tmp_path)
    assert not out[:RATE].any()
    assert not out[2 * RATE :].any()
    assert out[RATE : 2 * RATE].any()


def test_track_has_the_finest_rate_and_most_channels_of_all(files, tmp_path):
    stereo = np.stack([noise(30, 5), noise(30, 6)], axis=1)
    soundfile.write(tmp_path / "film.wav", stereo, 48_000, subtype="FLOAT")
    files[FILM] = open_sound(tmp_path / "film.wav")
    out = tmp_path / "track.m4a"
    encode_assembled(lay_out([Clip(F(1), F(2))], F(5), has_sound=True), files, out, F(5))
    with av.open(str(out)) as container:
        stream = container.streams.audio[0]
        assert (stream.rate, stream.channels) == (48_000, 2)
        heard = np.concatenate([f.to_ndarray().T for f in container.decode(stream)])
    assert abs(len(heard) - 5 * 48_000) < 1024
