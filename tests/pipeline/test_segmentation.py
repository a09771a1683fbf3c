"""A film cut in pieces equals the film in one piece: every frame, as it is before encoding."""

import hashlib
import random
from pathlib import Path
from typing import Any, Self

import av
import pytest

from pipeline.artifacts import Store
from pipeline.media.extras import Seen
from pipeline.media.planes import plane_arrays
from pipeline.options import DetectorChoice, DubOptions, NetworkChoice
from pipeline.running.commands import run
from pipeline.running.progress import Silent
from pipeline.steps.detecting import detect
from pipeline.steps.facts import SEGMENT_FILE
from pipeline.steps.preparing import Inputs, prepare
from pipeline.steps.rendering import render
from pipeline.steps.tracking import track
from tests.patience import LONG_SECONDS

CLIPS = [
    "film.mkv",
    "film_hdr10.mp4",
    "film_vfr.mkv",
    "talk_29_97fps.mp4",
    "vertical_1080x1920_hevc.mp4",
]


class HashingEncoder:
    """Writes each frame's time and digest where the encoder would write its packets."""

    def __init__(self, path: Path, *_: object, **__: object) -> None:
        self._file = path.open("w")
        self.seen = Seen()

    def encode(self, frame: av.VideoFrame, *, follows: bool) -> None:
        digest = hashlib.sha256(b"follows" if follows else b"held")
        for plane in plane_arrays(frame):
            digest.update(plane.tobytes())
        self._file.write(f"{frame.pts} {digest.hexdigest()}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@pytest.fixture(autouse=True)
def hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.render.SegmentEncoder", HashingEncoder)


def render_frames(
    source: Path, dialogue: Path, folder: Path, *, untouched: bool = False, **options: Any
) -> list[str]:
    """A line for each frame of the output."""
    network, detector, advance = NetworkChoice("draft"), DetectorChoice(), Silent().advance
    chosen = DubOptions(faces="all", **options)
    with Store(folder) as store:
        inputs = Inputs(source, dialogue, "out.mkv", chosen, network, detector)
        prepared, looks = prepare(inputs, store, advance)
        for look in looks:
            detect(prepared, look.segment_index, detector, store, advance)
        tracked, steps = track(prepared, detector, store, advance)
        lines: list[str] = []
        for step in steps:
            done = render(prepared, tracked, step, network, store, advance, untouched=untouched)
            lines += (store.path(done.artifact_key) / SEGMENT_FILE).read_text().splitlines()
        return lines


def check(source: Path, dialogue: Path, folder: Path, lengths: list[float], **options: Any) -> int:
    """Compare; returns the number of frames."""
    frames, *others = (
        render_frames(source, dialogue, folder / f"{s}", segment_seconds=s, **options)
        for s in lengths
    )
    pieces = len(list((folder / f"{lengths[0]}").glob("render-*")))
    assert pieces >= len(frames) // 40, "a film in one piece proves nothing"
    for other in others:
        differ = [i for i, (a, b) in enumerate(zip(frames, other, strict=True)) if a != b]
        assert not differ, f"{len(differ)} of {len(frames)} frames differ, first {differ[0]}"
    original = render_frames(
        source, dialogue, folder / "1000", segment_seconds=1000, untouched=True, **options
    )
    changed = sum(a != b for a, b in zip(frames, original, strict=True))
    assert changed > len(frames) / 4, "a dub that changes nothing proves nothing"
    return len(frames)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("clip", CLIPS)
def test_every_segment_length_renders_the_same_frames(
    clip: str, clips: Path, tmp_path: Path
) -> None:
    # To the film's last frame: one dialogue is longer than the film, the other shorter.
    dialogue, mode = ("dialogue_zh.flac", "cut_off")
    if clip == "film.mkv":
        dialogue, mode = ("dialogue_en.flac", "silence")
    frames = check(clips / clip, clips / dialogue, tmp_path, [1, 5, 1000], sync_mode=mode)
    with av.open(str(clips / clip)) as container:
        assert frames >= sum(packet.size > 0 for packet in container.demux(video=0))


@pytest.mark.parametrize("seed", [5, 6])  # others begin where nobody is dubbed
def test_a_piece_of_a_film_is_the_same_in_one_segment_and_in_several(
    seed: int, clips: Path, tmp_path: Path, ffmpeg: str
) -> None:
    """Four seconds from anywhere in it, with open groups of pictures."""
    chance, piece = random.Random(seed), tmp_path / "piece.mkv"
    argv = [ffmpeg, "-v", "error", "-ss", f"{chance.uniform(0, 40):.3f}", "-t", "4"]
    argv += ["-i", str(clips / "film.mkv"), "-map", "0:v", "-c", "libx264", "-preset", "superfast"]
    run([*argv, "-x264-params", "open-gop=1:bframes=3:keyint=30", str(piece)], timeout=LONG_SECONDS)
    lengths = [chance.uniform(0.3, 1.2), 1000]
    check(piece, clips / "dialogue_short.flac", tmp_path, lengths, sync_mode="cut_off")
