"""Named places where a test may stop or kill the process, to see that nothing is lost.

A point does nothing unless ``LIPFARM_CRASH_DIR`` names a folder and the test has put a file
``NAME.armed-N`` there, with an action in it. The N-th next process to pass fires it, once in the
whole farm: the file becomes ``NAME.reached``, with the process's pid in it, and the process

- ``kill``: is killed, with SIGKILL,
- ``stop``: is stopped, with SIGSTOP, until the test sends SIGCONT,
- ``wait``: waits until the test, having broken something meanwhile, makes ``NAME.continue``.
"""

import os
import signal
import time
from pathlib import Path

_WAIT_SECONDS = 0.02

#: Every point in the code, by the part of the farm it lies in; a test checks the list.
CRASH_POINTS = (
    "api.after_job_commit_before_bell",
    "claim.after_commit_before_work",
    "prepare.after_cut_before_upload",
    "step.mid_frames",
    "step.before_upload",
    "step.mid_upload",
    "step.after_upload_before_commit",
    "step.after_commit_before_bell",
    "stitch.after_mux_before_upload",
    "reconciler.mid_pass",
    "collector.after_list_before_delete",
)


def crash_point(name: str) -> None:
    """Do what the test wants of whoever comes here; without a test, nothing.

    Args:
        name: one of :data:`CRASH_POINTS`.
    """
    folder = os.environ.get("LIPFARM_CRASH_DIR")
    if folder is None:
        return
    for armed in Path(folder).glob(f"{name}.armed-*"):
        action = _take(armed, Path(folder) / name)
        if action is not None:
            _act(action, Path(folder) / f"{name}.continue")


def _take(armed: Path, point: Path) -> str | None:
    """The action, if it is this process's turn; a rename succeeds for one process alone."""
    passes = int(armed.name.rpartition("-")[2])
    mine = armed.with_name(f"{point.name}.taken-{os.getpid()}")
    next_in_line = armed.with_name(f"{point.name}.armed-{passes - 1}")
    try:
        armed.rename(mine if passes <= 1 else next_in_line)
    except FileNotFoundError:
        return None
    if passes > 1:
        return None
    action = mine.read_text()
    # Whoever watches for the point must never see it reached without the pid in it.
    mine.write_text(str(os.getpid()))
    mine.rename(armed.with_name(f"{point.name}.reached"))
    return action


def _act(action: str, go_on: Path) -> None:
    if action == "wait":
        while not go_on.exists():
            time.sleep(_WAIT_SECONDS)
    else:
        os.kill(os.getpid(), signal.SIGSTOP if action == "stop" else signal.SIGKILL)
