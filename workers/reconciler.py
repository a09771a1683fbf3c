"""The reconciler's process: any number may run, one leads and looks, over and over."""

import signal
import threading
from types import FrameType

from infra.bells import Ringer
from infra.db.leading import Leadership
from infra.db.reconcile import reconcile
from infra.db.session import Database
from infra.errors import InfraError
from infra.logs import get_logger
from infra.settings import Settings

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
        pool_size=2,
    )
    leadership = Leadership(settings.database_url)
    speaks = True
    while not stop.is_set():
        try:
            if leadership.leads():
                _reconcile_once(database, ringer, settings)
        except InfraError as error:
            if speaks:
                _logger.warning("reconciler.failed", error=str(error))
            speaks = False
        except Exception:
            _logger.exception("reconciler.failed")
        else:
            speaks = True
        stop.wait(settings.reconcile_seconds)
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
