"""What a dub takes at the least is never more than what it takes."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from pipeline.media.info import StreamInfo
from pipeline.media.packets import scan_packets
from pipeline.media.probe import probe
from pipeline.media.segments import cut_segments, plan_segments
from pipeline.output.sizes import least_cut_bytes, least_encoded_bytes
from pipeline.running.commands import run
from tests.patience import LONG_SECONDS

SOUNDS = {
    "none": [],
    "stereo": ["-f", "lavfi", "-i", "anoisesrc=d=2:r=48000", "-ac", "2", "-c:a", "pcm_s24le"],
}


@pytest.fixture(params=["h264 in mov", "prores in mov", "mpeg2video in mkv", "still in mp4"])
def film(request: pytest.FixtureRequest, tmp_path: Path, ffmpeg: str) -> Path:
    codec, _, suffix = request.param.split()
    picture = "testsrc2=s=320x240:r=25:d=2,noise=alls=40:allf=t"
    if codec == "still":
        codec, picture = "libx264", "color=black:s=320x240:r=25:d=2"
    path = tmp_path / f"film.{suffix}"
    sound = SOUNDS["none" if suffix == "mp4" else "stereo"]
    codec = {"h264": "libx264", "prores": "prores_ks"}.get(codec, codec)
    argv = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", picture, *sound, "-c:v", codec, str(path)]
    run(argv, timeout=LONG_SECONDS)
    return path


def test_segments_take_at_least_what_was_asked_for(film: Path, tmp_path: Path) -> None:
    info = probe(film)
    plan = scan_packets(film, info)
    folder = tmp_path / "cut"
    folder.mkdir()
    cut = cut_segments(film, plan, plan_segments(plan, 1), folder)
    size = sum(path.stat().st_size for path in set(cut))
    assert 0 <= least_cut_bytes(info) <= size
    if size > 1_000_000:
        assert least_cut_bytes(info) > size / 2, "it asks for nothing worth asking"


def test_an_encoded_picture_takes_at_least_what_was_asked_for(
    film: Path, tmp_path: Path, ffmpeg: str
) -> None:
    info = probe(film)
    for crf in (18, 40):
        encoded = tmp_path / f"{crf}.nut"
        quality = ["-c:v", "libx264", "-preset", "superfast", "-crf", str(crf)]
        argv = [ffmpeg, "-v", "error", "-i", str(film), "-an", *quality, "-pix_fmt", "yuv420p"]
        run([*argv, str(encoded)], timeout=LONG_SECONDS)
        least = least_encoded_bytes(info, Fraction(2), crf)
        assert 0 <= least <= encoded.stat().st_size
        assert bool(least) == bool(least_cut_bytes(info)), "it asks for nothing, or out of nothing"


def test_what_is_not_certain_counts_as_nothing(film: Path) -> None:
    info = probe(film)
    font = StreamInfo(**dict.fromkeys(StreamInfo.__dataclass_fields__) | {"kind": "attachment"})
    for odd in (
        replace(info, others=(font,)),
        replace(info, container="mpegts"),
        replace(info, duration=None),
        replace(info, video=None),
    ):
        assert least_cut_bytes(odd) == 0
        assert least_encoded_bytes(odd, Fraction(2), None) == 0
    assert least_encoded_bytes(info, None, None) == 0
