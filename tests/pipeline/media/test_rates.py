"""Bare streams of pictures: no times, but most say their frame rate."""

from fractions import Fraction
from pathlib import Path

import pytest

from pipeline.media.decoding import decode_source
from pipeline.media.packets import scan_packets
from pipeline.media.probe import probe, require_source
from pipeline.running.commands import run
from tests.patience import LONG_SECONDS

ENCODERS = {
    "h264": ("-c:v", "libx264", "-bf", "0"),
    "hevc": ("-c:v", "libx265", "-x265-params", "log-level=none"),
    "m2v": ("-c:v", "mpeg2video", "-f", "mpeg2video"),
    "m4v": ("-c:v", "mpeg4", "-f", "m4v"),
}


def bare(ffmpeg: str, path: Path, rate: str, *options: str) -> Path:
    picture = f"testsrc2=size=64x48:rate={rate}:duration=1"
    run(
        [ffmpeg, "-v", "error", "-f", "lavfi", "-i", picture, *options, str(path)],
        timeout=LONG_SECONDS,
    )
    return path


@pytest.mark.parametrize("rate", ["24000/1001", "25", "30", "60"])
@pytest.mark.parametrize("kind", ENCODERS)
def test_a_bare_stream_runs_at_the_rate_it_tells(
    ffmpeg: str, tmp_path: Path, kind: str, rate: str
) -> None:
    film = bare(ffmpeg, tmp_path / f"bare.{kind}", rate, *ENCODERS[kind])
    info = probe(film)
    assert require_source(info).frame_rate == Fraction(rate)
    plan = scan_packets(film, info)
    assert abs(plan.duration - len(plan) / Fraction(rate)) < Fraction(1, 1000)
    times = [frame.pts * frame.time_base for frame in decode_source(film) if frame.time_base]
    assert abs(times[-1] - times[0] - (len(plan) - 1) / Fraction(rate)) < Fraction(1, 1000)


def test_a_clock_is_no_frame_rate(ffmpeg: str, tmp_path: Path) -> None:
    film = bare(
        ffmpeg, tmp_path / "clock.h264", "30", "-c:v", "libx264",
        "-bsf:v", "h264_metadata=tick_rate=90000",
    )  # fmt: skip
    assert require_source(probe(film)).frame_rate == 25


def test_fields_are_not_taken_for_frames(ffmpeg: str, tmp_path: Path) -> None:
    fields = ("-c:v", "libx264", "-x264-params", "fake-interlaced=1:pic-struct=1")
    film = bare(ffmpeg, tmp_path / "fields.h264", "30", *fields)
    assert require_source(probe(film)).frame_rate == 30
