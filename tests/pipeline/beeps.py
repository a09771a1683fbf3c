"""Films and sounds with beeps at known times, and where they are heard."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from pipeline.media.ffmpeg_program import ffmpeg_path
from pipeline.running.commands import run
from tests.patience import LONG_SECONDS

RATE = 48_000
BEEP_SECONDS = 0.08


def write_beeps(path: Path, times: Sequence[float], seconds: float, rate: int = RATE) -> Path:
    """A WAV of silence with a beep at each of the times."""
    sound = np.zeros(round(seconds * rate), np.float32)
    beep = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(round(BEEP_SECONDS * rate)) / rate)
    for time in times:
        start = round(time * rate)
        sound[start : start + len(beep)] = beep[: len(sound) - start]
    soundfile.write(path, sound, rate, subtype="PCM_16")
    return path


def make(out: Path, *arguments: object) -> Path:
    """Have ffmpeg make a file."""
    argv = [ffmpeg_path(), "-nostdin", "-y", "-v", "error", *map(str, arguments), str(out)]
    run(argv, timeout=LONG_SECONDS)
    return out


def film(out: Path, sound: Path, *options: object, seconds: float = 1.0, late: float = 0.0) -> Path:
    """A second of moving picture at 25 frames a second with a sound, which may start late."""
    picture = f"testsrc2=size=128x96:rate=25:duration={seconds}"
    inputs = ("-f", "lavfi", "-i", picture, "-itsoffset", late, "-i", sound)
    inputs += ("-map", "0:v", "-map", "1:a")
    encoders = ("-c:v", "libx264", "-g", "12", "-c:a", "mp2", "-ar", RATE)
    return make(out, *inputs, "-t", seconds, *encoders, *options)


def join(out: Path, *parts: Path) -> Path:
    """As ``cat`` does."""
    out.write_bytes(b"".join(part.read_bytes() for part in parts))
    return out


def heard(path: Path, stream: int = 0, rate: int = RATE) -> list[float]:
    """When the beeps of a file's sound begin on the file's own clock, in seconds."""
    fill = "aresample=async=1:min_hard_comp=0.003:first_pts=0"
    argv = [ffmpeg_path(), "-nostdin", "-v", "error", "-copyts", "-i", str(path)]
    argv += ["-map", f"0:a:{stream}", "-af", fill, "-ac", "1", "-ar", str(rate)]
    argv += ["-f", "f32le", "-"]
    return onsets(np.frombuffer(run(argv, timeout=LONG_SECONDS), "<f4"), rate)


def onsets(sound: np.ndarray, rate: int) -> list[float]:
    """Seconds at which something is heard after a tenth of silence."""
    loud = np.flatnonzero(np.abs(sound) > 0.05)
    begins = np.flatnonzero(np.diff(loud, prepend=-rate) > 0.1 * rate)
    return [float(sample / rate) for sample in loud[begins]]
