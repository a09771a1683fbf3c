"""The folder of a farm on one machine: who works on it, its ports, its secrets.

::

    DATA/
      lock             held while `lipfarm up` runs; in it, whose pid
      farm.json        ports and passwords, for the owner's eyes; made once, kept
      ready.json       address, key and pids while it runs
      processes.json   pids of the children, in case `up` is killed
      postgres/ valkey/ seaweedfs/ scratch/
"""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.errors import InfraError, SettingsError
from infra.services.notes import write_atomically
from infra.services.ports import free_port, is_free

#: While the farm runs: its address, first key and pids.
READY_FILE = "ready.json"


class FolderBusyError(InfraError):
    """Another `lipfarm up` works on the folder."""

    code = "folder_busy"
    exit_status = 9


class FarmFolder:
    """What is kept of a farm between two starts."""

    def __init__(self, path: Path) -> None:
        """Open the folder; it need not exist yet."""
        self.path = path.absolute()
        self._notes_file = self.path / "farm.json"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else works on the folder while the block runs.

        Raises:
            FolderBusyError: somebody does; says who.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.path / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                who = lock.read().strip() or "unknown"
                raise FolderBusyError(
                    f"another `lipfarm up` (pid {who}) runs the farm in {self.path}; "
                    "stop that one, or give this one a folder of its own",
                    field="data",
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def port(self, name: str) -> int:
        """The port noted under that name; a new one if there is none or it is taken."""
        ports = self._notes("ports")
        noted = ports.get(name)
        if noted is not None and is_free(noted):
            return int(noted)
        return int(self._note("ports", name, free_port(besides=ports.values())))

    def secret(self, name: str) -> str:
        """The secret of that name, made at the first call."""
        noted = self._notes("secrets").get(name)
        return str(noted or self._note("secrets", name, secrets.token_urlsafe(24)))

    def keep(self, name: str, value: str) -> None:
        """Note a secret made elsewhere."""
        self._note("secrets", name, value)

    def kept(self, name: str) -> str | None:
        """A secret noted with :meth:`keep`."""
        return self._notes("secrets").get(name)

    def keep_environment(self, environment: dict[str, str]) -> None:
        """Note how the processes of the farm were told to reach their services."""
        self._write(self._read() | {"environment": environment})

    def environment(self) -> dict[str, str]:
        """How its processes reach their services, as of its last start: ``LIPFARM_…`` settings.

        Raises:
            SettingsError: no farm was ever started there.
        """
        environment = self._notes("environment")
        if not environment:
            raise SettingsError(
                f"no farm was started in {self.path}; start one there with `lipfarm up`",
                field="data",
            )
        return environment

    def _notes(self, kind: str) -> dict[str, Any]:
        return dict(self._read().get(kind, {}))

    def _note(self, kind: str, name: str, value: Any) -> Any:
        self._write(self._read() | {kind: self._notes(kind) | {name: value}})
        return value

    def _read(self) -> dict[str, Any]:
        try:
            notes: dict[str, Any] = json.loads(self._notes_file.read_text())
        except FileNotFoundError:
            return {}
        return notes

    def _write(self, notes: dict[str, Any]) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(self._notes_file, json.dumps(notes, indent=1))
