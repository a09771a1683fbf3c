"""Inputs by URL are fetched whole, and never from where the farm alone can reach."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra.errors import FetchError, ServiceUnavailableError
from infra.storage import fetching, public_network
from infra.storage.fetching import fetch_url
from infra.storage.objects import TransferStoppedError

CONTENT = bytes(range(256)) * 10_000


class Site(BaseHTTPRequestHandler):
    """A server that misbehaves by path."""

    tries: dict[str, int] = {}  # noqa: RUF012 -- shared on purpose
    starts: list[int] = []  # noqa: RUF012
    released = threading.Event()

    def do_GET(self) -> None:
        Site.tries[self.path] = Site.tries.get(self.path, 0) + 1
        match self.path:
            case "/film.mp4?signature=secret":
                self._send(200, CONTENT)
            case "/again" | "/inside" | "/file" as path:
                to = {
                    "/again": "/again",
                    "/inside": "http://169.254.169.254/latest/meta-data",
                    "/file": "file:///etc/passwd",
                }[path]
                self._send(302, b"", Location=to)
            case "/moved":
                self._send(302, b"", Location="/film.mp4?signature=secret")
            case "/shaky" if Site.tries[self.path] < 3:
                self._send(503, b"")
            case "/shaky":
                self._send(200, CONTENT)
            case "/cut":
                self.send_response(200)
                self.send_header("Content-Length", str(len(CONTENT)))
                self.end_headers()
                self.wfile.write(CONTENT[:1000])
                self.close_connection = True
            case "/breaks" | "/breaks-and-changes":
                self._send_half_of_the_rest()
            case "/silent" | "/drips" | "/endless":
                self._keep_waiting()
            case _:
                self._send(404, b"")

    def _keep_waiting(self) -> None:
        self.send_response(200)
        if self.path == "/endless":
            self.send_header("Content-Length", str(1 << 40))
        self.end_headers()
        while not Site.released.wait(0.05):
            if self.path == "/drips":
                self.wfile.write(b"drop")

    def _send_half_of_the_rest(self) -> None:
        tries = Site.tries[self.path]
        tag, content = '"one"', CONTENT
        if self.path == "/breaks-and-changes" and tries > 1:
            tag, content = '"two"', CONTENT[::-1]
        start = 0
        if self.headers.get("If-Range") == tag:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            Site.starts.append(start)
        self.send_response(206 if start else 200)
        if start:
            end, size = len(content) - 1, len(content)
            self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        rest = content[start:]
        self.wfile.write(rest if tries > 6 else rest[: len(rest) // 2])
        self.close_connection = True

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def site() -> Iterator[str]:
    Site.tries.clear()
    Site.starts.clear()
    Site.released.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    Site.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "pause", lambda *_: None)


def fetch(url: str, path: Path, *, private: bool = True, max_bytes: int = 1 << 30) -> None:
    fetch_url(url, path, max_bytes=max_bytes, private_addresses=private)


@pytest.mark.parametrize("path", ["/film.mp4?signature=secret", "/moved", "/shaky"])
def test_a_url_becomes_a_file(site: str, tmp_path: Path, path: str) -> None:
    fetch(site + path, tmp_path / "film.mp4")
    assert (tmp_path / "film.mp4").read_bytes() == CONTENT


def test_inside_addresses_are_refused(site: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="not a public address"):
        fetch(site + "/film.mp4", tmp_path / "f", private=False)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254",
        "100.64.0.1", "0.0.0.0",  # noqa: S104 -- to be refused
        "224.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "[fe80::1]",
        "[fc00::1]", "[fec0::1]", "[::7f00:1]", "[64:ff9b::a00:1]",
        "[2002:a00:1::]", "2130706433", "0x7f.1",
    ],
)  # fmt: skip
def test_no_spelling_of_an_inside_address_gets_through(host: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="not a public address"):
        fetch(f"http://{host}:9/x", tmp_path / "f", private=False)


def test_a_name_with_one_inside_address_among_others_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    addresses = ["93.184.216.34", "10.0.0.1"]
    monkeypatch.setattr(
        public_network.socket,
        "getaddrinfo",
        lambda *_, **__: [(2, 1, 6, "", (address, 80)) for address in addresses],
    )
    with pytest.raises(FetchError, match="10\\.0\\.0\\.1"):
        fetch("http://rebinding.example/x", tmp_path / "f", private=False)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/x", "s3://b/k", "http://", "http://u:p@h/x"]
)
def test_other_schemes_and_passwords_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError):
        fetch(url, tmp_path / "f")


@pytest.mark.parametrize("path", ["/file", "/again", "/nothing"])
def test_what_leads_nowhere_is_said_so(site: str, tmp_path: Path, path: str) -> None:
    with pytest.raises(FetchError):
        fetch(site + path, tmp_path / "f")


def test_a_transfer_that_breaks_off_is_tried_again_and_then_told(site: str, tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailableError):
        fetch(site + "/cut", tmp_path / "f")
    assert Site.tries["/cut"] > 1
    assert list(tmp_path.iterdir()) == []


def test_too_much_is_refused_and_leaves_nothing(site: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="larger"):
        fetch(site + "/moved", tmp_path / "f", max_bytes=1000)
    assert list(tmp_path.iterdir()) == []


def test_signatures_are_not_told(site: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError) as told:
        fetch(site + "/nothing?signature=secret", tmp_path / "f")
    assert "secret" not in str(told.value)


def test_it_stops_when_asked(site: str, tmp_path: Path) -> None:
    with pytest.raises(TransferStoppedError):
        fetch_url(
            site + "/moved", tmp_path / "f", max_bytes=1 << 30, private_addresses=True,
            should_stop=lambda: True,
        )  # fmt: skip


def test_what_broke_off_goes_on_where_it_was(site: str, tmp_path: Path) -> None:
    fetch(site + "/breaks", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT
    # More often than it would be tried without getting anywhere.
    assert len(Site.starts) == 6
    assert Site.starts == sorted(set(Site.starts))


def test_two_halves_of_different_files_are_not_put_together(site: str, tmp_path: Path) -> None:
    fetch(site + "/breaks-and-changes", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT[::-1]


# Shorter than the time a socket may be silent: nobody waits for it.
@pytest.mark.parametrize("path", ["/silent", "/drips"])
def test_a_silent_server_does_not_keep_it_from_stopping(
    site: str, tmp_path: Path, path: str
) -> None:
    asked = iter([False] * 5 + [True])
    with pytest.raises(TransferStoppedError):
        fetch_url(
            site + path, tmp_path / "f", max_bytes=1 << 30, private_addresses=True,
            should_stop=lambda: next(asked),
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_drips_is_given_up(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_READ_SECONDS", 0.5)
    with pytest.raises(ServiceUnavailableError, match=r"only \d+ bytes"):
        fetch(site + "/drips", tmp_path / "f")


def test_what_is_said_to_be_too_much_is_not_even_begun(site: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="larger"):
        fetch(site + "/endless", tmp_path / "f")


def test_all_addresses_of_a_name_are_tried(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, look_up = int(site.rpartition(":")[2]), socket.getaddrinfo

    def look_up_two(host: str, *how: Any, **more: Any) -> Any:
        if host == "two.example":
            return [(2, 1, 6, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")]
        return look_up(host, *how, **more)

    monkeypatch.setattr(public_network.socket, "getaddrinfo", look_up_two)
    fetch(f"http://two.example:{port}/film.mp4?signature=secret", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT
