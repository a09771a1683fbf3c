"""A whole farm, as `lipfarm up` runs it, driven from outside over HTTP."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.patience import LONG_SECONDS

#: Short, so that tests need not wait for what takes a farm half a minute.
QUICK = {
    "LIPFARM_LEASE_SECONDS": "8",
    "LIPFARM_HEARTBEAT_SECONDS": "0.5",
    "LIPFARM_POLL_SECONDS": "1",
    "LIPFARM_RECONCILE_SECONDS": "0.5",
    "LIPFARM_WORKER_SILENCE_SECONDS": "10",
    "LIPFARM_DRAIN_SECONDS": "10",
    "LIPFARM_FREE_SPACE_FLOOR_BYTES": "0",
}

#: A generation's end, on the wire.
ENDS = {"COMPLETED", "FAILED", "REJECTED", "CANCELED"}


class Farm:
    """`lipfarm up` on a folder of its own.

    Attributes:
        data: its folder.
        log: where its merged log goes.
    """

    def __init__(
        self,
        data: Path,
        *,
        workers: Mapping[str, int] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.data = data
        self.log = data.with_name(f"{data.name}.log")
        self._ready = data.with_name(f"{data.name}.ready.json")
        self._workers = workers or {"cpu": 1, "gpu": 1, "stitch": 1}
        self._environment = {**os.environ, **QUICK, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self.url = self.api_key = ""

    def start(self) -> None:
        self._ready.unlink(missing_ok=True)
        argv = [sys.executable, "-m", "lipfarm", "up", "--data", str(self.data), "--port", "0"]
        argv += ["--ready-file", str(self._ready)]
        for queue, count in self._workers.items():
            argv += [f"--{queue}-workers", str(count)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self._environment
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + LONG_SECONDS
        while not self._ready.exists():
            assert self._process.poll() is None, f"up ended:\n{self.tail()}"
            assert time.monotonic() < deadline, f"up is not ready:\n{self.tail()}"
            time.sleep(0.1)
        ready = self._read()
        self.url, self.api_key = ready["url"], ready["api_key"]

    def _read(self) -> dict[str, Any]:
        ready: dict[str, Any] = json.loads(self._ready.read_text())
        return ready

    @property
    def processes(self) -> dict[str, int]:
        """Pids by name, as they are now."""
        processes: dict[str, int] = self._read()["processes"]
        return processes

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(LONG_SECONDS)

    def kill(self) -> None:
        """As a power cut would, for `up` itself."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(LONG_SECONDS)

    def tail(self, lines: int = 60) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> "Farm":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def client(self, api_key: str | None = None) -> "Client":
        return Client(self.url, api_key or self.api_key)

    def audit(self) -> list[str]:
        """What `lipfarm audit` finds broken."""
        done = subprocess.run(  # noqa: TID251 -- the program as its user runs it, with a limit
            [sys.executable, "-m", "lipfarm", "audit", "--data", str(self.data)],
            capture_output=True,
            text=True,
            timeout=LONG_SECONDS,
            check=False,
            env=self._environment,
        )
        assert done.returncode in (0, 1), done.stderr
        return done.stdout.splitlines() if done.returncode else []


class Client:
    """One project's view of a farm, with no more than an HTTP library."""

    def __init__(self, url: str, api_key: str) -> None:
        self._http = httpx.Client(
            base_url=url, headers={"x-api-key": api_key}, timeout=LONG_SECONDS
        )

    def close(self) -> None:
        self._http.close()

    def submit(self, video: Path, audio: Path, *, idempotency_key: str = "", **fields: Any) -> str:
        """Upload both and order a dub; the generation's id. Tried again while the farm is hurt."""
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        deadline = time.monotonic() + LONG_SECONDS
        while True:
            try:
                with video.open("rb") as picture, audio.open("rb") as sound:
                    answer = self._http.post(
                        "/v2/generate",
                        headers=headers,
                        files={"video": picture, "audio": sound},
                        data={
                            k: v if isinstance(v, str) else json.dumps(v) for k, v in fields.items()
                        },
                    )
                if answer.status_code < 500:
                    assert answer.is_success, answer.text
                    return str(answer.json()["id"])
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def get(self, generation: str) -> dict[str, Any]:
        answer = self._http.get(f"/v2/generate/{generation}")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def text_of(self, path: str) -> str:
        answer = self._http.get(path)
        answer.raise_for_status()
        return answer.text

    def url_of(self, path: str) -> str:
        """Where a path leads."""
        answer = self._http.get(path, follow_redirects=False)
        assert answer.is_redirect, answer.text
        return str(answer.headers["location"])

    def post(self, path: str, **fields: Any) -> httpx.Response:
        return self._http.post(path, json=fields or None)

    def wait(self, generation: str, until: frozenset[str] = frozenset(ENDS)) -> dict[str, Any]:
        deadline = time.monotonic() + LONG_SECONDS
        found: dict[str, Any] = {}
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                found = self.get(generation)
                if found["status"] in until:
                    return found
            time.sleep(0.1)
        raise AssertionError(f"not ended after {LONG_SECONDS} s: {found}")

    def output_sha256(self, generation: str) -> str:
        digest = hashlib.sha256()
        with httpx.stream("GET", self.get(generation)["outputUrl"], timeout=LONG_SECONDS) as answer:
            answer.raise_for_status()
            for block in answer.iter_bytes():
                digest.update(block)
        return digest.hexdigest()


@contextlib.contextmanager
def running_farm(data: Path, **options: Any) -> Iterator[Farm]:
    with Farm(data, **options) as farm:
        yield farm
