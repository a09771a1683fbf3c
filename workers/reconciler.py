"""The reconciler's process: any number may run, one leads and looks, over and over."""

import signal
import threading
import time
from datetime import timedelta
from types import FrameType

from infra.bells import Ringer
from infra.db.history import forget_history, heal_history
from infra.db.leading import Leadership
from infra.db.reconcile import reconcile
from infra.db.samples import take_sample
from infra.db.session import Database
from infra.logs import get_logger
from infra.metrics_port import MetricsPort
from infra.outages import Outages
from infra.settings import Settings
from infra.storage.collector import Ages, collect_garbage
from infra.storage.objects import ObjectStore
from workers.closing import BatchCloser
from workers.metrics import LEADS, PASSES, REGISTRY

_logger = get_logger(__name__)


def run_reconciler(settings: Settings) -> None:
    """Reconcile until SIGTERM or SIGINT."""
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    reconcile_until(stop, settings)


def reconcile_until(stop: threading.Event, settings: Settings) -> None:
    """A pass every ``reconcile_seconds``, as long as this process leads."""
    ringer = Ringer(settings.redis_url)
    database = Database(
        settings.database_url,
        ring=ringer.ring,
        ring_for_changes=ringer.ring_for_changes,
        pool_size=3,
    )
    leadership = Leadership(settings.database_url)
    metrics = MetricsPort(settings, REGISTRY)
    collecting = _Collecting(database, settings)
    closer = BatchCloser(database, settings)
    sampling = _Sampling(database, settings.sample_seconds)
    outages, is_healed = Outages(_logger, "reconciler"), False
    while not stop.is_set():
        with outages.outlived():
            leads = leadership.leads()
            LEADS.set(leads)
            if leads and not is_healed:
                heal_history(database)
                is_healed = True
            if leads:
                _reconcile_once(database, ringer, settings)
                collecting.start_if_due()
                closer.start_if_free()
                sampling.take_if_due()
                PASSES.inc()
        stop.wait(settings.reconcile_seconds)
    metrics.close()
    leadership.resign()
    database.close()
    ringer.close()


def _reconcile_once(database: Database, ringer: Ringer, settings: Settings) -> None:
    mended = reconcile(
        database,
        ringer.ring,
        lease_seconds=settings.lease_seconds,
        silence_seconds=settings.worker_silence_seconds,
    )
    if mended:
        _logger.info("reconciler.mended", mended=str(mended))


class _Sampling:
    """Takes a sample of the queues every so often."""

    def __init__(self, database: Database, seconds: float) -> None:
        self._database, self._seconds = database, seconds
        self._due = time.monotonic()

    def take_if_due(self) -> None:
        """Raises ServiceUnavailableError when the database does not answer."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._seconds
        with self._database.transaction() as session:
            take_sample(session)


class _Collecting:
    """Collects garbage now and then, in a thread: a large bucket takes longer than a pass may."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._thread: threading.Thread | None = None
        self._due = time.monotonic() + self._seconds

    @property
    def _seconds(self) -> float:
        return self._settings.collect_hours * 3600

    def start_if_due(self) -> None:
        if time.monotonic() < self._due or (self._thread is not None and self._thread.is_alive()):
            return
        self._due = time.monotonic() + self._seconds
        self._thread = threading.Thread(target=self._collect, name="collector", daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        try:
            store = ObjectStore(self._settings)
            forgotten = forget_history(self._database, self._settings.event_days * 86_400)
            deleted = collect_garbage(self._database, store, ages_of(self._settings))
        except Exception:  # the next time will do
            _logger.exception("collector.failed")
        else:
            size = sum(each.size for each in deleted)
            _logger.info("collector.collected", objects=len(deleted), bytes=size, rows=forgotten)


def ages_of(settings: Settings) -> Ages:
    """How old garbage has to be, by the settings."""
    return Ages(
        orphans=timedelta(hours=settings.orphan_hours),
        unused_artifacts=timedelta(days=settings.artifact_retention_days),
        client_uploads=timedelta(days=settings.upload_days),
    )
