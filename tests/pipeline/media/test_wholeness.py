"""A file that ends before it should is refused; one that only looks like it is taken."""

import struct
from pathlib import Path

import pytest

from pipeline.errors import UnreadableMediaError
from pipeline.media.probe import probe
from pipeline.running.commands import run
from tests.patience import LONG_SECONDS

SECONDS = 3
TONE = ("-f", "lavfi", "-i", f"sine=frequency=300:sample_rate=48000:duration={SECONDS}")
PICTURE = ("-f", "lavfi", "-i", f"testsrc2=size=64x48:rate=25:duration={SECONDS}")
FRAGMENTS = ("-movflags", "frag_keyframe+empty_moov", "-frag_duration", "500000")
INDEX_FIRST = ("-movflags", "faststart")

#: How each is made; of half of it: bytes or seconds that are missing, or what else it lacks.
FORMATS: dict[str, tuple[tuple[str, ...], str]] = {
    "a.wav": (TONE, "bytes"),
    "rf64.wav": ((*TONE, "-rf64", "always"), "bytes"),
    "a.w64": (TONE, "bytes"),
    "a.aiff": (TONE, "bytes"),
    "a.caf": (TONE, "bytes"),
    "a.au": (TONE, "bytes"),
    "a.mp3": (TONE, "bytes"),
    "a.tta": (TONE, "bytes"),
    "a.wma": (TONE, "bytes"),
    "a.mka": (TONE, "bytes"),
    "a.webm": (TONE, "bytes"),
    "a.m4a": ((*TONE, *INDEX_FIRST), "bytes"),
    "fragments.m4a": ((*TONE, *FRAGMENTS), "bytes"),
    "a.flac": (TONE, "seconds"),
    "a.wv": (TONE, "seconds"),
    "a.opus": (TONE, "last page"),
    "film.mp4": ((*PICTURE, *TONE, *INDEX_FIRST), "bytes"),
    "film.mkv": ((*PICTURE, *TONE), "bytes"),
    "film.avi": ((*PICTURE, *TONE), "bytes"),
    "film.wmv": ((*PICTURE, *TONE), "bytes"),
    "film.mxf": ((*PICTURE, "-c:v", "mpeg2video"), "bytes"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole")


def made(folder: Path, ffmpeg: str, name: str) -> Path:
    path = folder / name
    if not path.exists():
        run([ffmpeg, "-v", "error", "-y", *FORMATS[name][0], str(path)], timeout=LONG_SECONDS)
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_half_a_file_is_refused_and_the_whole_taken(
    folder: Path, ffmpeg: str, name: str, tmp_path: Path
) -> None:
    whole = made(folder, ffmpeg, name)
    duration = probe(whole).duration
    assert duration is not None
    assert abs(float(duration) - SECONDS) < 0.1
    content = whole.read_bytes()
    cut = tmp_path / name
    cut.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(UnreadableMediaError, match=rf"is cut short: .*{FORMATS[name][1]}"):
        probe(cut)


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.flac", "a.opus", "a.m4a", "a.tta"])
def test_what_was_added_after_the_end_does_no_harm(
    folder: Path, ffmpeg: str, name: str, tmp_path: Path
) -> None:
    tagged = tmp_path / name
    ape = b"APETAGEX" + bytes(24)
    tagged.write_bytes(made(folder, ffmpeg, name).read_bytes() + ape + b"TAG" + bytes(125))
    assert probe(tagged).audio


@pytest.mark.parametrize("kind", ["wav", "au", "caf", "flac", "mp3", "ogg", "matroska", "asf"])
def test_a_writer_into_a_pipe_promises_nothing(ffmpeg: str, kind: str, tmp_path: Path) -> None:
    argv = [ffmpeg, "-v", "error", *TONE, "-f", kind, "-"]
    piped = tmp_path / "piped"
    piped.write_bytes(run(argv, timeout=LONG_SECONDS))
    assert probe(piped).audio


@pytest.mark.parametrize(
    "length", [0, 0x7FFFF000, 0x7FFFFF00, 0x7FFFFFFF, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFF]
)
def test_a_length_that_stands_for_none_promises_nothing(tmp_path: Path, length: int) -> None:
    wav = tmp_path / "streamed.wav"
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16)
    head = b"RIFF" + struct.pack("<I", length) + b"WAVE" + form
    wav.write_bytes(head + b"data" + struct.pack("<I", length) + bytes(32000))
    assert probe(wav).audio


def test_a_header_that_was_counted_in_is_no_loss(tmp_path: Path) -> None:
    wav = tmp_path / "counted.wav"
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16)
    head = b"RIFF" + struct.pack("<I", 32044) + b"WAVE" + form
    wav.write_bytes(head + b"data" + struct.pack("<I", 32044) + bytes(32000))
    assert probe(wav).audio


def test_sound_that_ends_before_the_picture_in_the_file_is_seen(
    ffmpeg: str, tmp_path: Path
) -> None:
    """The last bytes of this film are of its sound alone: its picture is all there."""
    film = tmp_path / "long.mp4"
    argv = [ffmpeg, "-v", "error", *PICTURE[:-1], f"{PICTURE[-1][:-1]}1", *TONE]
    run([*argv, *INDEX_FIRST, str(film)], timeout=LONG_SECONDS)
    assert len(probe(film).audio) == 1
    film.write_bytes(film.read_bytes()[:-1000])
    with pytest.raises(UnreadableMediaError, match="is cut short"):
        probe(film)


def test_a_file_that_ends_within_its_header_is_told_so(ffmpeg: str, tmp_path: Path) -> None:
    vorbis = tmp_path / "short.ogg"
    run([ffmpeg, "-v", "error", *TONE, "-c:a", "libvorbis", str(vorbis)], timeout=LONG_SECONDS)
    vorbis.write_bytes(vorbis.read_bytes()[:1500])
    with pytest.raises(UnreadableMediaError, match=r"is cut short|last page"):
        probe(vorbis)
