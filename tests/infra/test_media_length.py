"""How long media at a URL is, from a few of its bytes, whatever the server or the file does."""

import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import media_length
from infra.errors import FetchError, ServiceUnavailableError
from infra.media_length import UnmeasurableError, measure


class Files(http.server.BaseHTTPRequestHandler):
    """Clips at ``/ranges/NAME`` and ``/whole/NAME``, and servers that do other things."""

    folder: Path
    sent = 0

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        _, how, *rest = self.path.split("/")
        if how == "elsewhere":
            self.send_response(302)
            self.send_header("location", f"/ranges/{rest[0]}")
            self.end_headers()
            return
        path = self.folder / rest[0] if rest else self.folder / "nothing"
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        if wanted and how == "ranges":
            first, last = int(wanted[1]), min(int(wanted[2]), len(data) - 1)
            self.send_response(206)
            self.send_header("content-range", f"bytes {first}-{last}/{len(data)}")
            data = data[first : last + 1]
        else:
            self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        Files.sent += len(data)
        self.wfile.write(data)


@pytest.fixture(scope="module")
def url(clips: Path) -> Iterator[str]:
    Files.folder = clips
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("how", ["ranges", "whole", "elsewhere"])
def test_a_film_says_its_frames(url, how):
    found = measure(f"{url}/{how}/film.mkv", private_addresses=True)
    assert (found.frames, found.has_audio) == (1133, True)
    assert found.frame_rate == pytest.approx(23.976, abs=0.001)
    assert found.seconds == pytest.approx(47.26, abs=0.05)


def test_only_some_of_a_film_is_read(url, clips):
    Files.sent = 0
    found = measure(f"{url}/ranges/talk_mpeg4_25fps.mp4", private_addresses=True)
    assert (found.frames, found.seconds) == (200, 8.0)
    assert Files.sent < (clips / "talk_mpeg4_25fps.mp4").stat().st_size / 2


def test_a_recording_has_seconds_and_no_frames(url):
    found = measure(f"{url}/ranges/dialogue_short.flac", private_addresses=True)
    assert found.frames is None
    assert found.has_audio
    assert found.seconds


def test_what_is_no_media_is_unmeasurable(url):
    with pytest.raises(UnmeasurableError):
        measure(f"{url}/ranges/README.md", private_addresses=True)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:9/film.mkv",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:10.0.0.1]/film.mkv",
        "http://localhost/film.mkv",
        "file:///etc/passwd",
        "concat:/etc/passwd",
        "ftp://media.example/film.mkv",
        "https://user:secret@media.example/film.mkv",
    ],
)
def test_nothing_inside_is_looked_at(address):
    with pytest.raises(FetchError) as refused:
        measure(address, private_addresses=False)
    assert "secret" not in str(refused.value)


def test_a_file_that_is_not_there_is_said(url):
    with pytest.raises(FetchError, match="answered 404"):
        measure(f"{url}/ranges/other.mkv", private_addresses=True)


def test_a_parser_that_hangs_is_ended(monkeypatch, url):
    monkeypatch.setattr(media_length, "_SECONDS", 0.0)
    monkeypatch.setattr(media_length, "_GRACE_SECONDS", 0.01)
    with pytest.raises(ServiceUnavailableError, match="fast enough"):
        measure(f"{url}/ranges/film.mkv", private_addresses=True)


PLAYLISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10.0,\n{film}\n#EXT-X-ENDLIST\n",
    "mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
    "<BaseURL>{film}</BaseURL></Representation></AdaptationSet></Period></MPD>",
}


@pytest.mark.parametrize("is_told_apart", [True, False])
@pytest.mark.parametrize("kind", sorted(PLAYLISTS))
def test_a_playlist_opens_no_file(clips, tmp_path, url, monkeypatch, kind, is_told_apart):
    """Neither when it is seen for what it is, nor when the library gets to read it."""
    if not is_told_apart:
        monkeypatch.setattr(media_length, "_PLAYLISTS", (b"nothing",))
        monkeypatch.setattr(media_length, "check_is_media", lambda *_: None)
    (tmp_path / "list").write_text(PLAYLISTS[kind].format(film=clips / "talk_30fps.mp4"))
    monkeypatch.setattr(Files, "folder", tmp_path)
    with pytest.raises(FetchError if is_told_apart else UnmeasurableError):
        measure(f"{url}/ranges/list", private_addresses=True)
