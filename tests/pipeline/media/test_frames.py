"""Frames in any order are the decoder's own, and may be written into one by one."""

import subprocess
from hashlib import md5
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.media.frames import decode_source, plane_arrays, read_frames
from pipeline.media.planes import PLANAR_FORMATS, planar_format, to_planar
from pipeline.media.probe import probe
from pipeline.media.segments import cut_segments, plan_segments, scan_packets


def hash_of(frame: av.VideoFrame) -> str:
    digest = md5(usedforsecurity=False)
    for plane in plane_arrays(frame):
        digest.update(np.ascontiguousarray(plane))
    return digest.hexdigest()


@pytest.mark.parametrize("clip", ["film_hdr10.mp4", "film_vfr.mkv", "film_rotated.mp4"])
def test_frames_and_times_are_those_of_ffmpeg_itself(clips: Path, ffmpeg: str, clip: str) -> None:
    argv = [ffmpeg, "-v", "error", "-noautorotate", "-i", str(clips / clip), "-map", "0:v:0"]
    argv += ["-fps_mode", "passthrough", "-enc_time_base", "demux", "-f", "framemd5", "-"]
    lines = subprocess.check_output(argv, text=True).splitlines()
    rows = [[c.strip() for c in line.split(",")] for line in lines if not line.startswith("#")]
    expected = [(int(row[2]), row[5]) for row in rows]
    assert [(f.pts, hash_of(f)) for f in decode_source(clips / clip)] == expected


@pytest.mark.parametrize("seconds", [1, 1000])
@pytest.mark.parametrize(
    "order",
    [
        [*range(40), *range(38, -1, -1), 0, 1],
        [5, 5, 9, 9, 9, 8, 8, 2, 2, 3, 100, 101, 40, 39, 39],
        [199, 0, 150, 3],
    ],
)
def test_any_order_gives_the_straight_decodes_frames(
    clips: Path, tmp_path: Path, seconds: int, order: list[int]
) -> None:
    path = clips / "talk_mpeg4_25fps.mp4"
    plan = scan_packets(path, probe(path))
    straight = [(f.pts, hash_of(f)) for f in decode_source(path)]
    segments = plan_segments(plan, seconds)
    objects = cut_segments(path, plan, segments, tmp_path)
    got = []
    for frame in read_frames(objects, plan, segments, order):
        got.append((frame.pts, hash_of(frame)))
        for plane in plane_arrays(frame):
            plane[:] = 0  # what one output frame becomes must not reach another
    assert got == [straight[i] for i in order]


def test_writing_into_a_frame_never_reaches_a_later_one(clips: Path) -> None:
    path = clips / "film_rotated.mp4"
    untouched = [hash_of(f) for f in decode_source(path)]
    touched = []
    for frame in decode_source(path):
        touched.append(hash_of(frame))
        plane_arrays(frame)[0][:] = 0
    assert touched == untouched


@pytest.mark.parametrize("name", ["nv12", "nv16", "nv24", "p010le", "p210le", "yuyv422", "uyvy422"])
def test_interleaved_formats_become_planar_without_loss(name: str) -> None:
    rng = np.random.default_rng(0)
    original = av.VideoFrame(64, 48, planar_format(name))
    peak = 1023 if name.startswith("p") else 255
    for plane in plane_arrays(original):
        plane[:] = rng.integers(0, peak + 1, plane.shape)
    original.color_range = 1
    packed = original.reformat(format=name)
    assert hash_of(to_planar(packed)) == hash_of(original)


@pytest.mark.parametrize("name", sorted(PLANAR_FORMATS))
def test_planar_formats_pass_and_their_planes_are_views(name: str) -> None:
    frame = av.VideoFrame(50, 34, name)
    assert to_planar(frame) is frame
    plane_arrays(frame)[0][:] = 200
    assert (plane_arrays(frame)[0] == 200).all()


def test_full_range_stays_full_range() -> None:
    frame = av.VideoFrame(32, 32, "yuvj420p")
    planar = to_planar(frame)
    assert (planar.format.name, planar.color_range) == ("yuv420p", 2)
