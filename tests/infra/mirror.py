"""A mirror on this machine that answers as its test tells it to."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.patience import LONG_SECONDS

#: What to do with one request: write the whole answer, headers too.
Answer = Callable[["MirrorHandler"], None]


class MirrorHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Mirror"

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers.get("Range")))
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        answers = self.server.answers[self.path.removeprefix("/")]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.close_connection = True
        answer(self)

    def log_message(self, *_args: object) -> None:
        """Quiet: the tests say what they saw."""

    def head(self, status: int, length: int | None, **headers: str) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Connection", "close")
        self.end_headers()


@dataclass
class Mirror(ThreadingHTTPServer):
    """Answers by path; each path has a list of answers, the last of which repeats."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), MirrorHandler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def serve(self, path: str, *answers: Answer) -> str:
        """Have ``path`` answered so; returns its address."""
        self.answers[path] = list(answers)
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"

    def handle_error(self, *_args: object) -> None:
        """A client that hangs up is what some tests are about."""

    def close(self) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()


def whole(body: bytes, *, ranges: bool = True) -> Answer:
    """The file as a good server sends it; without ``ranges``, one that ignores them."""

    def answer(handler: MirrorHandler) -> None:
        wanted = handler.headers.get("Range")
        if not (ranges and wanted):
            handler.head(200, len(body))
            handler.wfile.write(body)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        span = f"bytes {start}-{len(body) - 1}/{len(body)}"
        handler.head(206, len(body) - start, Content_Range=span)
        handler.wfile.write(body[start:])

    return answer


def status(code: int) -> Answer:
    return lambda handler: handler.head(code, 0)


def redirect(address: str) -> Answer:
    return lambda handler: handler.head(302, 0, Location=address)


def cut_after(body: bytes, count: int) -> Answer:
    """Promises the rest of the file, sends ``count`` bytes of it, and hangs up."""

    def answer(handler: MirrorHandler) -> None:
        wanted = handler.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        span = f"bytes {start}-{len(body) - 1}/{len(body)}"
        handler.head(206 if wanted else 200, len(body) - start, Content_Range=span)
        handler.wfile.write(body[start : start + count])

    return answer


def endless(body: bytes) -> Answer:
    """Says nothing of a length and never stops sending."""

    def answer(handler: MirrorHandler) -> None:
        handler.head(200, None)
        while not handler.server.released.is_set():
            handler.wfile.write(body)

    return answer


def hang(body: bytes, count: int) -> Answer:
    """Sends ``count`` bytes and then nothing, with the connection open."""

    def answer(handler: MirrorHandler) -> None:
        if count:
            handler.head(200, len(body))
            handler.wfile.write(body[:count])
            handler.wfile.flush()
        handler.server.released.wait(LONG_SECONDS)

    return answer


def drip(body: bytes) -> Answer:
    """A byte at a time, so that no read ever times out."""

    def answer(handler: MirrorHandler) -> None:
        handler.head(200, len(body))
        for byte in body:
            if handler.server.released.is_set():
                return
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(0.01)

    return answer
