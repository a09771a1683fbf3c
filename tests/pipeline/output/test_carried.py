"""What a picture carries beside its samples: carried over by the encoder, or told of."""

import gc
import struct
import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import av
import pytest

from pipeline.dub import Order, dub_film
from pipeline.geometry import Box
from pipeline.media.declared import declared
from pipeline.media.decoding import decode_source
from pipeline.media.extras import ALPHA, CAPTIONS, LEFT_OUT, STEREOSCOPIC, Seen
from pipeline.media.info import VideoInfo
from pipeline.media.planes import filtered
from pipeline.media.probe import probe, require_source
from pipeline.media.sidedata import side_data
from pipeline.options import DetectorChoice, DubOptions, NetworkChoice
from pipeline.output.encode import SegmentEncoder
from pipeline.report import describe_picture, notes
from pipeline.running.commands import run
from pipeline.running.progress import Silent
from tests.patience import LONG_SECONDS

FRAMES = 12
HEVC10 = ("-c:v", "libx265", "-pix_fmt", "yuv420p10le")


def film(ffmpeg: str, path: Path, *options: str, size: str = "64x48") -> Path:
    picture = f"testsrc2=size={size}:rate=25:duration={FRAMES / 25}"
    run(
        [ffmpeg, "-v", "error", "-f", "lavfi", "-i", picture, *options, str(path)],
        timeout=LONG_SECONDS,
    )
    return path


def captions_of(number: int) -> bytes:
    """One pair of CEA-608 characters, unlike every other frame's."""
    return bytes((0xFC, 0x41 + number, 0x61))


def captioned(ffmpeg: str, folder: Path, *options: str) -> Path:
    """An H.264 film with ATSC A/53 captions in a message (SEI) of each picture."""
    encoding = ("-c:v", "libx264", "-bf", "0", "-x264-params", "aud=1")
    bare = film(ffmpeg, folder / "plain.h264", *encoding, *options).read_bytes()
    delimiter = b"\0\0\0\1\x09"
    start, *pictures = bare.split(delimiter)
    joined = start
    for number, picture in enumerate(pictures):
        data = b"\xb5\0\x31GA94\x03\x41\xff" + captions_of(number) + b"\xff"
        message = b"\0\0\0\1\x06\x04" + bytes([len(data)]) + data + b"\x80"
        joined += delimiter + picture[:1] + message + picture[1:]
    path = folder / "captioned.h264"
    path.write_bytes(joined)
    return path


def encoded(
    frames: Iterable[av.VideoFrame], video: VideoInfo, path: Path, follows: range | None = None
) -> Seen:
    with SegmentEncoder(path, video) as encoder:
        for number, frame in enumerate(frames):
            encoder.encode(frame, follows=follows is None or number in follows)
    return encoder.seen


