"""A film cut in pieces decodes to the film in one piece, pixels and times, whatever the pieces."""

import hashlib
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.media.frames import decode_segment, decode_source, plane_arrays
from pipeline.media.plan import SourcePlan
from pipeline.media.probe import probe
from pipeline.media.segments import cut_segments, plan_segments, scan_packets, settle

CLIPS = (
    "film.mkv",
    "film_hdr10.mp4",
    "film_vfr.mkv",
    "film_rotated.mp4",
    "talk_29_97fps.mp4",
    "talk_mpeg4_25fps.mp4",
    "vertical_1080x1920_hevc.mp4",
)


Hashed = tuple[int | None, str]


def hash_of(frame: av.VideoFrame) -> Hashed:
    digest = hashlib.md5(usedforsecurity=False)
    for plane in plane_arrays(frame):
        digest.update(np.ascontiguousarray(plane))
    return frame.pts, digest.hexdigest()


def plan_of(path: Path) -> SourcePlan:
    return scan_packets(path, probe(path))


def pieces(
    path: Path, plan: SourcePlan, seconds: float, folder: Path
) -> list[tuple[int | None, str]]:
    segments = plan_segments(plan, seconds)
    objects = cut_segments(path, plan, segments, folder)
    return [
        hash_of(frame)
        for segment, object_path in zip(segments, objects, strict=True)
        for frame in decode_segment(object_path, plan, segment)
    ]


def encode(ffmpeg: str, source: Path, target: Path, *options: str) -> Path:
    argv = [
        ffmpeg,
        "-v",
        "error",
        "-y",
        "-i",
        str(source),
        "-an",
        "-t",
        "4",
        "-vf",
        "scale=320:180",
    ]
    subprocess.check_call([*argv, *options, str(target)])
    return target


# Every clip at every length is for the slow run.
@pytest.mark.parametrize("clip", CLIPS)
def test_pieces_decode_to_the_whole(clips: Path, clip: str, tmp_path: Path) -> None:
    path = clips / clip
    plan = plan_of(path)
    whole = [hash_of(frame) for frame in decode_source(path)]
    assert [pts for pts, _ in whole] == plan.pts.tolist()
    assert pieces(path, plan, 5, tmp_path) == whole


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.5, 1, 1000])
@pytest.mark.parametrize("clip", CLIPS)
def test_any_length_of_pieces_decodes_to_the_whole(
    clips: Path, clip: str, seconds: float, tmp_path: Path
) -> None:
    path = clips / clip
    plan = plan_of(path)
    assert pieces(path, plan, seconds, tmp_path) == [hash_of(f) for f in decode_source(path)]


@pytest.mark.parametrize(
    ("name", "options", "is_whole"),
    [
        ("open_gop.mp4", ("-c:v", "libx264", "-g", "24", "-x264-params", "open-gop=1"), False),
        ("refresh.mp4", ("-c:v", "libx264", "-g", "24", "-x264-params", "intra-refresh=1"), False),
        ("stream.ts", ("-c:v", "libx264", "-g", "24"), False),
        ("old.avi", ("-c:v", "libx264", "-g", "24", "-bf", "2"), True),
        ("master.mov", ("-c:v", "prores_ks", "-pix_fmt", "yuva444p10le"), False),
        ("alt_ref.webm", ("-c:v", "libvpx", "-lag-in-frames", "16", "-g", "24"), False),
        ("mpeg2.mpg", ("-c:v", "mpeg2video", "-bf", "2", "-g", "15"), False),
        ("rgb.mkv", ("-c:v", "ffv1", "-pix_fmt", "gbrp10le"), False),
    ],
)
def test_codecs_survive_the_cut(
    clips: Path, ffmpeg: str, tmp_path: Path, name: str, options: tuple[str, ...], is_whole: bool
) -> None:
    path = encode(ffmpeg, clips / "film_rotated.mp4", tmp_path / name, *options)
    plan = plan_of(path)
    assert plan.is_whole == is_whole
    assert pieces(path, plan, 1, tmp_path) == [hash_of(f) for f in decode_source(path)]


def test_frames_an_edit_list_cuts_away_stay_away(clips: Path, ffmpeg: str, tmp_path: Path) -> None:
    options = ("-c:v", "libx264", "-g", "24", "-bf", "2")
    full = encode(ffmpeg, clips / "film_rotated.mp4", tmp_path / "full.mp4", *options)
    path = tmp_path / "trimmed.mp4"
    subprocess.check_call(
        [ffmpeg, "-v", "error", "-ss", "1.7", "-i", str(full), "-c", "copy", str(path)]
    )
    plan = plan_of(path)
    assert len(plan.discarded) > 0
    assert pieces(path, plan, 0.5, tmp_path) == [hash_of(f) for f in decode_source(path)]


@pytest.mark.parametrize("seconds", [0.01, 0.5, 1, 5, 1000])
def test_segments_cover_all_frames_once_from_anchors(clips: Path, seconds: float) -> None:
    plan = plan_of(clips / "film.mkv")
    segments = plan_segments(plan, seconds)
    assert [s.start for s in segments] == [0, *[s.end for s in segments[:-1]]]
    assert segments[-1].end == len(plan)
    assert all(len(s) > 0 and s.anchor <= s.start for s in segments)
    assert {s.anchor for s in segments} <= set(plan.anchors.tolist())


def test_a_plan_is_read_back_as_it_was_saved(clips: Path, tmp_path: Path) -> None:
    plan = plan_of(clips / "film_hdr10.mp4")
    plan.save(tmp_path / "plan.npz")
    back = SourcePlan.load(tmp_path / "plan.npz")
    for name, value in vars(plan).items():
        assert np.array_equal(value, getattr(back, name)), name


def test_settling_a_sound_film_changes_nothing(clips: Path) -> None:
    plan = plan_of(clips / "talk_29_97fps.mp4")
    segments = plan_segments(plan, 1)
    settled, same = settle(plan, segments, [plan.pts[s.start : s.end] for s in segments])
    assert settled is plan
    assert same == segments


def test_a_lost_frame_renumbers_what_follows(clips: Path) -> None:
    plan = plan_of(clips / "film.mkv")
    segments = plan_segments(plan, 5)
    delivered = [plan.pts[s.start : s.end] for s in segments]
    delivered[1] = np.delete(delivered[1], 3)
    settled, renumbered = settle(plan, segments, delivered)
    assert len(settled) == len(plan) - 1
    assert renumbered[0] == segments[0]
    assert renumbered[1].end == segments[1].end - 1
    assert renumbered[2].anchor == segments[2].anchor - 1
    assert settled.frame_rate == Fraction(24000, 1001)


def test_a_damaged_film_yields_what_decodes(clips: Path, tmp_path: Path) -> None:
    data = bytearray((clips / "film.mkv").read_bytes())
    rng = np.random.default_rng(1)
    for position in rng.integers(100_000, len(data) - 100_000, 60):
        data[position : position + 40] = bytes(40)
    path = tmp_path / "damaged.mkv"
    path.write_bytes(data)
    plan = plan_of(path)
    segments = plan_segments(plan, 5)
    objects = cut_segments(path, plan, segments, tmp_path)
    delivered = [
        np.array([f.pts for f in decode_segment(o, plan, s)], np.int64)
        for s, o in zip(segments, objects, strict=True)
    ]
    settled, renumbered = settle(plan, segments, delivered)
    assert len(settled) > 500
    assert [s.start for s in renumbered] == [0, *[s.end for s in renumbered[:-1]]]
