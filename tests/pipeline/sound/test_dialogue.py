"""Sound is heard whole, at the right rate, and encoded to exactly the picture's length."""

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from pipeline.errors import OutputError, UnreadableMediaError, UnusableMediaError
from pipeline.media.probe import probe, require_dialogue
from pipeline.running.commands import run
from pipeline.sound.dialogue import decode_waveform, encode_dialogue, write_waveform
from tests.patience import LONG_SECONDS

Samples = npt.NDArray[np.float32]


def tone(seconds: float, rate: int, channels: int = 1) -> Samples:
    time = np.arange(round(seconds * rate)) / rate
    return np.tile((0.5 * np.sin(2 * np.pi * 440 * time))[:, None], (1, channels)).astype("f4")


def sound_file(path: Path, samples: Samples, rate: int) -> Path:
    soundfile.write(path, samples, rate, subtype="FLOAT" if path.suffix == ".wav" else None)
    return path


def heard(path: Path) -> Samples:
    """All samples from time zero on, (samples, channels), with what fills the last AAC frame."""
    with av.open(str(path)) as container:
        return np.concatenate([f.to_ndarray().T for f in container.decode(audio=0)])


@pytest.mark.parametrize(
    ("name", "duration"),
    [
        ("dialogue_zh.flac", Fraction(991764, 44100)),
        ("dialogue_short.flac", Fraction(153600, 16000)),
        ("dialogue_en.flac", Fraction(2268336, 48000)),
    ],
)
def test_waveform_has_every_sample_of_the_dialogue(
    clips: Path, tmp_path: Path, name: str, duration: Fraction
) -> None:
    waveform = decode_waveform(clips / name, tmp_path / "w.npy")
    samples = np.load(waveform.path, mmap_mode="r")
    assert (waveform.duration, waveform.repaired) == (duration, 0)
    assert samples.dtype == np.float32
    assert len(samples) == waveform.samples == -(-duration * 16000 // 1)


def test_waveform_at_its_own_rate_is_the_source_bit_for_bit(clips: Path, tmp_path: Path) -> None:
    decode_waveform(clips / "dialogue_short.flac", tmp_path / "w.npy")
    original, _ = soundfile.read(clips / "dialogue_short.flac", dtype="float32")
    assert np.array_equal(np.load(tmp_path / "w.npy"), original)


def test_resampling_moves_nothing_in_time(tmp_path: Path) -> None:
    source = sound_file(tmp_path / "a.wav", tone(1.5, 44100, 2), 44100)
    decode_waveform(source, tmp_path / "w.npy")
    found, wanted = np.load(tmp_path / "w.npy"), tone(1.5, 16000)[:, 0]
    assert len(found) == len(wanted)
    assert np.abs(found - wanted)[200:-200].max() < 1e-3


def test_sound_that_is_not_a_number_is_silenced_and_told(tmp_path: Path) -> None:
    samples = tone(0.5, 48000)
    samples[1000:1003] = np.nan
    samples[2000], samples[3000] = np.inf, -np.inf
    source = sound_file(tmp_path / "nan.wav", samples, 48000)
    waveform = decode_waveform(source, tmp_path / "w.npy")
    assert waveform.repaired == 5
    assert np.isfinite(np.load(waveform.path)).all()
    encode_dialogue(source, tmp_path / "d.m4a", Fraction(1, 2))
    assert np.isfinite(heard(tmp_path / "d.m4a")).all()


def test_digital_silence_is_sound(tmp_path: Path) -> None:
    source = sound_file(tmp_path / "silence.wav", np.zeros((16000, 1), "f4"), 16000)
    assert decode_waveform(source, tmp_path / "w.npy").samples == 16000
    assert encode_dialogue(source, tmp_path / "d.m4a", Fraction(1)) == 16000


def test_a_file_without_sound_is_refused(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(UnusableMediaError, match="holds no sound"):
        decode_waveform(clips / "portrait_25fps.mp4", tmp_path / "w.npy")


def test_a_file_with_not_one_sample_is_refused(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "none.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
    with pytest.raises((UnusableMediaError, UnreadableMediaError)):
        decode_waveform(tmp_path / "none.wav", tmp_path / "w.npy")


def test_one_sample_is_enough(tmp_path: Path) -> None:
    source = sound_file(tmp_path / "one.wav", np.full((1, 1), 0.5, "f4"), 16000)
    assert decode_waveform(source, tmp_path / "w.npy").samples == 1
    assert encode_dialogue(source, tmp_path / "d.m4a", Fraction(1, 25)) == 640


def test_the_default_track_is_heard(clips: Path, ffmpeg: str, tmp_path: Path) -> None:
    assert require_dialogue(probe(clips / "film.mkv")).language == "eng"
    out = tmp_path / "two.mkv"
    argv = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", "sine=d=1", "-f", "lavfi"]
    argv += ["-i", "sine=d=2", "-map", "0", "-map", "1", "-disposition:a:0", "0"]
    run([*argv, "-disposition:a:1", "default", str(out)], timeout=LONG_SECONDS)
    assert decode_waveform(out, tmp_path / "w.npy").duration == 2


def test_the_written_wave_is_16_bit_16_khz_mono(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    duration = write_waveform(clips / "dialogue_zh.flac", out)
    with wave.open(str(out)) as file:
        shape = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        assert shape == (1, 2, 16000)
        assert file.getnframes() == -(-duration * 16000 // 1)


def test_loud_sound_is_clipped_not_wrapped(tmp_path: Path) -> None:
    source = sound_file(tmp_path / "loud.wav", 4 * tone(0.2, 16000), 16000)
    write_waveform(source, tmp_path / "out.wav")
    samples, _ = soundfile.read(tmp_path / "out.wav", dtype="int16")
    assert (samples.min(), samples.max()) == (-32767, 32767)


@pytest.mark.parametrize("seconds", [Fraction(550, 25), Fraction(240 * 1001, 24000), Fraction(30)])
def test_the_encoded_dialogue_is_as_long_as_the_picture(
    clips: Path, tmp_path: Path, seconds: Fraction
) -> None:
    out = tmp_path / "d.m4a"
    samples = encode_dialogue(clips / "dialogue_zh.flac", out, seconds)
    assert samples == round(seconds * 44100)
    assert abs(decode_waveform(out, tmp_path / "w.npy").duration - seconds) <= Fraction(1, 44100)


def test_the_encoded_dialogue_starts_with_its_first_sample(clips: Path, tmp_path: Path) -> None:
    encode_dialogue(clips / "dialogue_en.flac", tmp_path / "d.m4a", Fraction(10))
    found = heard(tmp_path / "d.m4a")[:480000, 0]
    wanted, _ = soundfile.read(clips / "dialogue_en.flac", frames=480000, dtype="float32")
    spectrum = np.fft.rfft(found, 2**20) * np.conj(np.fft.rfft(wanted, 2**20))
    assert int(np.argmax(np.fft.irfft(spectrum))) == 0
    assert np.corrcoef(found, wanted)[0, 1] > 0.99


@pytest.mark.parametrize(
    ("rate", "channels", "encoded"),
    [
        (16000, 1, (16000, 1)),
        (44100, 2, (44100, 2)),
        (48000, 6, (48000, 6)),
        (96000, 2, (96000, 2)),
        (37000, 1, (48000, 1)),
        (192000, 1, (48000, 1)),
        (48000, 7, (48000, 8)),
        (48000, 8, (48000, 8)),
        (48000, 12, (48000, 1)),
    ],
)
def test_rate_and_channels_are_kept_where_aac_has_them(
    tmp_path: Path, rate: int, channels: int, encoded: tuple[int, int]
) -> None:
    source = sound_file(tmp_path / "a.wav", tone(0.3, rate, channels), rate)
    encode_dialogue(source, tmp_path / "d.m4a", Fraction(3, 10))
    audio = probe(tmp_path / "d.m4a").audio[0]
    assert (audio.sample_rate, audio.channels) == encoded


def test_encoding_twice_gives_the_same_bytes(clips: Path, tmp_path: Path) -> None:
    for name in ("a.m4a", "b.m4a"):
        encode_dialogue(clips / "dialogue_short.flac", tmp_path / name, Fraction(5))
    assert (tmp_path / "a.m4a").read_bytes() == (tmp_path / "b.m4a").read_bytes()


def test_names_mean_nothing(clips: Path, tmp_path: Path) -> None:
    for name in ("-i.flac", "a b'c\"d.flac", "line\nbreak.flac", "http:x.flac", "声%03d.flac"):
        (tmp_path / name).write_bytes((clips / "dialogue_short.flac").read_bytes())
        assert decode_waveform(tmp_path / name, tmp_path / "w.npy").duration == Fraction(48, 5)


def test_an_unwritable_place_is_told_as_such(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_waveform(clips / "dialogue_short.flac", tmp_path / "nowhere" / "out.wav")
