"""Every door the farm goes out by: none of them leads into its own network.

The doors are inputs that are fetched, inputs that are measured for an estimate, and webhooks. What
must not be reached is a real server on this machine, which counts who came.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from api.catalogue import CATALOGUE
from api.requests import GenerationRequest, check_input_url, check_url
from infra.errors import FetchError, InfraError
from infra.media_length import measure
from infra.storage import fetching, public_network
from infra.storage.fetching import fetch_url
from infra.storage.public_network import transport_to
from infra.wire import wire_code

Door = Callable[[str], object]

#: Webhooks' sender takes all of these for an attempt that failed.
_REFUSALS = (InfraError, httpx.HTTPError, httpx.InvalidURL)


class Inside:
    """A server of the farm's own network."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                asked.append(self.path)
                self.send_response(302 if self.path.startswith("/to?") else 200)
                self.send_header("Location", self.path.partition("?")[2])
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = answer  # noqa: N815 -- the library's names

            def log_message(self, *_: object) -> None:
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self.server.server_address[1])


@pytest.fixture
def inside() -> Iterator[Inside]:
    inside = Inside()
    thread = threading.Thread(target=inside.server.serve_forever, args=(0.02,))
    thread.start()
    yield inside
    inside.server.shutdown()
    thread.join()
    inside.server.server_close()


def _fetch(url: str, path: Path) -> None:
    fetch_url(url, path / "film.mp4", max_bytes=1 << 20, private_addresses=False)


def _post(url: str) -> None:
    transport = transport_to(private_addresses=False, total_seconds=5)
    with httpx.Client(transport=transport, trust_env=False) as client:
        client.post(url, content=b"{}")


