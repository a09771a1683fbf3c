"""What a file holds, and why it is refused."""

import os
import shutil
from fractions import Fraction
from pathlib import Path

import av
import pytest

from pipeline.errors import PipelineError, UnreadableMediaError, UnusableMediaError
from pipeline.media.probe import probe, require_dialogue, require_source
from pipeline.running.commands import run
from tests.patience import LONG_SECONDS


def video_of(path: Path, width: int, height: int, frames: int = 1) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame(width, height, "yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_the_bitstreams_colours_beat_the_containers(clips: Path) -> None:
    video = require_source(probe(clips / "film_hdr10.mp4"))
    assert (video.color.space, video.color.primaries, video.color.transfer) == (9, 9, 16)
    assert video.bit_depth == 10
    assert video.hdr is not None
    assert (video.hdr.max_cll, video.hdr.max_fall) == (1000, 400)
    assert video.hdr.mastering is not None
    assert video.hdr.mastering.x265_string() == (
        "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    )


def test_every_stream_is_listed(clips: Path) -> None:
    info = probe(clips / "film.mkv")
    video = require_source(info)
    assert video.frame_rate == Fraction(24000, 1001)
    assert video.timecode == "01:00:00:00"
    assert [(a.language, a.channels, a.title) for a in info.audio] == [
        ("eng", 6, "Original 5.1"),
        ("fra", 2, "Commentary"),
    ]
    assert [s.kind for s in info.others] == ["subtitle"]
    assert [c.title for c in info.chapters] == ["One", "Two"]
    assert video.interlaced_at is None


def test_a_turn_that_is_no_quarter_is_refused(ffmpeg: str, tmp_path: Path) -> None:
    picture = ["-f", "lavfi", "-i", "testsrc2=size=64x48:duration=0.2"]
    run([ffmpeg, "-v", "error", *picture, str(tmp_path / "a.mp4")], timeout=LONG_SECONDS)
    turned = ["-display_rotation", "45", "-i", str(tmp_path / "a.mp4"), "-c", "copy"]
    run([ffmpeg, "-v", "error", *turned, str(tmp_path / "b.mp4")], timeout=LONG_SECONDS)
    with pytest.raises(UnusableMediaError, match="is shown turned by 45°, which is no quarter"):
        require_source(probe(tmp_path / "b.mp4"))


def test_rotation_is_told(clips: Path) -> None:
    assert require_source(probe(clips / "film_rotated.mp4")).rotation == 90


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.mp4", b"", "is empty"),
        ("text.mp4", b"hello world\n" * 99, "not a media file"),
        ("hls.mp4", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n", "not"),
        ("concat.mp4", b"ffconcat version 1.0\nfile film.mkv\n", "not accepted"),
    ],
)
def test_what_is_no_film_is_refused(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableMediaError, match=reason) as caught:
        probe(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    for path, reason in (
        (tmp_path / "pipe.mp4", "pipe or device"),
        (tmp_path, "directory"),
        (tmp_path / "missing.mp4", "no such file"),
    ):
        with pytest.raises(UnreadableMediaError, match=reason):
            probe(path)


@pytest.mark.parametrize(
    ("clip", "share", "reason"),
    [
        ("film_rotated.mp4", 0.5, "index is missing"),
        ("film.mkv", 0.5, "cut short"),
    ],
)
def test_a_film_that_was_cut_short_is_refused(
    clips: Path, tmp_path: Path, clip: str, share: float, reason: str
) -> None:
    data = (clips / clip).read_bytes()
    (tmp_path / clip).write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UnreadableMediaError, match=reason):
        probe(tmp_path / clip)


def test_an_index_that_points_past_the_end_is_seen(tmp_path: Path) -> None:
    path = video_of(tmp_path / "a.mp4", 64, 64, 50)
    fast = tmp_path / "fast.mp4"
    with (
        av.open(str(path)) as source,
        av.open(str(fast), "w", container_options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    data = fast.read_bytes()
    fast.write_bytes(data[:-200])
    with pytest.raises(UnreadableMediaError, match="cut short"):
        probe(fast)


@pytest.mark.parametrize(
    "name", ["a b.mp4", 'it\'s "x".mp4', "two\nlines.mp4", "-y.mp4", "http:b.mp4", "фильм 映画.mp4"]
)
def test_names_mean_nothing(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.move(video_of(tmp_path / "plain.mp4", 32, 32), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert probe(name).video is not None
    with pytest.raises(PipelineError) as caught:
        probe(f"missing {name}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [(16, 16), (8192, 4320)])
def test_the_smallest_and_the_largest_are_taken(tmp_path: Path, size: tuple[int, int]) -> None:
    video = require_source(probe(video_of(tmp_path / "a.mp4", *size)))
    assert (video.width, video.height) == size


def test_larger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableMediaError, match="8194×64"):
        require_source(probe(video_of(tmp_path / "a.mp4", 8194, 64)))


def test_sound_without_picture_and_picture_without_sound(clips: Path) -> None:
    sound = probe(clips / "dialogue_short.flac")
    assert require_dialogue(sound).sample_rate == 16000
    with pytest.raises(UnusableMediaError, match="no picture"):
        require_source(sound)
    with pytest.raises(UnusableMediaError, match="no sound"):
        require_dialogue(probe(clips / "portrait_25fps.mp4"))


def test_interlaced_is_refused_with_a_way_out(tmp_path: Path, ffmpeg: str) -> None:
    film = tmp_path / "fields.mkv"
    argv = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", "testsrc=size=128x96:rate=50:duration=1"]
    argv += ["-vf", "interlace", "-c:v", "libx264", "-flags", "+ilme+ildct", str(film)]
    run(argv, timeout=LONG_SECONDS)
    with pytest.raises(UnusableMediaError, match="bwdif"):
        require_source(probe(film))
