"""Turn into another program that cannot outlive its starter, as another user if need be.

Run as a script between the starter and the program (:func:`infra.services.programs.start` does),
because what it sets must be set in the child itself and Python must not run code between fork and
exec of a process with threads. It uses the standard library alone, so it costs some 40 ms.

::

    python -I -S leash.py STARTER_PID SIGNAL USER PROGRAM ARGUMENTS…

``SIGNAL`` is sent by the kernel (Linux) the moment the starter dies, however it dies. ``USER`` may
be empty. PostgreSQL refuses to run as root, so root runs it as somebody else, who keeps one right
of root's: to look into folders. Without it a data folder below /root could not be reached, short
of opening /root to everyone.
"""

import ctypes
import os
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2

_CAP_VERSION_3 = 0x20080522
#: Either lets a process pass through any folder; containers often leave root only the second.
_CAP_DAC_READ_SEARCH = 2
_CAP_DAC_OVERRIDE = 1

#: As a shell reports a program it cannot start.
_EXIT_CANNOT_START = 126


def main(arguments: list[str]) -> None:
    """Become the program; never returns."""
    starter, death_signal, user, *argv = arguments
    if user:
        _become(user)
    # After the change of user, which would clear it.
    die_with(int(starter), int(death_signal))
    try:
        os.execvp(argv[0], argv)  # noqa: S606 -- an argv list, no shell
    except OSError as error:
        sys.stderr.write(f"cannot start {argv[0]}: {error.strerror}\n")
        sys.exit(_EXIT_CANNOT_START)


def die_with(starter: int, death_signal: int) -> None:
    """Be sent ``death_signal`` when the thread of process ``starter`` that forked us ends.

    Elsewhere than on Linux the next ``lipfarm up`` ends what was left.
    """
    if sys.platform != "linux":
        return
    _prctl(_PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != starter:  # it died before we asked
        os.kill(os.getpid(), death_signal)


def _become(user: str) -> None:
    import pwd  # noqa: PLC0415 -- root alone comes here

    entry = pwd.getpwnam(user)
    right = _right_to_pass_folders()
    if right is not None:
        _prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    if right is not None:
        _keep_only(right)


def _right_to_pass_folders() -> int | None:
    """Which of the two capabilities this root has; a container's may have neither."""
    if sys.platform != "linux":
        return None
    status = Path("/proc/self/status").read_text()
    permitted = int(status.split("CapPrm:")[1].split()[0], 16)
    for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        if permitted >> capability & 1:
            return capability
    return None


def _keep_only(capability: int) -> None:
    """Hold one capability, also through exec (``ambient``)."""
    header = (ctypes.c_uint32 * 2)(_CAP_VERSION_3, 0)
    bit = 1 << capability
    # (effective, permitted, inheritable) of capabilities 0–31, then of 32–63.
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    _checked(_libc().capset(header, sets))
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def _prctl(option: int, *arguments: int) -> None:
    padded = (*arguments, 0, 0, 0, 0)[:4]
    _checked(_libc().prctl(option, *map(ctypes.c_ulong, padded)))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(status: int) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(sys.argv[1:])
