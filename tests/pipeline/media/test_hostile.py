"""Files that point at other files or at the network are refused before either is opened.

What they point at is a pipe, which tells whether anybody opened it, and a server, which counts.
"""

import contextlib
import os
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import InputError, ToolError
from pipeline.media.ffmpeg_program import ffmpeg_path
from pipeline.media.opening import FORMATS
from pipeline.media.probe import probe, require_source
from pipeline.running.commands import run
from pipeline.sound.decoding import Decoder, open_sound
from tests.patience import LONG_SECONDS

SECRET = "the-salaries-of-everybody"  # noqa: S105 -- to be looked for in messages


@dataclass
class Bait:
    """What nobody may touch.

    Attributes:
        folder: of hostile files.
        file: a pipe with a secret; whoever opens it is seen.
        url: a server; whoever asks it is seen.
    """

    folder: Path
    file: Path
    url: str
    touched: list[str] = field(default_factory=list)


@pytest.fixture
def bait(tmp_path: Path) -> Iterator[Bait]:
    asked: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    serving = threading.Thread(target=server.serve_forever, args=(0.02,))
    serving.start()
    pipe = tmp_path / "inside" / "secret.ts"
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    bait = Bait(tmp_path, pipe, f"http://127.0.0.1:{server.server_address[1]}/secret.ts", asked)
    over = threading.Event()

    def watch() -> None:
        # Returns when somebody opens the other end.
        with contextlib.suppress(OSError), pipe.open("wb") as end:
            if not over.is_set():
                asked.append(str(pipe))
            end.write(SECRET.encode())

    watching = threading.Thread(target=watch)
    watching.start()
    yield bait
    over.set()
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    watching.join()
    os.close(end)
    server.shutdown()
    serving.join()
    server.server_close()


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n"
HLS_KEY = '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{}"\n#EXTINF:9,\na.ts\n#EXT-X-ENDLIST\n'
HLS_MASTER = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{}\n"
DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
    "<BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>"
)
SMOOTH = '<SmoothStreamingMedia MajorVersion="2" Url="{}"></SmoothStreamingMedia>'
IMF = (
    '<?xml version="1.0"?>'
    '<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016">'
    "<Id>{}</Id></CompositionPlaylist>"
)
CONCAT = "ffconcat version 1.0\nfile '{}'\n"
BARE_CONCAT = "file '{}'\n"
SDP = (
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\na=control:{}\n"
    "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
)
PLS = "[playlist]\nNumberOfEntries=1\nFile1={}\n"
ASX = '<asx version="3.0"><entry><ref href="{}"/></entry></asx>'
SMIL = '<smil><body><video src="{}"/></body></smil>'
AVISYNTH = 'FFmpegSource2("{}")\n'
VAPOURSYNTH = 'import vapoursynth as vs\nvs.core.ffms2.Source("{}").set_output()\n'
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    '<image xlink:href="{}" width="9" height="9"/></svg>'
)
REFERENCE = "RTSPtext\nrtsp://127.0.0.1/{}\n"

SCRIPTS = {
    "hls": HLS,
    "hls-key": HLS_KEY,
    "hls-master": HLS_MASTER,
    "dash": DASH,
    "smooth": SMOOTH,
    "imf": IMF,
    "concat": CONCAT,
    "bare-concat": BARE_CONCAT,
    "sdp": SDP,
    "pls": PLS,
    "asx": ASX,
    "smil": SMIL,
    "avisynth": AVISYNTH,
    "vapoursynth": VAPOURSYNTH,
    "svg": SVG,
    "rtsp-text": REFERENCE,
}

#: How a place is written; ``{0}`` is the pipe, ``{1}`` the server.
PLACES = ["{0}", "file://{0}", "file:{0}", "{1}", "concat:{0}|{0}", "subfile,,start,0,end,9,,:{0}"]


def look(path: Path) -> str:
    """Do to a file what a dub does first, as film and as dialogue; what the errors say."""
    said = []
    for use in (_as_film, _as_dialogue):
        with pytest.raises(InputError) as refused:
            use(path)
        said.append(str(refused.value))
    return "\n".join(said)


def _as_film(path: Path) -> None:
    require_source(probe(path))


def _as_dialogue(path: Path) -> None:
    list(Decoder(open_sound(path)).blocks())


def assert_untouched(bait: Bait, said: str) -> None:
    assert bait.touched == []
    assert SECRET not in said
    # One line each, that names the file and says what it is not.
    assert all(str(bait.folder) in line for line in said.splitlines())
    assert len(said.splitlines()) == 2


@pytest.mark.parametrize("suffix", [".mp4", ".m3u8"])
@pytest.mark.parametrize("kind", sorted(SCRIPTS))
def test_a_script_is_refused_whatever_it_is_called(bait: Bait, kind: str, suffix: str) -> None:
    for place in PLACES:
        path = bait.folder / f"film{suffix}"
        path.write_text(SCRIPTS[kind].format(place.format(bait.file, bait.url)))
        assert_untouched(bait, look(path))


@pytest.mark.parametrize(
    "name",
    [
        "concat:{0}|{0}",
        "subfile,,start,0,end,9,,:{0}",
        "file:{0}",
        "crypto:{0}",
        "data:text/plain;base64,I0VYVE0zVQ==",
        "http://127.0.0.1:9/film.mp4",
        "-i",
        "%03d.ts",
        "*.ts",
    ],
)
def test_a_name_is_never_a_protocol_a_pattern_or_an_option(bait: Bait, name: str) -> None:
    path = bait.file.parent / name.format("secret.ts")
    for use in (_as_film, _as_dialogue):
        with pytest.raises(InputError, match="no such file"):
            use(path)
    assert bait.touched == []


