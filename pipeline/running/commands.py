"""Running programs: argv lists, a time limit, and the tail of stderr in the error."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from pipeline.errors import StorageFullError, ToolError

#: Enough of stderr to see the cause, little enough to print.
STDERR_TAIL_BYTES = 4096

#: Media is read from local files only. Without this a playlist renamed .mp4 could make ffmpeg
#: open other files or the network.
PROTOCOLS = "file,pipe,fd"


def run(argv: Sequence[str], *, timeout: float) -> bytes:
    """Run a program to its end and return its stdout.

    Args:
        argv: program and arguments; never a shell.
        timeout: seconds, wall clock.

    Raises:
        ToolError: it failed or ran over the limit; the message carries the end of its stderr.
        StorageFullError: its stderr says no space was left.
    """
    with streaming(argv, timeout=timeout) as stdout:
        return stdout.read()


@contextlib.contextmanager
def streaming(argv: Sequence[str], *, timeout: float) -> Iterator[IO[bytes]]:
    """Run a program and read its stdout as it comes; leaving the block waits for its end.

    Leaving early, or by an exception, kills it. Errors as in :func:`run`.
    """
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr
        )
        watchdog = _Watchdog(process, timeout)
        assert process.stdout is not None  # noqa: S101 -- for the type checker; PIPE sets it
        try:
            yield process.stdout
            left_early = process.stdout.read(1) != b""
            if left_early:
                process.kill()
        except BaseException:
            process.kill()
            raise
        finally:
            process.stdout.close()
            process.wait()
            watchdog.cancel()
        if not left_early:
            _raise_for_status(argv, process.returncode, watchdog, stderr)


class _Watchdog:
    """Kills the process when its time is up, and remembers having done so."""

    def __init__(self, process: "subprocess.Popen[bytes]", timeout: float) -> None:
        import threading  # noqa: PLC0415

        self.timeout = timeout
        self.fired = False
        self._process = process
        self._timer = threading.Timer(timeout, self._fire)
        self._timer.daemon = True
        self._timer.start()

    def _fire(self) -> None:
        self.fired = True
        self._process.kill()

    def cancel(self) -> None:
        self._timer.cancel()


def _raise_for_status(
    argv: Sequence[str], status: int, watchdog: _Watchdog, stderr: IO[bytes]
) -> None:
    program = Path(argv[0]).name
    if watchdog.fired:
        raise ToolError(f"{program} ran over its limit of {watchdog.timeout:.0f} s and was stopped")
    if status == 0:
        return
    stderr.seek(0, 2)
    stderr.seek(max(0, stderr.tell() - STDERR_TAIL_BYTES))
    tail = stderr.read().decode(errors="replace").strip()
    if "No space left on device" in tail:
        raise StorageFullError(f"no space left on the device while {program} was writing")
    last = tail.splitlines()[-1] if tail else f"exit status {status}"
    raise ToolError(f"{program} failed: {last}")
