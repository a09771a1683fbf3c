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
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
    with httpx.Client(base_url=url) as client:
        process = subprocess.Popen(command, env=dict(os.environ) | dict(environment))
        try:
            while not _answers(client):
                assert process.poll() is None, "the API does not start"
                assert time.monotonic() < deadline, "the API does not answer"
                time.sleep(0.02)
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait()


def _answers(client: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return client.get("/healthz").is_success
    return False
