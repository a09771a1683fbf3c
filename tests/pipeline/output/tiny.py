"""A second of film with any tracks, made with ffmpeg, and a dub of it without a renderer."""

from pathlib import Path
from typing import Any

import av
import numpy as np

from pipeline.media.frames import decode_source
from pipeline.media.probe import probe
from pipeline.output.encode import SegmentEncoder
from pipeline.running.commands import run
from pipeline.sound.dialogue import encode_dialogue
from pipeline.stitch import Timing, stitch
from tests.patience import LONG_SECONDS

#: Inputs 0 and 1 of ffmpeg: a picture and a sound.
PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=1")
SOUND = ("-f", "lavfi", "-i", "anoisesrc=duration=1:sample_rate=48000:seed=7:amplitude=0.5")


def make_film(ffmpeg: str, path: Path, *argv: str) -> Path:
    """A film of PICTURE and SOUND by options of ffmpeg; the picture is H.264."""
    head = [ffmpeg, "-v", "error", "-y", *PICTURE, *SOUND]
    run(
        [*head, *argv, "-c:v:0", "libx264", "-strict", "experimental", str(path)],
        timeout=LONG_SECONDS,
    )
    return path


def dub_film(ffmpeg: str, source: Path, output: Path, **choices: Any) -> dict[str, Any]:
    """The output with the source's own picture and a beep; returns the stitch's facts."""
    info = probe(source)
    assert info.video is not None
    folder = output.parent
    segment, spoken, dialogue = (folder / name for name in ("s.nut", "beep.wav", "dialogue.m4a"))
    pts: list[int] = []
    with SegmentEncoder(segment, info.video, crf=35) as encoder:
        for frame in decode_source(source):
            pts.append(frame.pts)
            encoder.encode(frame)
    length = round(1 / (info.video.frame_rate * info.video.time_base))
    timing = Timing(np.array(pts, np.int64), pts[-1] + length, info.video.time_base)
    run(
        [ffmpeg, "-v", "error", "-y", "-f", "lavfi", "-i", "sine=d=1", str(spoken)],
        timeout=LONG_SECONDS,
    )
    encode_dialogue(spoken, dialogue, timing.duration_seconds)
    return stitch([segment], timing, info, dialogue, output, folder, **choices)


def packets(path: Path, index: int) -> list[bytes]:
    """What a file holds of one stream."""
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(container.streams[index]) if p.size]