@pytest.fixture(params=["fetched", "measured", "told"])
def door(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Door:
    monkeypatch.setattr(fetching, "pause", lambda *_: None)
    doors: dict[str, Door] = {
        "fetched": lambda url: _fetch(url, tmp_path),
        "measured": lambda url: measure(url, private_addresses=False),
        "told": _post,
    }
    return doors[request.param]


HOSTS = [
    "127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "2130706433", "0x7f000001", "0x7f.0.0.1",
    "0177.0.0.1", "017700000001", "0", "0.0.0.0", "localhost", "LOCALHOST",  # noqa: S104
    "127.0.0.1.", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::80ff:fffe]",
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1",
    "169.254.169.254", "169.254.170.2", "2852039166", "0xa9fea9fe", "[fd00:ec2::254]",
    "[fe80::1]", "[fc00::1]", "[fec0::1]", "198.18.0.1", "192.0.0.1", "192.0.2.1", "224.0.0.1",
    "240.0.0.1", "255.255.255.255", "[ff02::1]", "[2001:db8::1]", "[100::1]",
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_no_spelling_of_an_inside_address_is_gone_to(door: Door, inside: Inside, host: str) -> None:
    with pytest.raises(_REFUSALS) as refused:
        door(f"http://{host}:{inside.port}/secret")
    assert inside.asked == []
    if isinstance(refused.value, FetchError):
        assert wire_code(refused.value.code) == "generation_input_video_inaccessible"


def _resolver(answers: dict[str, list[list[str]]]) -> Callable[..., Any]:
    """Names of ours, each look giving the next answer; the rest as it is."""
    look_up = socket.getaddrinfo

    def resolve(host: Any, port: Any, *how: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in answers:
            return look_up(host, port, *how, **more)
        found = answers[name].pop(0) if len(answers[name]) > 1 else answers[name][0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    return resolve


def test_a_name_that_changes_its_mind_is_held_to_what_was_checked(
    door: Door, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A public address when it is looked at, an inside one when it is connected to."""
    looks = {"rebinding.example": [["192.88.99.77"], ["127.0.0.1"]]}
    monkeypatch.setattr(public_network.socket, "getaddrinfo", _resolver(looks))
    gone_to: list[str] = []

    def connect(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        gone_to.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(_REFUSALS):
        door(f"http://rebinding.example:{inside.port}/secret")
    # Tried again it is looked up again, and refused then.
    assert set(gone_to) <= {"192.88.99.77"}
    assert inside.asked == []


def test_a_name_with_one_inside_address_among_others_is_refused(
    door: Door, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = {"mixed.example": [["192.88.99.77", "127.0.0.1"]]}
    monkeypatch.setattr(public_network.socket, "getaddrinfo", _resolver(looks))
    with pytest.raises(FetchError, match=r"127\.0\.0\.1"):
        door(f"http://mixed.example:{inside.port}/secret")
    assert inside.asked == []


INWARD = [
    "http://169.254.169.254/latest/meta-data", "http://[::1]:{port}/secret",
    "http://0x7f000001:{port}/secret", "//127.0.0.1:{port}/secret", "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/x", "ftp://127.0.0.1/x", "data:text/plain,x", "s3://lipfarm/x",
    "http://user:word@127.0.0.1:{port}/secret", "http://127.0.0.1:{port}\\@media.example/secret",
]  # fmt: skip


@pytest.mark.parametrize("to", INWARD)
def test_a_redirect_to_the_inside_is_not_followed(
    door: Door, inside: Inside, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    """From a server that is let through as if it were a public one."""
    looks = {"outside.example": [["127.0.0.1"]]}
    monkeypatch.setattr(public_network.socket, "getaddrinfo", _resolver(looks))
    check = public_network._check_address

    def let_through(host: str, address: str) -> None:
        if host != "outside.example":
            check(host, address)

    monkeypatch.setattr(public_network, "_check_address", let_through)
    address = f"http://outside.example:{inside.port}/to?{to.format(port=inside.port)}"
    # A webhook's redirect is an answer like any other; inputs are refused.
    with contextlib.suppress(*_REFUSALS):
        door(address)
    assert {path.partition("?")[0] for path in inside.asked} == {"/to"}


@pytest.mark.parametrize("user", ["media.example@", "media.example:80@", "a:b@", "%40@", "@"])
def test_a_user_name_that_looks_like_a_host_does_not_hide_the_host(
    door: Door, inside: Inside, user: str
) -> None:
    with pytest.raises(_REFUSALS):
        door(f"http://{user}127.0.0.1:{inside.port}/secret")
    assert inside.asked == []


UNFETCHABLE = [
    "file:///etc/passwd", "FILE:///etc/passwd", "file:/etc/passwd", "concat:a|b", "data:,x",
    "subfile,,start,0,end,0,,:/etc/passwd", "pipe:0", "fd:0", "tcp://127.0.0.1:80", "rtmp://a/b",
    "rtsp://a/b", "udp://a:1", "ftp://a/b", "gopher://a/b", "dict://a/b", "ldap://a/b", "smb://a/b",
    "jar:http://a!/b", "crypto:http://a/b", "hls+http://a/b", "async:http://a/b", "cache:http://a/b",
    "http:/a/b", "http:a", "//a/b", "/etc/passwd", "C:\\film.mov", "http://a b/", "http://a/\n",
    "http://a/\tb", "http://user@a/b", "http://:p@a/b", "http://a:0/b", "http://a:99999/b",
    "http://[::1/b", "http://[a]/b", "http://", "https:///b", "", " ", "\0", "http://a/\0",
]  # fmt: skip


@pytest.mark.parametrize("url", UNFETCHABLE)
def test_what_is_no_plain_address_is_refused_when_it_is_ordered(url: str) -> None:
    for check in (check_input_url, check_url):
        with pytest.raises(ValueError, match="it"):
            check(url)
    with pytest.raises(ValidationError):
        GenerationRequest.model_validate({"input": [{"type": "video", "url": url}]})
    with pytest.raises(ValidationError):
        GenerationRequest.model_validate({"webhookUrl": url})


@pytest.mark.parametrize("url", UNFETCHABLE)
def test_and_when_it_is_fetched_all_the_same(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "pause", lambda *_: None)
    monkeypatch.setattr(public_network.socket, "getaddrinfo", _nowhere)
    with pytest.raises(InfraError) as refused:
        _fetch(url, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert wire_code(refused.value.code) in CATALOGUE


def _nowhere(*_: object, **__: object) -> Any:
    raise socket.gaierror("no such name")
