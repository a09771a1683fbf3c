"""Speaking to a farm over HTTP: where it is, with which key, and what its answers mean."""

import functools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import click
import httpx

from infra.errors import InfraError, SettingsError
from infra.services.folder import READY_FILE

#: Where `lipfarm up` keeps a farm unless told otherwise.
DEFAULT_DATA = Path("lipfarm-data")

#: A farm that restarts is back well within this; meanwhile the same request is tried again.
PATIENCE_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0

#: For an answer; longer than the farm holds a waiting request.
_TIMEOUT = httpx.Timeout(10.0, read=120.0, write=120.0)

#: Statuses of a generation that will not change by itself.
ENDS = frozenset({"COMPLETED", "FAILED", "REJECTED"})

_COME_BACK_LATER = frozenset({429, 502, 503, 504})

T = TypeVar("T")


class FarmUnreachableError(InfraError):
    """The farm does not answer."""

    code = "farm_unreachable"
    retryable = True
    exit_status = 9


class RequestRefusedError(InfraError):
    """The farm refused the request."""

    code = "request_refused"
    exit_status = 2


class JobNotCompletedError(InfraError):
    """The job ended without an output."""

    code = "job_not_completed"
    exit_status = 10


class FarmClient:
    """One project's view of a farm."""

    def __init__(self, url: str, api_key: str, *, patience: float = PATIENCE_SECONDS) -> None:
        """Speak to the farm at ``url``, and try for ``patience`` seconds while it is away."""
        if not url.startswith(("http://", "https://")):
            raise SettingsError(f"--url: it is http://HOST:PORT or https://HOST, not {url!r}")
        self.url = url.rstrip("/")
        self._patience = patience
        self._http = httpx.Client(
            base_url=self.url, headers={"x-api-key": api_key}, timeout=_TIMEOUT
        )

    def __enter__(self) -> Self:
        """Itself; its connections are closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self._http.close()

    def get(self, path: str, **query: str) -> Any:
        """GET; the answer's JSON.

        Raises:
            RequestRefusedError: 4xx, or a bug, with the farm's own words.
            FarmUnreachableError: it did not answer for as long as we have patience.
        """
        return self._ask(lambda: self._http.get(path, params=query))

    def post(self, path: str, body: Any = None) -> Any:
        """POST of JSON that may be repeated without harm; see :meth:`get`."""
        return self._ask(lambda: self._http.post(path, json=body))

    def send(self, make: Callable[[httpx.Client], httpx.Response]) -> Any:
        """Any request that may be repeated; made anew for each try."""
        return self._ask(lambda: make(self._http))

    def download(self, path: str, file: IO[bytes], **query: str) -> None:
        """GET into a file, however long it is; from its beginning for each try. See :meth:`get`."""

        def take() -> httpx.Response:
            with self._http.stream("GET", path, params=query) as answer:
                if not answer.is_success:
                    answer.read()
                    return answer
                file.seek(0)
                file.truncate()
                for block in answer.iter_bytes():
                    file.write(block)
                return httpx.Response(httpx.codes.NO_CONTENT)

        self._ask(take)

    def generation(self, generation_id: str, *, wait: bool = False) -> dict[str, Any]:
        """A generation; ``wait`` holds the answer back for some seconds or until it ends."""
        found: dict[str, Any] = self.get(
            f"/v2/generate/{generation_id}", **({"wait": "true"} if wait else {})
        )
        return found

    def _ask(self, request: Callable[[], httpx.Response]) -> Any:
        for pause in self._pauses():
            try:
                answer = request()
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
            else:
                if answer.status_code not in _COME_BACK_LATER:
                    return _read(answer)
                reason = _words(answer)
            if pause is None:
                raise FarmUnreachableError(f"the farm at {self.url} does not answer: {reason}")
            time.sleep(pause)
        raise AssertionError("unreachable")  # the last pause is None

    def _pauses(self) -> Iterator[float | None]:
        """How long to wait before each next try; None means there is none."""
        deadline, pause = time.monotonic() + self._patience, _FIRST_PAUSE_SECONDS
        while time.monotonic() + pause < deadline:
            yield pause
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        yield None


def _read(answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json() if answer.content else None
    raise RequestRefusedError(_words(answer))


def _words(answer: httpx.Response) -> str:
    """What the farm says, in one line."""
    try:
        body = answer.json()
        return f"{body['message']} ({body['suggestion']})"
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.reason_phrase}"


def farm_options(command: Callable[..., T]) -> Callable[..., T]:
    """``--url``, ``--api-key`` and ``--data``; the command gets a ``client`` instead."""

    @click.option("--url", envvar="LIPFARM_URL", help="Address of the farm (LIPFARM_URL).")
    @click.option("--api-key", envvar="LIPFARM_API_KEY", help="Key (better: LIPFARM_API_KEY).")
    @click.option(
        "--data",
        type=click.Path(path_type=Path),
        help=f"Folder of a farm run by `lipfarm up` here (default: {DEFAULT_DATA}).",
    )
    @functools.wraps(command)
    def with_client(
        *args: Any, url: str | None, api_key: str | None, data: Path | None, **options: Any
    ) -> T:
        with open_client(url, api_key, data) as client:
            return command(*args, client=client, **options)

    return with_client


def open_client(url: str | None, api_key: str | None, data: Path | None) -> FarmClient:
    """The client of the farm that is named, or of the one `lipfarm up` runs here.

    Raises:
        SettingsError: nothing says which farm, or with which key.
    """
    if url is None or api_key is None:
        noted_url, noted_key = _noted_farm(data)
        # A key is for its own farm alone; never sent to another address.
        if url is None or url.rstrip("/") == (noted_url or "").rstrip("/"):
            url, api_key = url or noted_url, api_key or noted_key
    if url is None:
        raise SettingsError(
            "which farm? give --url and --api-key, or set LIPFARM_URL and LIPFARM_API_KEY; "
            "or name the folder of `lipfarm up` with --data"
        )
    if api_key is None:
        raise SettingsError(f"no key for {url}; set LIPFARM_API_KEY, or give --api-key")
    return FarmClient(url, api_key)


def _noted_farm(data: Path | None) -> tuple[str | None, str | None]:
    """Address and key of the farm that runs on a folder."""
    folder = data or DEFAULT_DATA
    try:
        ready = json.loads((folder / READY_FILE).read_text())
        return str(ready["url"]), str(ready["api_key"])
    except FileNotFoundError:
        if data is None:
            return None, None
        raise SettingsError(
            f"{data}: no farm runs on this folder; start it: lipfarm up --data {data}"
        ) from None
    except (ValueError, KeyError) as error:
        raise SettingsError(f"{folder / READY_FILE} cannot be read: {error}") from None
