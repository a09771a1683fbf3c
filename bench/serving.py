"""The API as a process of its own."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

import httpx
import psutil

from infra.services.ports import free_port


@contextlib.contextmanager
def running_api(environment: Mapping[str, str]) -> Iterator[tuple[str, psutil.Process]]:
    """Its address once it answers, and its process; for as long as the block runs."""
    port = free_port()
    command = [sys.executable, "-m", "lipfarm", "api", "--port", str(port)]
    process = subprocess.Popen(command, env=dict(os.environ) | dict(environment))
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
    try:
        while True:
            assert process.poll() is None, "the API does not start"
            assert time.monotonic() < deadline, "the API does not answer"
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{url}/healthz").raise_for_status()
                break
            time.sleep(0.05)
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()
