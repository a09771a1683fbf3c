"""The API as its own process: light, bounded, and gone when it is told to go."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from api.serving import _listen
from infra.settings import Settings
from infra.storage.objects import STREAM_PART
from pipeline.running.commands import run
from tests.patience import LONG_SECONDS

MEBIBYTE = 1 << 20

#: Far more than may be in memory of it.
FILM_MEBIBYTES = 288
LIMIT_MEBIBYTES = 300


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    assert settings.s3_secret_key is not None
    return {
        **os.environ,
        "LIPFARM_DATABASE_URL": settings.database_url,
        "LIPFARM_REDIS_URL": settings.redis_url,
        "LIPFARM_S3_ENDPOINT_URL": settings.s3_endpoint_url or "",
        "LIPFARM_S3_ACCESS_KEY": settings.s3_access_key or "",
        "LIPFARM_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
        "LIPFARM_LOG_FORMAT": "json",
        "LIPFARM_MAX_UPLOAD_BYTES": str(LIMIT_MEBIBYTES * MEBIBYTE),
    }


@pytest.fixture
def process(environment: dict[str, str], store: object) -> Iterator[subprocess.Popen[str]]:
    """`lipfarm api` on a port of its own."""
    argv = [sys.executable, "-m", "lipfarm", "api", "--port", "0"]
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return found[0]
    raise AssertionError("it did not say where it listens")


def peak_mebibytes(process: subprocess.Popen[str]) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's own peak")
def test_uploads_pass_through_in_bounded_memory(
    process, store, make_key: Callable[..., str], tmp_path
):
    film = tmp_path / "film.mp4"
    film.write_bytes(os.urandom(MEBIBYTE) * FILM_MEBIBYTES)
    url, headers = address_of(process), {"x-api-key": make_key("ours")}
    small = {"video": ("film.mp4", b"frames"), "audio": ("a.wav", b"samples")}
    assert httpx.post(
        f"{url}/v2/generate", files=small, headers=headers, timeout=LONG_SECONDS
    ).is_success
    before = peak_mebibytes(process)
    with film.open("rb") as picture:
        answer = httpx.post(
            f"{url}/v2/generate",
            files={"video": picture, "audio": ("a.wav", b"samples")},
            headers=headers,
            timeout=LONG_SECONDS,
        )
    assert answer.status_code == 201, answer.text
    sizes = [o["Size"] for o in store.list_objects() if o["Key"].endswith("film.mp4")]
    assert FILM_MEBIBYTES * MEBIBYTE in sizes
    # Two parts are being sent, two wait, one is read; the rest is for copies on the way.
    assert peak_mebibytes(process) - before < 8 * STREAM_PART / MEBIBYTE, "less than the film"


def test_a_file_over_the_limit_is_refused_and_forgotten(process, store, make_key, tmp_path):
    url, headers = address_of(process), {"x-api-key": make_key("ours")}
    before = len(list(store.list_objects()))

    def blocks() -> Iterator[bytes]:
        yield b'--XX\r\nContent-Disposition: form-data; name="video"; filename="f.mp4"\r\n\r\n'
        for _ in range(LIMIT_MEBIBYTES + 1):
            yield bytes(MEBIBYTE)
        yield b"\r\n--XX--\r\n"

    answer = httpx.post(
        f"{url}/v2/generate",
        content=blocks(),
        headers={**headers, "content-type": "multipart/form-data; boundary=XX"},
        timeout=LONG_SECONDS,
    )
    assert (answer.status_code, answer.json()["error_code"]) == (413, "request_too_large")
    assert len(list(store.list_objects())) == before


def test_it_ends_in_order_when_told_to(process):
    httpx.get(f"{address_of(process)}/healthz")
    process.send_signal(signal.SIGTERM)
    assert process.wait(LONG_SECONDS) == 0


def test_a_taken_port_is_one_line(process, environment):
    port = address_of(process).rpartition(":")[2]
    argv = [sys.executable, "-m", "lipfarm", "api", "--port", port]
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True) as second:
        _, said = second.communicate(timeout=LONG_SECONDS)
    assert second.returncode == 9
    assert said.count("\n") == 1
    assert f":{port}" in said


def test_the_api_loads_no_media_stack():
    script = (
        "import sys, api.serving\n"
        "print(*sorted({'torch', 'cv2', 'librosa', 'scipy', 'av', 'numpy'} & set(sys.modules)))"
    )
    assert run([sys.executable, "-c", script], timeout=LONG_SECONDS).decode().split() == []


def test_nothing_is_left_of_it(process):
    address_of(process)
    assert psutil.Process(process.pid).children() == []


def test_no_answer_waits_for_the_client_to_confirm_its_headers():
    with _listen("127.0.0.1", 0) as listener:
        with socket.create_connection(listener.getsockname()):
            connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
