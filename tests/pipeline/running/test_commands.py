import sys
import time

import pytest

from pipeline.errors import StorageFullError, ToolError
from pipeline.running.commands import run, streaming


def test_output_is_returned() -> None:
    assert run([sys.executable, "-c", "print('hello')"], timeout=30) == b"hello\n"


def test_failure_carries_the_last_line_of_stderr() -> None:
    code = "import sys; sys.exit('first\\nthe cause')"
    with pytest.raises(ToolError, match="the cause"):
        run([sys.executable, "-c", code], timeout=30)


def test_overrunning_the_limit_kills_the_program() -> None:
    start = time.monotonic()
    with pytest.raises(ToolError, match="limit"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.5)
    assert time.monotonic() - start < 30


def test_full_disk_is_told_apart() -> None:
    code = "import sys; sys.exit('write: No space left on device')"
    with pytest.raises(StorageFullError):
        run([sys.executable, "-c", code], timeout=30)


def test_leaving_early_ends_the_program() -> None:
    code = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
    with streaming([sys.executable, "-c", code], timeout=30) as stdout:
        assert stdout.read(10) == b"x" * 10


def test_a_shell_is_never_involved() -> None:
    argument = "$(touch /tmp/x); `id` 'quote' \"double\" \n newline"
    code = "import sys; sys.stdout.write(sys.argv[1])"
    assert run([sys.executable, "-c", code, argument], timeout=30).decode() == argument
