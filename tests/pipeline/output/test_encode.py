"""Segments: what goes in comes out, at its time, wherever the cuts were."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import OutputError, StorageFullError
from pipeline.media.frames import decode_source
from pipeline.media.info import VideoInfo
from pipeline.media.planes import plane_arrays
from pipeline.media.probe import probe
from pipeline.output.encode import SegmentEncoder, choose_encoder, coded_size
from pipeline.running.commands import run
from tests.patience import LONG_SECONDS


def video_of(path: Path) -> VideoInfo:
    video = probe(path).video
    assert video is not None
    return video


def encode(source: Path, out: Path, count: int, **quality: object) -> VideoInfo:
    video = video_of(source)
    with SegmentEncoder(out, video, **quality) as encoder:  # type: ignore[arg-type]
        for frame in islice(decode_source(source), count):
            encoder.encode(frame)
    return video


def digests(path: Path, count: int | None = None) -> list[str]:
    return [
        hashlib.sha256(b"".join(plane.tobytes() for plane in plane_arrays(frame))).hexdigest()
        for frame in islice(decode_source(path), count)
    ]


def pattern(ffmpeg: str, out: Path, size: str, pix_fmt: str, *options: str) -> Path:
    filters = f"format=yuv444p,scale={size}"
    argv = [ffmpeg, "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25"]
    argv += ["-frames:v", "6", "-vf", filters, "-pix_fmt", pix_fmt, "-c:v", "ffv1", *options]
    run([*argv, str(out)], timeout=LONG_SECONDS)
    return out


@pytest.mark.parametrize(
    "name",
    ["film.mkv", "film_hdr10.mp4", "film_vfr.mkv", "film_rotated.mp4", "talk_mpeg4_25fps.mp4"],
)
def test_lossless_segment_decodes_to_the_source_at_its_times(
    clips: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "segment.nut"
    video = encode(clips / name, out, 20, crf=0)
    assert digests(out) == digests(clips / name, 20)
    times = [f.pts for f in islice(decode_source(clips / name), 20)]
    with av.open(str(out)) as container:
        found = [f.pts * f.time_base / video.time_base for f in container.decode(video=0)]
    assert found == [pts - times[0] for pts in times]


def test_equal_frames_give_equal_bytes_wherever_they_stand(clips: Path, tmp_path: Path) -> None:
    video = video_of(clips / "portrait_25fps.mp4")
    for name, shift in (("a.nut", 0), ("b.nut", 123 * 512)):
        with SegmentEncoder(tmp_path / name, video) as encoder:
            for frame in islice(decode_source(clips / "portrait_25fps.mp4"), 12):
                frame.pts += shift
                encoder.encode(frame)
    assert (tmp_path / "a.nut").read_bytes() == (tmp_path / "b.nut").read_bytes()


def test_encoding_leaves_the_frame_as_it_was(clips: Path, tmp_path: Path) -> None:
    video = video_of(clips / "film_vfr.mkv")
    with SegmentEncoder(tmp_path / "s.nut", video) as encoder:
        for frame in islice(decode_source(clips / "film_vfr.mkv"), 5, 8):
            before = frame.pts, frame.time_base, [p.tobytes() for p in plane_arrays(frame)]
            encoder.encode(frame)
            after = frame.pts, frame.time_base, [p.tobytes() for p in plane_arrays(frame)]
            assert after == before


def test_default_quality_is_visually_lossless(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.nut"
    encode(clips / "portrait_25fps.mp4", out, 25)
    pairs = zip(decode_source(clips / "portrait_25fps.mp4"), decode_source(out), strict=False)
    errors = [
        np.mean((plane_arrays(a)[0].astype(float) - plane_arrays(b)[0]) ** 2) for a, b in pairs
    ]
    assert len(errors) == 25
    assert 10 * np.log10(255**2 / np.mean(errors)) > 45


def test_every_segment_starts_closed_and_with_the_same_parameter_sets(
    clips: Path, tmp_path: Path
) -> None:
    video = video_of(clips / "film_hdr10.mp4")
    frames = decode_source(clips / "film_hdr10.mp4")
    extradata = set()
    for index in range(2):
        out = tmp_path / f"{index}.nut"
        with SegmentEncoder(out, video) as encoder:
            for frame in islice(frames, 8):
                encoder.encode(frame)
        with av.open(str(out)) as container:
            stream = container.streams.video[0]
            extradata.add(stream.codec_context.extradata)
            packets = [packet for packet in container.demux(stream) if packet.size]
        assert packets[0].is_keyframe
        assert min(packet.pts for packet in packets) == packets[0].pts == 0
    assert len(extradata) == 1


def test_colour_and_hdr_metadata_are_in_the_stream(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.nut"
    video = encode(clips / "film_hdr10.mp4", out, 3)
    assert video.hdr is not None
    found = video_of(out)
    assert (found.color, found.hdr, found.pix_fmt) == (video.color, video.hdr, "yuv420p10le")


@pytest.mark.parametrize("ratio", ["64/45", "1/1"])
def test_sample_aspect_ratio_is_kept(ffmpeg: str, tmp_path: Path, ratio: str) -> None:
    source = tmp_path / "source.mkv"
    pattern(ffmpeg, source, "64:48", "yuv420p", "-vf", f"scale=64:48,setsar={ratio}")
    video = encode(source, tmp_path / "s.nut", 3)
    assert video.sample_aspect_ratio is not None
    assert video_of(tmp_path / "s.nut").sample_aspect_ratio == video.sample_aspect_ratio


@pytest.mark.parametrize(
    ("size", "pix_fmt", "codec", "coded"),
    [
        ("16:16", "yuv420p", "h264", (16, 16)),
        ("16:16", "yuv420p10le", "hevc", (16, 16)),
        ("18:34", "yuv422p10le", "hevc", (18, 34)),
        ("66:50", "yuv420p9le", "hevc", (66, 50)),
        ("71:51", "yuv444p", "h264", (71, 51)),
        ("71:51", "yuv444p12le", "hevc", (71, 51)),
        ("64:48", "gray", "h264", (64, 48)),
        ("85:47", "yuv420p", "h264", (86, 48)),
        ("85:47", "yuv422p10le", "hevc", (86, 47)),
    ],
)
def test_sizes_and_formats_encode(
    ffmpeg: str, tmp_path: Path, size: str, pix_fmt: str, codec: str, coded: tuple[int, int]
) -> None:
    source = pattern(ffmpeg, tmp_path / "source.mkv", size, pix_fmt)
    video = encode(source, tmp_path / "s.nut", 6)
    found = video_of(tmp_path / "s.nut")
    assert (found.codec, found.width, found.height) == (codec, *coded)
    assert coded_size(video) == coded
    assert len(digests(tmp_path / "s.nut")) == 6


def test_odd_sizes_gain_a_copy_of_their_last_line(ffmpeg: str, tmp_path: Path) -> None:
    source = pattern(ffmpeg, tmp_path / "source.mkv", "65:47", "yuv420p10le")
    encode(source, tmp_path / "s.nut", 1, crf=0)
    before = plane_arrays(next(decode_source(source)))[0]
    after = plane_arrays(next(decode_source(tmp_path / "s.nut")))[0]
    assert np.array_equal(after[:47, :65], before)
    assert np.array_equal(after[47, :65], before[46])
    assert np.array_equal(after[:47, 65], before[:, 64])


def test_hevc_and_deep_pictures_stay_hevc(clips: Path) -> None:
    film = video_of(clips / "film.mkv")
    assert choose_encoder(film) == "libx264"
    assert choose_encoder(replace(film, codec="hevc")) == "libx265"
    assert choose_encoder(replace(film, bit_depth=10)) == "libx265"


def test_a_broken_off_segment_leaves_no_file(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.nut"
    video = video_of(clips / "film.mkv")

    def breaking() -> Iterator[av.VideoFrame]:
        yield from islice(decode_source(clips / "film.mkv"), 3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), SegmentEncoder(out, video) as encoder:
        for frame in breaking():
            encoder.encode(frame)
    assert not out.exists()


def test_frames_out_of_order_are_refused(clips: Path, tmp_path: Path) -> None:
    first, second = islice(decode_source(clips / "film.mkv"), 2)
    encoder = SegmentEncoder(tmp_path / "s.nut", video_of(clips / "film.mkv"))
    with pytest.raises(ValueError, match="order of time"), encoder:
        encoder.encode(second)
        encoder.encode(first)


def test_a_full_disk_is_told_as_such(clips: Path, tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    out = tmp_path / "s.nut"
    out.symlink_to(full)
    with pytest.raises(StorageFullError, match="no space left"):
        encode(clips / "portrait_25fps.mp4", out, 60)


def test_a_missing_folder_is_told_as_such(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"):
        encode(clips / "portrait_25fps.mp4", tmp_path / "nowhere" / "s.nut", 1)
