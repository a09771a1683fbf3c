"""Free ports on this machine, for servers that only this machine talks to."""

import random
import socket
from collections.abc import Collection, Iterable

from infra.errors import ServiceUnavailableError

LOOPBACK = "127.0.0.1"

#: Below where systems take ports for outgoing connections (Linux: from 32768), so that a port
#: noted for the next start is still free then.
_FIRST, _LAST = 20_000, 32_000
_TRIES = 200

#: SystemRandom, so that two processes forked from one do not try the same.
_random = random.SystemRandom()


def free_port(besides: Collection[int] = ()) -> int:
    """A port nothing listens on at 127.0.0.1.

    Args:
        besides: given away already, though nobody listens there yet.

    Raises:
        ServiceUnavailableError: after many tries there was none.
    """
    for _ in range(_TRIES):
        port = _random.randrange(_FIRST, _LAST)
        if port not in besides and is_free(port):
            return port
    raise ServiceUnavailableError(f"no free port from {_FIRST} to {_LAST}")


def free_ports(names: Iterable[str]) -> dict[str, int]:
    """A port for each name, all different."""
    ports: dict[str, int] = {}
    for name in names:
        ports[name] = free_port(besides=ports.values())
    return ports


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
        # As servers do: connections of a former server in TIME_WAIT are no hindrance.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((host, port))
        except OSError:
            return False
    return True
