"""Each channel of a sound ends where it belongs: told apart by pitch, measured after encoding."""

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from pipeline.media.ffmpeg_program import ffmpeg_path
from pipeline.media.probe import probe
from pipeline.running.commands import run
from pipeline.sound.dialogue import decode_waveform, encode_dialogue
from tests.patience import LONG_SECONDS

RATE = 48_000
LEVEL = 0.1
#: Low enough for the subwoofer, a bin of the spectrum each.
PITCHES = [40 + 12 * number for number in range(24)]

#: Where the channels of 7.1 are, in its order.
ALL_EIGHT = {name: {n} for n, name in enumerate(("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"))}


def _tones(channels: int) -> np.ndarray:
    time = np.arange(RATE) / RATE
    tones = [LEVEL * np.sin(2 * np.pi * pitch * time) for pitch in PITCHES[:channels]]
    return np.stack(tones, axis=1).astype(np.float32)


def _sound(path: Path, layout: str | None, channels: int) -> Path:
    """A file whose channel n has tone n; without a layout it says nothing of its channels."""
    if layout is None:
        soundfile.write(path, _tones(channels), RATE, subtype="PCM_16")
        return path
    raw = _tones(channels).astype("<f4").tobytes()
    argv = [ffmpeg_path(), "-v", "error", "-y", "-f", "f32le", "-ar", str(RATE)]
    argv += ["-ch_layout", layout, "-i", "-", "-c:a", "pcm_s16le", str(path)]
    subprocess.run(argv, input=raw, check=True, timeout=LONG_SECONDS)  # noqa: TID251
    return path


def _encoded(source: Path, folder: Path) -> tuple[str, dict[str, set[int]]]:
    """The layout of the dubbed track, and which of the source's channels each of its own has."""
    out = folder / "dialogue.m4a"
    encode_dialogue(source, out, Fraction(1))
    layout = probe(out).audio[0].layout
    argv = [ffmpeg_path(), "-v", "error", "-i", str(out), "-f", "f32le", "-"]
    raw = run(argv, timeout=LONG_SECONDS)
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    sound = np.frombuffer(raw, "<f4").reshape(-1, len(names))[:RATE]
    spectrum = np.abs(np.fft.rfft(sound, axis=0)) * 2 / len(sound) / LEVEL
    found = {
        name: {n for n, pitch in enumerate(PITCHES) if spectrum[pitch, i] > 0.3}
        for i, name in enumerate(names)
    }
    return layout, {name: channels for name, channels in found.items() if channels}


@pytest.mark.parametrize(
    ("layout", "encoded", "channels"),
    [
        ("mono", "mono", {"FC": {0}}),
        ("stereo", "stereo", {"FL": {0}, "FR": {1}}),
        ("2.1", "5.1", {"FL": {0}, "FR": {1}, "LFE": {2}}),
        ("3.0", "3.0", {"FL": {0}, "FR": {1}, "FC": {2}}),
        ("3.0(back)", "4.0", {"FL": {0}, "FR": {1}, "BC": {2}}),
        ("3.1", "5.1", {"FL": {0}, "FR": {1}, "FC": {2}, "LFE": {3}}),
        ("4.0", "4.0", {"FL": {0}, "FR": {1}, "FC": {2}, "BC": {3}}),
        ("quad", "5.0", {"FL": {0}, "FR": {1}, "BL": {2}, "BR": {3}}),
        ("quad(side)", "5.0", {"FL": {0}, "FR": {1}, "BL": {2}, "BR": {3}}),
        ("5.0", "5.0", {"FL": {0}, "FR": {1}, "FC": {2}, "BL": {3}, "BR": {4}}),
        ("5.0(side)", "5.0", {"FL": {0}, "FR": {1}, "FC": {2}, "BL": {3}, "BR": {4}}),
        ("5.1", "5.1", {"FL": {0}, "FR": {1}, "FC": {2}, "LFE": {3}, "BL": {4}, "BR": {5}}),
        ("5.1(side)", "5.1", {"FL": {0}, "FR": {1}, "FC": {2}, "LFE": {3}, "BL": {4}, "BR": {5}}),
        (
            "7.0",
            "7.1",
            {"FL": {0}, "FR": {1}, "FC": {2}, "BL": {3}, "BR": {4}, "SL": {5}, "SR": {6}},
        ),
        (
            "7.1",
            "7.1",
            ALL_EIGHT,
        ),
        # Mixed down: what AAC has no place for goes to both of its neighbours.
        ("4.1", "5.1", {"FL": {0}, "FR": {1}, "FC": {2}, "LFE": {3}, "BL": {4}, "BR": {4}}),
        ("hexagonal", "5.1", {"FL": {0}, "FR": {1}, "FC": {2}, "BL": {3, 5}, "BR": {4, 5}}),
        (
            "7.1(wide)",
            "7.1",
            {"FL": {0, 6}, "FR": {1, 7}, "FC": {2}, "LFE": {3}, "BL": {4}, "BR": {5}},
        ),
    ],
)
def test_channels_of_a_named_layout_end_where_they_belong(
    layout: str, encoded: str, channels: dict[str, set[int]], tmp_path: Path
):
    count = len(av.AudioLayout(layout).channels)
    source = _sound(tmp_path / "sound.wav", layout, count)
    assert _encoded(source, tmp_path) == (encoded, channels)


