"""The whole dub on real footage: nothing lost, nothing touched that should not be, resumable."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.artifacts import sha256_of
from pipeline.dub import Order, dub_film
from pipeline.geometry import Box
from pipeline.options import DetectorChoice, DubOptions, NetworkChoice, SyncMode
from pipeline.report import Report
from pipeline.running.commands import run
from pipeline.running.progress import Silent
from tests.patience import LONG_SECONDS


def dub(source: Path, dialogue: Path, output: Path, **choices: Any) -> Report:
    network = choices.pop("network", NetworkChoice("draft"))
    work_dir = choices.pop("work_dir", None)
    options = DubOptions(**choices)
    order = Order(source, dialogue, output, options, network, DetectorChoice(), work_dir)
    return dub_film(order, Silent())


def read_pts(path: Path) -> list[float]:
    """Presentation times in seconds, of packets."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        times = [p.pts * stream.time_base for p in container.demux(stream) if p.pts is not None]
    return [float(t) for t in sorted(times)]


def hash_frames(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [
            hashlib.sha256(b"".join(bytes(p) for p in f.planes)).hexdigest()
            for f in container.decode(video=0)
        ]


@pytest.mark.parametrize("clip", ["film.mkv", "film_vfr.mkv", "film_rotated.mp4", "film_hdr10.mp4"])
def test_frames_and_times_out_are_those_in(clip: str, clips: Path, tmp_path: Path) -> None:
    output = tmp_path / f"out{Path(clip).suffix}"
    dialogue = _first_seconds(clips / "dialogue_short.flac", tmp_path / "short.wav", 4.0)
    report = dub(clips / clip, dialogue, output, segment_seconds=4)
    before, after = read_pts(clips / clip), read_pts(output)
    assert len(before) == len(after) == report["frames"]["out"]
    gaps_before, gaps_after = np.diff(before), np.diff(after)
    assert np.abs(gaps_before - gaps_after).max() <= 0.0011, "MKV keeps milliseconds"


@pytest.mark.slow
def test_every_segment_length_renders_the_same_frames(clips: Path, tmp_path: Path) -> None:
    """Lossless encoding shows the frames as they were before encoding."""
    hashes = {}
    for seconds in (1, 5, 1000):
        output = tmp_path / f"{seconds}.mkv"
        dub(
            clips / "talk_29_97fps.mp4",
            clips / "dialogue_short.flac",
            output,
            segment_seconds=seconds,
            sync_mode="cut_off",
            crf=0.0,
        )
        hashes[seconds] = hash_frames(output)
    assert hashes[1] == hashes[5] == hashes[1000]
    assert len(hashes[1]) == len(read_pts(clips / "talk_29_97fps.mp4"))


@pytest.mark.parametrize("clip", ["talk_29_97fps.mp4", "film_hdr10.mp4"])
def test_picture_outside_the_boxes_is_the_source_bit_for_bit(
    clip: str, clips: Path, tmp_path: Path
) -> None:
    box = Box(100, 80, 380, 400)
    output = tmp_path / "out.mkv"
    source = clips / clip
    dialogue = _first_seconds(clips / "dialogue_short.flac", tmp_path / "short.wav", 3.0)
    dub(source, dialogue, output, box=box, crf=0.0, sync_mode="cut_off")
    changed = 0
    with av.open(str(source)) as old, av.open(str(output)) as new:
        for a, b in zip(old.decode(video=0), new.decode(video=0), strict=False):
            luma_a, luma_b = _luma(a), _luma(b)
            changed += int((luma_a != luma_b).any())
            outside = np.ones(luma_a.shape, bool)
            outside[box.y1 : box.y2, box.x1 : box.x2] = False
            assert (luma_a[outside] == luma_b[outside]).all()
            assert b.format.name == a.format.name
    assert changed > 10, "the dub changed nothing, so the comparison proves nothing"


def _luma(frame: av.VideoFrame) -> np.ndarray[Any, Any]:
    plane = frame.planes[0]
    kind = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
    return np.frombuffer(bytes(plane), kind).reshape(plane.height, -1)[:, : plane.width]


@pytest.mark.parametrize("mode", ["cut_off", "loop", "bounce", "silence", "remap"])
@pytest.mark.parametrize("longer", ["audio", "video"])
def test_sync_modes_give_the_length_they_promise(
    mode: SyncMode, longer: str, clips: Path, tmp_path: Path
) -> None:
    # 4.57 s of film; 9.6 s of dialogue, or 2 s of it.
    film, dialogue = clips / "talk_29_97fps.mp4", clips / "dialogue_short.flac"
    if longer == "video":
        dialogue = _first_seconds(dialogue, tmp_path / "short.wav", 2.0)
    audio_seconds = _sound_seconds(dialogue)
    frame_times = read_pts(film)
    film_seconds = len(frame_times) / 29.97
    output = tmp_path / "out.mp4"
    dub(film, dialogue, output, sync_mode=mode)
    expected = {
        "cut_off": min(audio_seconds, film_seconds),
        "silence": max(audio_seconds, film_seconds),
    }.get(mode, audio_seconds)
    assert len(read_pts(output)) / 29.97 == pytest.approx(expected, abs=1 / 29)
    with av.open(str(output)) as container:
        sound = container.streams.audio[0]
        assert sound.duration is not None and sound.time_base is not None
        heard = float(sound.duration * sound.time_base)
    assert heard == pytest.approx(len(read_pts(output)) / 29.97, abs=1024 / 16000)


def _first_seconds(path: Path, out: Path, seconds: float) -> Path:
    import soundfile  # noqa: PLC0415

    samples, rate = soundfile.read(path)
    soundfile.write(out, samples[: int(seconds * rate)], rate)
    return out


def _sound_seconds(path: Path) -> float:
    import soundfile  # noqa: PLC0415

    return float(soundfile.info(path).duration)


def test_killed_run_continues_from_the_finished_segments(
    clips: Path, tmp_path: Path, ffmpeg: str
) -> None:
    """kill -9 in the middle of rendering; the second run makes the very same file."""
    film, dialogue = tmp_path / "film.mkv", clips / "dialogue_en.flac"
    cut = [ffmpeg, "-v", "error", "-t", "16", "-i", str(clips / "film.mkv"), "-map", "0"]
    run([*cut, "-c", "copy", str(film)], timeout=LONG_SECONDS)
    undisturbed = tmp_path / "undisturbed.mkv"
    argv = [sys.executable, "-m", "lipfarm", "dub", "--video", str(film), "--audio", str(dialogue),
            "--sync-mode", "cut_off", "--segment-seconds", "2", "--network", "draft"]  # fmt: skip
    subprocess.run([*argv, "--output", str(undisturbed)], check=True, timeout=LONG_SECONDS)  # noqa: TID251
    output, work = tmp_path / "out.mkv", tmp_path / "work"
    argv += ["--output", str(output), "--work-dir", str(work)]
    with subprocess.Popen(argv) as process:
        deadline = time.monotonic() + LONG_SECONDS
        while len(list(work.glob("render-*"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
    assert not output.exists()
    finished = {p.name: p.stat().st_mtime_ns for p in work.glob("render-*")}
    assert len(finished) >= 3
    subprocess.run(argv, check=True, timeout=LONG_SECONDS)  # noqa: TID251
    again = {p.name: p.stat().st_mtime_ns for p in work.glob("render-*")}
    assert finished.items() <= again.items(), "finished segments were rendered again"
    assert sha256_of(output) == sha256_of(undisturbed)


def test_second_language_detects_no_face_again(clips: Path, tmp_path: Path) -> None:
    film, work = clips / "talk_29_97fps.mp4", tmp_path / "work"
    dub(film, clips / "dialogue_short.flac", tmp_path / "a.mkv", work_dir=work, sync_mode="cut_off")
    found = {p.name: p.stat().st_mtime_ns for p in work.glob("detect-*")}
    dub(film, clips / "dialogue_zh.flac", tmp_path / "b.mkv", work_dir=work, sync_mode="cut_off")
    assert found
    assert {p.name: p.stat().st_mtime_ns for p in work.glob("detect-*")} == found


def test_two_workers_make_the_same_frames_as_one(clips: Path, tmp_path: Path) -> None:
    made = []
    for workers in (1, 2):
        output = tmp_path / f"{workers}.mkv"
        dub(
            clips / "talk_29_97fps.mp4", clips / "dialogue_short.flac", output,
            workers=workers, segment_seconds=1.5, sync_mode="cut_off", crf=0.0,
        )  # fmt: skip
        made.append(hash_frames(output))
    assert made[0] == made[1]


def test_film_with_everything_in_it_is_dubbed_and_reported(clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    report = dub(clips / "film.mkv", clips / "dialogue_en.flac", output, language="deu")
    json.dumps(report)
    shots = report["shots"]
    assert shots[0]["start"] == 0
    assert shots[-1]["end"] == report["frames"]["in"]
    assert all(a["end"] == b["start"] for a, b in pairwise(shots))
    spans = [span for shot in shots for span in shot["spans"]]
    assert {"dubbed", "passed through"} <= {span["what"] for span in spans}
    assert all(span["reason"] for span in spans if span["what"] != "dubbed")
    assert abs(report["av_offset_ms"]) <= 1
    with av.open(str(output)) as container:
        audio = container.streams.audio
        assert [a.language for a in audio] == ["deu", "eng", "fra"]
        assert len(container.streams.subtitles) == 1


def test_still_image_speaks_for_as_long_as_the_dialogue(tmp_path: Path, clips: Path) -> None:
    import cv2  # noqa: PLC0415
    from skimage import data  # noqa: PLC0415

    still = tmp_path / "astronaut.png"
    cv2.imwrite(str(still), data.astronaut()[..., ::-1])
    output = tmp_path / "out.mp4"
    report = dub(still, clips / "dialogue_short.flac", output)
    seconds = _sound_seconds(clips / "dialogue_short.flac")
    assert len(read_pts(output)) == pytest.approx(seconds * 25, abs=1)
    assert report["frames"]["dubbed"] == report["frames"]["out"]


def test_folder_of_frames_is_dubbed_in_natural_order(tmp_path: Path, clips: Path) -> None:
    import cv2  # noqa: PLC0415

    folder = tmp_path / "video_frames"
    folder.mkdir()
    with av.open(str(clips / "talk_29_97fps.mp4")) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i == 12:
                break
            cv2.imwrite(str(folder / f"{i}.png"), frame.to_ndarray(format="bgr24"))
    output = tmp_path / "out.mp4"
    report = dub(folder, clips / "dialogue_short.flac", output, sync_mode="cut_off")
    assert report["frames"]["in"] == report["frames"]["out"] == 12
    assert read_pts(output)[-1] - read_pts(output)[0] == pytest.approx(11 / 25, abs=0.001)


def test_published_format_checkpoint_dubs(clips: Path, models: Path, tmp_path: Path) -> None:
    nano = NetworkChoice("wav2lip", models / "wav2lip_nano.pth")
    output = tmp_path / "out.mp4"
    report = dub(
        clips / "talk_29_97fps.mp4", clips / "dialogue_short.flac", output,
        network=nano, sync_mode="cut_off",
    )  # fmt: skip
    assert report["network"]["name"] == "wav2lip"
    assert report["frames"]["dubbed"] == report["frames"]["out"]
