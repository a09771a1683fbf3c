import sys

import pytest

from pipeline.errors import StorageFullError, ToolError
from pipeline.running.commands import run, streaming
from tests.patience import LONG_SECONDS


def test_output_is_returned() -> None:
    assert run([sys.executable, "-c", "print('hello')"], timeout=LONG_SECONDS) == b"hello\n"


def test_failure_carries_the_last_line_of_stderr() -> None:
    code = "import sys; sys.exit('first\\nthe cause')"
    with pytest.raises(ToolError, match="the cause"):
        run([sys.executable, "-c", code], timeout=LONG_SECONDS)


def test_overrunning_the_limit_kills_the_program() -> None:
    with pytest.raises(ToolError, match="limit"):
        run([sys.executable, "-c", "import time; time.sleep(3600)"], timeout=0.5)


def test_full_disk_is_told_apart() -> None:
    code = "import sys; sys.exit('write: No space left on device')"
    with pytest.raises(StorageFullError):
        run([sys.executable, "-c", code], timeout=LONG_SECONDS)


def test_leaving_early_ends_the_program() -> None:
    code = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
    with streaming([sys.executable, "-c", code], timeout=LONG_SECONDS) as stdout:
        assert stdout.read(10) == b"x" * 10


def test_a_shell_is_never_involved() -> None:
    argument = "$(touch /tmp/x); `id` 'quote' \"double\" \n newline"
    code = "import sys; sys.stdout.write(sys.argv[1])"
    assert run([sys.executable, "-c", code, argument], timeout=LONG_SECONDS).decode() == argument