def test_a_picture_whose_name_is_a_pattern_is_that_picture_alone(bait: Bait) -> None:
    for name, grey in (("frame%03d.png", 10), ("frame001.png", 250)):
        with av.open(str(bait.folder / "x.png"), "w", format="image2") as out:
            stream = out.add_stream("png", rate=1)
            stream.width = stream.height = 16
            stream.pix_fmt = "rgb24"
            picture = np.full((16, 16, 3), grey, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            out.mux(stream.encode(None))
        (bait.folder / "x.png").rename(bait.folder / name)
    with contextlib.suppress(InputError):
        info = probe(bait.folder / "frame%03d.png")
        assert info.size_bytes == (bait.folder / "frame%03d.png").stat().st_size


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind, data[at + 8 : at + size]
        at += size


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _refer(data: bytes, reference: bytes) -> bytes:
    """The same movie, its samples said to lie elsewhere."""
    inside = (b"moov", b"trak", b"mdia", b"minf", b"dinf")
    return b"".join(
        _box(kind, _refer(body, reference))
        if kind in inside
        else _box(kind, struct.pack(">II", 0, 1) + reference)
        if kind == b"dref"
        else _box(kind, body)
        for kind, body in _boxes(data)
    )


def _alias(path: str) -> bytes:
    """A reference as QuickTime writes it, with the absolute path in it."""
    place = path.encode()
    head = bytes(4) + bytes(10) + bytes([4]) + b"disk".ljust(27, b"\0") + bytes(12)
    head += bytes([9]) + b"secret.ts".ljust(63, b"\0") + bytes(16) + struct.pack(">hh", 1, 1)
    records = struct.pack(">hh", 2, len(place)) + place + b"\0" * (len(place) % 2)
    return _box(b"alis", head + bytes(16) + records + struct.pack(">hh", -1, 0))


REFERENCES: dict[str, Callable[[Bait], bytes]] = {
    "alias": lambda bait: _alias(str(bait.file)),
    "alias-url": lambda bait: _alias(bait.url),
    "url-file": lambda bait: _box(b"url ", bytes(4) + f"file://{bait.file}".encode() + b"\0"),
    "url-http": lambda bait: _box(b"url ", bytes(4) + bait.url.encode() + b"\0"),
}


@pytest.fixture
def movie(tmp_path: Path) -> bytes:
    path = tmp_path / "movie.mov"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuvj420p"
        sound = out.add_stream("pcm_s16le", rate=16000)
        sound.layout = "mono"
        for _ in range(5):
            grey = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
            out.mux(stream.encode(grey.reformat(format="yuvj420p")))
            block = av.AudioFrame.from_ndarray(
                np.full((1, 640), 1000, np.int16), format="s16", layout="mono"
            )
            block.rate = 16000
            out.mux(sound.encode(block))
        out.mux(stream.encode(None))
        out.mux(sound.encode(None))
    data = path.read_bytes()
    path.unlink()
    return data


@pytest.mark.parametrize("kind", sorted(REFERENCES))
def test_a_movie_whose_samples_are_said_to_lie_elsewhere_opens_nothing(
    bait: Bait, movie: bytes, kind: str
) -> None:
    path = bait.folder / "film.mov"
    path.write_bytes(_refer(movie, REFERENCES[kind](bait)))
    for use in (_as_film, _as_dialogue):
        # Those of a form that is not followed at all are read as if they lay here.
        with contextlib.suppress(InputError):
            use(path)
    assert bait.touched == []


def test_ffmpeg_itself_guesses_no_format_that_refers_elsewhere(bait: Bait) -> None:
    path = bait.folder / "film.ffconcat"
    path.write_text(CONCAT.format("inside/secret.ts"))
    argv = [ffmpeg_path(), "-nostdin", "-v", "error", "-format_whitelist", FORMATS]
    with pytest.raises(ToolError, match="Invalid argument"):
        run([*argv, "-i", f"file:{path}", "-f", "null", "-"], timeout=LONG_SECONDS)
    assert bait.touched == []


def test_the_bait_is_seen_when_it_is_taken(bait: Bait) -> None:
    """Without the fences the same files do open what they point at."""
    path = bait.folder / "film.ffconcat"
    for place, seen in ((str(bait.file), str(bait.file)), (bait.url, "/secret.ts")):
        path.write_text(CONCAT.format(place))
        with contextlib.suppress(av.FFmpegError, OSError):
            options = {"safe": "0", "protocol_whitelist": "file,http,tcp"}
            av.open(str(path), options=options).close()
        assert seen in bait.touched


def test_a_movie_whose_samples_lie_elsewhere_is_told_in_one_line(bait: Bait, movie: bytes) -> None:
    path = bait.folder / "film.mov"
    path.write_bytes(_refer(movie, REFERENCES["alias"](bait)))
    assert_untouched(bait, look(path))


@pytest.mark.parametrize(
    "page",
    [
        b"<!DOCTYPE html>\n<html><head><title>Film</title>",
        b"\xef\xbb\xbf\r\n <html lang='en'>",
        b"<!-- saved from a page -->\n<HTML>",
        b"<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0 Strict//EN'>",
    ],
)
@pytest.mark.parametrize("name", ["film.html", "film.mp4", "film"])
def test_a_web_page_is_told_as_one(page: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(page + b"<p>The film is ready for download.</p>" * 100)
    with pytest.raises(InputError, match="is a web page, not media: download the file"):
        probe(path)
