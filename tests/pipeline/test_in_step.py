"""The sound of a dub is where it belongs, at every rate and in every container, to a millisecond.

Dialogue and film are noise in bursts. Noise is like itself at one shift only, so how late each
burst is heard is measured to a sample, whatever the codec did to its shape.
"""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from pipeline.dub import Order, dub_film
from pipeline.geometry import Box
from pipeline.options import DetectorChoice, DubOptions, NetworkChoice
from pipeline.running.commands import run
from pipeline.running.progress import Silent
from tests.patience import LONG_SECONDS

Samples = npt.NDArray[np.float32]

#: Every kind of rate: those of telephones, of speech models, of discs and of films.
RATES = (8_000, 16_000, 24_000, 44_100, 48_000)
CONTAINERS = ("mp4", "mov", "mkv")

LENGTH = 3
BURSTS = (0.5, 1.5, 2.5)  # seconds
BURST_SECONDS = 0.2
MOST = 0.001  # seconds late or early


def bursts(rate: int, seed: int) -> Samples:
    """LENGTH seconds of silence with noise in it."""
    chance = np.random.default_rng(seed)
    sound = np.zeros(LENGTH * rate, np.float32)
    for start in BURSTS:
        noise = chance.uniform(-0.5, 0.5, round(BURST_SECONDS * rate))
        sound[round(start * rate) :][: len(noise)] = noise
    return sound


def first_picture(container: "av.container.InputContainer") -> Fraction:
    stream = container.streams.video[0]
    return min(p.pts * p.time_base for p in container.demux(stream) if p.size and p.pts is not None)


def heard(path: Path, index: int, rate: int) -> Samples:
    """A track as it is heard from the first picture on.

    Each frame at its own time, but for the millisecond to which Matroska rounds it.
    """
    with av.open(str(path)) as container:
        start = first_picture(container)
    sound = np.zeros(2 * LENGTH * rate, np.float32)
    following = -rate
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.audio[index]):
            assert frame.sample_rate == rate
            samples = frame.to_ndarray()[0]
            place = round((frame.pts * frame.time_base - start) * rate)
            if abs(place - following) <= MOST * rate:
                place = following
            following = place + len(samples)
            samples, place = samples[max(0, -place) :], max(0, place)
            sound[place : place + len(samples)] = samples
    return sound


def late(sound: Samples, wanted: Samples, rate: int) -> list[float]:
    """By how many seconds each burst is heard late."""
    found = []
    for start in BURSTS:
        first, size = round((start - 0.2) * rate), round(0.6 * rate)
        spectrum = np.fft.rfft(sound[first : first + size], 2 * size)
        spectrum *= np.conj(np.fft.rfft(wanted[first : first + size], 2 * size))
        likeness = np.fft.irfft(spectrum)
        shift = int(np.argmax(likeness))
        assert likeness[shift] > 0.5 * np.sum(wanted[first : first + size] ** 2), "not heard at all"
        found.append((shift if shift < size else shift - 2 * size) / rate)
    return found


def film(folder: Path, ffmpeg: str, codec: str, name: str, *options: str) -> Path:
    """Three seconds with a track of bursts."""
    soundfile.write(folder / "track.wav", bursts(48_000, 1), 48_000, subtype="FLOAT")
    argv = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", f"testsrc2=s=96x96:r=25:d={LENGTH}"]
    argv += [*options, "-i", str(folder / "track.wav"), "-map", "0:v", "-map", "1:a"]
    argv += ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", codec]
    run([*argv, str(folder / name)], timeout=LONG_SECONDS)
    return folder / name


@pytest.fixture(scope="module")
def pcm_film(tmp_path_factory: pytest.TempPathFactory, ffmpeg: str) -> Path:
    return film(tmp_path_factory.mktemp("pcm"), ffmpeg, "pcm_s16le", "film.mov")


def dub(source: Path, dialogue: Path, output: Path) -> float:
    """Its report's offset of the sound, in seconds."""
    options = DubOptions(box=Box(8, 8, 88, 88), crf=40, preset="ultrafast", sync_mode="cut_off")
    order = Order(source, dialogue, output, options, NetworkChoice("draft"), DetectorChoice(), None)
    report = dub_film(order, Silent())
    return float(report["av_offset_ms"]) / 1000


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("rate", RATES)
def test_dialogue_is_heard_when_it_is_spoken(
    rate: int, container: str, pcm_film: Path, tmp_path: Path
) -> None:
    spoken = bursts(rate, 2)
    soundfile.write(tmp_path / "spoken.wav", spoken, rate, subtype="FLOAT")
    output = tmp_path / f"out.{container}"
    told = dub(pcm_film, tmp_path / "spoken.wav", output)
    assert late(heard(output, 0, rate), spoken, rate) == pytest.approx([0] * 3, abs=MOST)
    assert told == pytest.approx(0, abs=MOST)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(
    ("codec", "name", "options"),
    [
        ("pcm_s16le", "film.mov", ()),
        ("aac", "film.mp4", ()),
        ("aac", "late_sound.mkv", ("-itsoffset", "0.08")),
        ("ac3", "film.ts", ()),
    ],
)
def test_kept_track_is_heard_as_in_the_film(
    codec: str, name: str, options: tuple[str, ...], container: str, ffmpeg: str, tmp_path: Path
) -> None:
    source = film(tmp_path, ffmpeg, codec, name, *options)
    soundfile.write(tmp_path / "spoken.wav", bursts(16_000, 2), 16_000)
    output = tmp_path / f"out.{container}"
    dub(source, tmp_path / "spoken.wav", output)
    before = late(heard(source, 0, 48_000), bursts(48_000, 1), 48_000)
    after = late(heard(output, 1, 48_000), bursts(48_000, 1), 48_000)
    assert after == pytest.approx(before, abs=MOST)
    assert before == pytest.approx([0.08 if options else 0] * 3, abs=0.05)
