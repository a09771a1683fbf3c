"""Named places where a test may stop or kill the process, to see that nothing is lost.

A point does nothing unless ``LIPFARM_CRASH_POINT`` names it. Armed, it fires once in the whole farm
(for whoever creates the file ``NAME.reached`` in ``LIPFARM_CRASH_DIR``; its pid is in it) and then

- ``kill``: kills this process with SIGKILL,
- ``wait``: waits until the test creates ``NAME.continue``, having broken something meanwhile,
- ``stop``: stops this process with SIGSTOP; the test sends SIGCONT.
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
    """Do what the settings say, the first time anyone in the farm comes here; else nothing.

    Args:
        name: one of :data:`CRASH_POINTS`.
    """
    if os.environ.get("LIPFARM_CRASH_POINT") != name:
        return
    folder = Path(os.environ["LIPFARM_CRASH_DIR"])
    if _is_first(folder / f"{name}.reached"):
        _act(os.environ.get("LIPFARM_CRASH_ACTION", "kill"), folder / f"{name}.continue")


def _is_first(mark: Path) -> bool:
    try:
        with mark.open("x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        return False
    return True


def _act(action: str, go_on: Path) -> None:
    if action == "wait":
        while not go_on.exists():
            time.sleep(_WAIT_SECONDS)
    else:
        os.kill(os.getpid(), signal.SIGSTOP if action == "stop" else signal.SIGKILL)
