"""How long tests wait for what has to happen: until it does.

No verdict depends on how fast a machine is. What must happen is waited for, by events where there
are any, and a ceiling no machine comes near ends a test in which it never does.
"""

import time
from collections.abc import Callable
from typing import Any

#: Seconds after which what has not happened never will.
LONG_SECONDS = 600.0


def until(is_so: Callable[[], Any], what: object = "it") -> Any:
    """Wait for a true answer.

    Args:
        is_so: asked again and again.
        what: is waited for; a function is called for more to say when it never came.
    """
    deadline = time.monotonic() + LONG_SECONDS
    while not (answer := is_so()):
        assert time.monotonic() < deadline, f"{what() if callable(what) else what} never happened"
        time.sleep(0.05)
    return answer
