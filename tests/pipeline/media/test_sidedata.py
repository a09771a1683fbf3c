"""Side data of frames, of kinds that PyAV has no name for too."""

import gc
import struct
import sys
import zlib
from pathlib import Path

import av
import pytest
from av.sidedata.sidedata import Type

from pipeline.media.decoding import decode_source
from pipeline.media.probe import probe, require_source
from pipeline.media.sidedata import side_data, side_data_kinds
from pipeline.running.commands import run
from tests.patience import LONG_SECONDS

#: A TIFF header, big-endian, and one directory: orientation (0x0112), a SHORT, 6.
ORIENTED = b"MM\0*\0\0\0\x08" + b"\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\0\0\0\0"
APP1 = b"Exif\0\0" + ORIENTED


def motion_jpeg(path: Path) -> Path:
    """As cameras write it: each picture a JPEG with an Exif segment."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(5):
            frame = av.VideoFrame(64, 48, "yuvj420p")
            frame.pts = number
            for encoded in stream.encode(frame):
                picture = bytes(encoded)
                segment = b"\xff\xe1" + (len(APP1) + 2).to_bytes(2, "big") + APP1
                packet = av.Packet(picture[:2] + segment + picture[2:])
                packet.pts = packet.dts = number
                packet.time_base, packet.stream = encoded.time_base, stream
                packet.is_keyframe = True
                container.mux_one(packet)
    return path


@pytest.mark.parametrize("extension", [".mov", ".avi", ".mkv"])
def test_a_kind_that_pyav_does_not_name_costs_nothing(tmp_path: Path, extension: str) -> None:
    film = motion_jpeg(tmp_path / f"camera{extension}")
    video = require_source(probe(film))
    assert (video.codec, video.width, video.height) == ("mjpeg", 64, 48)
    assert video.rotation == 270
    frames = list(decode_source(film))
    assert len(frames) == 5
    with av.open(str(film)) as container:
        frame = next(container.decode(video=0))
        assert "EXIF" in side_data_kinds(frame)
        assert (side_data(frame, "EXIF") or b"")[:2] in (b"II", b"MM")


def test_a_kind_to_come_has_a_name_and_is_one_kind() -> None:
    assert Type(4711) is Type(4711)
    assert Type(4711).name == "KIND_4711"
    with pytest.raises(ValueError, match="not a valid"):
        Type("words")


def test_a_named_profile_does_not_end_the_process(tmp_path: Path) -> None:
    """PyAV frees its name a second time; the process dies of it sooner or later."""
    lines = zlib.compress(b"".join(b"\0" + bytes(3 * 16) for _ in range(16)))
    data = b"\x89PNG\r\n\x1a\n"
    for name, value in (
        (b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)),
        (b"iCCP", b"Display P3\0\0" + zlib.compress(bytes(200))),
        (b"IDAT", lines),
        (b"IEND", b""),
    ):
        data += struct.pack(">I", len(value)) + name + value
        data += struct.pack(">I", zlib.crc32(name + value))
    (tmp_path / "a.png").write_bytes(data)
    script = (
        "import gc, sys, av; from pipeline.media.sidedata import side_data, side_data_kinds\n"
        "for number in range(200):\n"
        "    with av.open(sys.argv[1], format='png_pipe') as container:\n"
        "        frame = next(container.decode(video=0))\n"
        "    assert side_data_kinds(frame) == {'ICC_PROFILE'}\n"
        "    assert side_data(frame, 'DISPLAYMATRIX') is None\n"
        "    del frame; gc.collect()\n"
        "print('alive')"
    )
    said = run([sys.executable, "-c", script, str(tmp_path / "a.png")], timeout=LONG_SECONDS)
    assert said.strip() == b"alive"


def test_a_frame_that_was_looked_at_is_freed_at_once(tmp_path: Path) -> None:
    """What waits for the garbage collector is counted by it, and a frame of 4K is one of 25 MB."""
    path = motion_jpeg(tmp_path / "film.mov")
    gc.collect()
    gc.disable()
    try:
        before = _living_frames()
        for frame in decode_source(path):
            assert "EXIF" in side_data_kinds(frame)
        del frame
        assert _living_frames() == before
    finally:
        gc.enable()


def _living_frames() -> int:
    # Not isinstance: that asks objects for their class, and some lazy modules do things then.
    return sum(type(each) is av.VideoFrame for each in gc.get_objects())
