"""Closes batches all of whose jobs have ended, in a thread: a result of a million rows takes longer
than a pass of the reconciler may.
"""

import threading

from infra.batch_results import close_ended_batches
from infra.db.session import Database
from infra.errors import InfraError
from infra.logs import get_logger
from infra.settings import Settings
from infra.storage.objects import ObjectStore

_logger = get_logger(__name__)


class BatchCloser:
    """One look at a time, for the reconciler that leads."""

    def __init__(self, database: Database, settings: Settings) -> None:
        """Close batches of a farm."""
        self._database = database
        self._store = ObjectStore(settings)
        self._thread: threading.Thread | None = None

    def start_if_free(self) -> None:
        """Look, unless the last look is still at work."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._close, name="batch-closer", daemon=True)
            self._thread.start()

    def _close(self) -> None:
        try:
            closed = close_ended_batches(self._database, self._store)
        except InfraError as error:  # the next pass will do
            _logger.warning("batches.not_closed", error=str(error))
        except Exception:
            _logger.exception("batches.not_closed")
        else:
            if closed:
                _logger.info("batches.closed", batches=closed)