def captions_in(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [side_data(frame, CAPTIONS) or b"" for frame in container.decode(video=0)]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("size", ["64x48", "65x49"])
def test_captions_stay_with_their_pictures(
    ffmpeg: str, tmp_path: Path, codec: str, size: str
) -> None:
    source = captioned(ffmpeg, tmp_path)
    video = replace(require_source(probe(source)), codec=codec)
    frames = list(decode_source(source))
    if size != "64x48":  # a size no encoder takes as it is, with what the frames carry
        video = replace(video, width=63, height=47)
        frames = [cut(frame) for frame in frames]
    seen = encoded(frames, video, tmp_path / "out.nut")
    assert captions_in(tmp_path / "out.nut") == [captions_of(n) for n in range(FRAMES)]
    assert (seen.frames, seen.extras, seen.captions_dropped) == (FRAMES, (CAPTIONS,), 0)


def cut(frame: av.VideoFrame) -> av.VideoFrame:
    return filtered(frame, "crop", "63:47:0:0:exact=1")


def test_a_frame_that_does_not_follow_has_no_captions(ffmpeg: str, tmp_path: Path) -> None:
    """Held, or shown again or backwards, its characters would be a stammer."""
    source = captioned(ffmpeg, tmp_path)
    video = require_source(probe(source))
    seen = encoded(decode_source(source), video, tmp_path / "out.nut", follows=range(4))
    expected = [captions_of(n) if n < 4 else b"" for n in range(FRAMES)]
    assert captions_in(tmp_path / "out.nut") == expected
    assert seen.captions_dropped == FRAMES - 4
    report = describe_picture(video, seen, Path("out.mp4"))
    assert "closed captions of 8 frames" in [e["what"] for e in report["picture"]["left_out"]]


def test_captions_of_mpeg2_are_taken_over(ffmpeg: str, tmp_path: Path) -> None:
    """The encoder of MPEG-2 writes them into user data; the decoder reads them from there."""
    source = tmp_path / "captioned.m2v"
    run(
        [ffmpeg, "-v", "error", "-i", str(captioned(ffmpeg, tmp_path)), "-c:v", "mpeg2video",
         "-bf", "2", str(source)],
        timeout=LONG_SECONDS,
    )  # fmt: skip
    wanted = captions_in(source)
    assert sum(map(bool, wanted)) == FRAMES
    encoded(decode_source(source), require_source(probe(source)), tmp_path / "out.nut")
    assert captions_in(tmp_path / "out.nut") == wanted


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("-c:v", "libx264", "-x264-params", "chromaloc=2"), 3),
        (("-c:v", "libx264", "-x264-params", "chromaloc=1"), 2),
        (("-c:v", "libx264"), 1),
        (
            (*HEVC10, "-x265-params", "log-level=none:chromaloc=2"),
            3,
        ),
    ],
)
def test_the_chroma_location_is_kept(
    ffmpeg: str, tmp_path: Path, options: tuple[str, ...], expected: int
) -> None:
    source = film(ffmpeg, tmp_path / "film.mkv", *options)
    video = require_source(probe(source))
    assert video.chroma_location == expected
    seen = encoded(decode_source(source), video, tmp_path / "out.nut")
    with av.open(str(tmp_path / "out.nut")) as container:
        assert declared(container.streams.video[0]).chroma_location == expected
    name = {1: "left", 2: "center", 3: "topleft"}[expected]
    report = describe_picture(video, seen, Path("out.mkv"))
    assert f"the chroma location ({name})" in report["picture"]["kept"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vp9.webm", ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p")),
        ("vp8.mkv", ("-c:v", "libvpx", "-auto-alt-ref", "0", "-pix_fmt", "yuva420p")),
        ("prores.mov", ("-c:v", "prores_ks", "-pix_fmt", "yuva444p10le")),
        ("animation.mov", ("-c:v", "qtrle", "-pix_fmt", "argb")),
        ("png.mov", ("-c:v", "png", "-pix_fmt", "rgba")),
        ("ffv1.mkv", ("-c:v", "ffv1", "-pix_fmt", "yuva420p")),
    ],
)
def test_alpha_that_goes_is_told(
    ffmpeg: str, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    video = require_source(probe(film(ffmpeg, tmp_path / name, *options)))
    assert ALPHA in video.carries
    report = describe_picture(video, Seen(), Path("out.mp4"))
    assert [each["what"] for each in report["picture"]["left_out"]] == ["the alpha channel"]
    assert len(notes(report)) == 1


def test_stereoscopy_lives_on_in_matroska_alone(ffmpeg: str, tmp_path: Path) -> None:
    tag = ("-metadata:s:v", "stereo_mode=left_right")
    video = require_source(probe(film(ffmpeg, tmp_path / "two.mkv", *tag)))
    assert video.carries == (STEREOSCOPIC,)
    assert "the stereoscopic (3D) layout" in kept(video, "out.mkv")
    assert left_out(video, "out.mp4") == ["the stereoscopic (3D) layout"]
    packed = film(ffmpeg, tmp_path / "two.mp4", "-x264-params", "frame-packing=3")
    assert left_out(require_source(probe(packed)), "out.mkv") == ["the stereoscopic (3D) layout"]


def test_a_colour_profile_is_told(tmp_path: Path) -> None:
    path = tmp_path / "profiled.mov"
    body = b"iCCP" + b"profile\0\0" + zlib.compress(bytes(128))
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    after_header = 8 + 25  # the signature, and the chunk IHDR
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        for plain in stream.encode(av.VideoFrame(64, 48, "rgb24")):
            data = bytes(plain)
            packet = av.Packet(data[:after_header] + chunk + data[after_header:])
            packet.pts = packet.dts = 0
            packet.time_base, packet.stream, packet.is_keyframe = plain.time_base, stream, True
            container.mux_one(packet)
    video = require_source(probe(path))
    assert left_out(video, "out.mov") == ["the ICC profile"]
    # PyAV would free what FFmpeg frees, if it saw the profile: the process would die.
    encoded(decode_source(path), video, tmp_path / "out.nut")
    gc.collect()


@pytest.mark.parametrize("name", LEFT_OUT)
def test_each_fact_that_goes_has_a_word_and_a_reason(
    ffmpeg: str, tmp_path: Path, name: str
) -> None:
    video = require_source(probe(film(ffmpeg, tmp_path / "film.mp4")))
    for told in (replace(video, carries=(name,)), video):
        seen = Seen(frames=1, extras=() if told is not video else (name,))
        (note,) = notes(describe_picture(told, seen, Path("out.mp4")))
        what, why = LEFT_OUT[name]
        assert note == f"left out of the picture: {what}; {why}"


def left_out(video: VideoInfo, output: str) -> list[str]:
    report = describe_picture(video, Seen(), Path(output))
    return [each["what"] for each in report["picture"]["left_out"]]


def kept(video: VideoInfo, output: str) -> list[str]:
    words: list[str] = describe_picture(video, Seen(), Path(output))["picture"]["kept"]
    return words


def test_a_plain_film_needs_no_word(ffmpeg: str, tmp_path: Path) -> None:
    source = film(ffmpeg, tmp_path / "film.mp4")
    video = require_source(probe(source))
    seen = encoded(decode_source(source), video, tmp_path / "out.nut")
    assert notes(describe_picture(video, seen, Path("out.mp4"))) == []


def test_user_data_is_told_but_no_encoders_signature(ffmpeg: str, tmp_path: Path) -> None:
    plain = film(ffmpeg, tmp_path / "plain.mkv", "-c:v", "libx264")
    assert require_source(probe(plain)).carries == ()
    told = tmp_path / "told.mkv"
    message = "h264_metadata=sei_user_data=086f3693-b7b3-4f2c-9653-21492feee5b8+drone"
    run(
        [ffmpeg, "-v", "error", "-i", str(plain), "-c", "copy", "-bsf:v", message, str(told)],
        timeout=LONG_SECONDS,
    )
    assert require_source(probe(told)).carries == ("SEI_UNREGISTERED",)


def test_fields_and_colours_that_nobody_looked_at_are_told(ffmpeg: str, tmp_path: Path) -> None:
    woven = film(ffmpeg, tmp_path / "woven.mpg", "-c:v", "mpeg2video", "-flags", "+ilme+ildct")
    plain = film(ffmpeg, tmp_path / "plain.mpg", "-c:v", "mpeg2video")
    video = require_source(probe(plain))
    seen = encoded(decode_source(plain), video, tmp_path / "a.nut").followed_by(
        encoded(decode_source(woven), video, tmp_path / "b.nut")
    )
    assert (seen.interlaced, seen.first_interlaced) == (FRAMES, FRAMES)
    report = describe_picture(video, seen, Path("out.mp4"))
    (woven_note,) = notes(report)
    assert woven_note.startswith(f"{FRAMES} frames are woven of two fields")
    odd = {"frames": FRAMES, "first": FRAMES, "note": woven_note}
    assert report["picture"]["interlaced"] == odd
    pq = replace(video, color=replace(video.color, transfer=16))
    frames = list(decode_source(plain))
    for frame in frames[3:]:
        frame.color_trc = 1
    seen = encoded(frames, pq, tmp_path / "c.nut")
    assert (seen.other_colors, seen.first_other_colors) == (FRAMES - 3, 3)
    assert len(notes(describe_picture(video, seen, Path("out.mp4")))) == 1


def test_what_was_seen_outlives_its_process(tmp_path: Path) -> None:
    seen = Seen(3, (CAPTIONS, ALPHA), 1, 2, 1, 0, None)
    seen.save(tmp_path / "seen.json")
    assert Seen.load(tmp_path / "seen.json") == seen


@pytest.mark.parametrize("extension", [".mkv", ".mp4"])
def test_a_dub_tells_before_the_work_what_goes(ffmpeg: str, tmp_path: Path, extension: str) -> None:
    source = film(ffmpeg, tmp_path / "film.webm", "-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p")
    tone = ("-f", "lavfi", "-i", "sine=duration=0.4:sample_rate=16000")
    run([ffmpeg, "-v", "error", *tone, str(tmp_path / "tone.wav")], timeout=LONG_SECONDS)
    output = tmp_path / f"out{extension}"
    options = DubOptions(box=Box(8, 8, 40, 40))
    dialogue, network = tmp_path / "tone.wav", NetworkChoice("draft")
    order = Order(source, dialogue, output, options, network, DetectorChoice())
    told = Told()
    report = dub_film(order, told)
    sentence = notes(report)[0]
    assert "the alpha channel" in sentence
    assert told.notes == [sentence]
    with av.open(str(output)) as container:
        stream = container.streams.video[0]
        assert not [key for key in stream.metadata if key.lower() == "alpha_mode"]


class Told(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)
