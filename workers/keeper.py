"""The lease keeper: one thread that renews all leases of the process, and hears what is wanted."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from infra.db.leases import heartbeat
from infra.db.session import Database
from infra.errors import FencedError
from infra.logs import get_logger
from infra.outages import Outages
from infra.settings import Settings
from workers.lease import Lease

_logger = get_logger(__name__)


class LeaseKeeper:
    """Renews every lease each ``heartbeat_seconds``, and at once when rung for.

    Args:
        database: one connection, for this alone: renewing must not wait behind anything.
        settings: for how long, how often.
        beat: called with each round, for the process's own sign of life; may raise InfraError.
    """

    def __init__(self, database: Database, settings: Settings, beat: Callable[[], object]) -> None:
        self._database = database
        self._settings = settings
        self._beat = beat
        self._leases: dict[int, Lease] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._outages = Outages(_logger, "leases")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; leases are no longer renewed."""
        self._stopped = True
        self._wake.set()
        self._thread.join()

    def hurry(self) -> None:
        """Ask at once what became of the steps."""
        self._wake.set()

    @contextlib.contextmanager
    def keeping(self, lease: Lease) -> Iterator[None]:
        """Renew this lease while the block runs."""
        with self._lock:
            self._leases[id(lease)] = lease
        try:
            yield
        finally:
            with self._lock:
                del self._leases[id(lease)]

    def leases(self) -> list[Lease]:
        """All there are at the moment."""
        with self._lock:
            return list(self._leases.values())

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopped:
            self._wake.wait(max(0.0, due - time.monotonic()))
            self._wake.clear()
            due = time.monotonic() + self._settings.heartbeat_seconds
            self._round()

    def _round(self) -> None:
        for lease in self.leases():
            with self._outages.outlived():
                self._renew(lease)
            # A margin, for the runner to be dead before somebody else may begin.
            if lease.silence() > self._settings.lease_seconds - self._settings.heartbeat_seconds:
                lease.interrupt("silent")
        with self._outages.outlived():
            self._beat()

    def _renew(self, lease: Lease) -> None:
        claim, asked_at = lease.claim, time.monotonic()
        try:
            with self._database.transaction() as session:
                seconds = self._settings.lease_seconds
                heartbeat(session, claim.step_id, claim.attempt, lease.frames_done, seconds)
        except FencedError:
            # Also when it was just completed or given back: then nobody listens any more.
            lease.interrupt("fenced")
        else:
            lease.renewed_at = asked_at