@pytest.mark.parametrize(
    ("count", "encoded", "channels"),
    [
        (1, "mono", {"FC": {0}}),
        (2, "stereo", {"FL": {0}, "FR": {1}}),
        (3, "3.0", {"FL": {0}, "FR": {1}, "FC": {2}}),
        (4, "4.0", {"FL": {0}, "FR": {1}, "FC": {2}, "BC": {3}}),
        (6, "5.1", {"FL": {0}, "FR": {1}, "FC": {2}, "LFE": {3}, "BL": {4}, "BR": {5}}),
        (
            8,
            "7.1",
            ALL_EIGHT,
        ),
    ],
)
def test_channels_without_a_layout_are_taken_for_the_usual_one(
    count: int, encoded: str, channels: dict[str, set[int]], tmp_path: Path
):
    source = _sound(tmp_path / "sound.wav", None, count)
    assert probe(source).audio[0].layout == f"{count} channels"
    assert _encoded(source, tmp_path) == (encoded, channels)


def test_more_channels_than_anybody_can_name_are_mixed_to_one(tmp_path: Path):
    source = _sound(tmp_path / "sound.wav", None, 16)
    assert probe(source).audio[0].layout == "16 channels"
    encode_dialogue(source, tmp_path / "d.m4a", Fraction(1))
    assert probe(tmp_path / "d.m4a").audio[0].layout == "mono"
    decode_waveform(source, tmp_path / "w.npy")
    heard = np.abs(np.fft.rfft(np.load(tmp_path / "w.npy"))) * 2 / 16_000 / LEVEL
    np.testing.assert_allclose(heard[PITCHES[:16]], 1 / 16, atol=0.005)


def test_channels_in_an_order_of_their_own_end_where_they_belong(tmp_path: Path):
    """Left, centre, right, as film mixers deliver; reading such a layout once ended the process."""
    source = _sound(tmp_path / "lcr.mov", "FL+FC+FR", 3)
    for _ in range(20):
        assert probe(source).audio[0].layout == "3 channels (FL+FC+FR)"
    assert _encoded(source, tmp_path) == ("3.0", {"FL": {0}, "FC": {1}, "FR": {2}})


def test_a_single_channel_is_mono_whatever_it_is_called(tmp_path: Path):
    source = _sound(tmp_path / "left.mov", "FL", 1)
    assert _encoded(source, tmp_path) == ("mono", {"FC": {0}})


def test_the_centre_of_three_is_heard_by_the_networks(tmp_path: Path):
    source = _sound(tmp_path / "lcr.wav", "3.0", 3)
    decode_waveform(source, tmp_path / "w.npy")
    heard = np.abs(np.fft.rfft(np.load(tmp_path / "w.npy"))) * 2 / 16_000 / LEVEL
    assert heard[PITCHES[2]] > heard[PITCHES[0]] > 0.3
