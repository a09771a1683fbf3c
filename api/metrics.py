"""What ``/metrics`` says: of the whole farm by the database, of this process by itself.

Every API process tells the same of the farm, so a panel takes ``max`` over processes and never a
sum.
"""

import math
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from threading import Lock
from typing import Final

from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from api.vital_metrics import metrics_of
from infra.db.session import Database
from infra.db.vitals import Vitals, read_vitals
from infra.errors import InfraError
from infra.logs import get_logger

#: However often it is scraped, the database is asked no more often.
CACHE_SECONDS: Final = 5.0

#: A sample older than so many of its intervals is stale.
_STALE_INTERVALS: Final = 4
_LEAST_STALE_SECONDS: Final = 60.0

_VERSION: Final = version("lipfarm")

_log = get_logger(__name__)


class FarmCollector(Collector):
    """The whole farm's numbers.

    Args:
        database: where they are.
        sample_seconds: how often the queues are sampled.
    """

    def __init__(self, database: Database, sample_seconds: float) -> None:
        self._database = database
        self._stale_seconds = max(_STALE_INTERVALS * sample_seconds, _LEAST_STALE_SECONDS)
        self._lock = Lock()
        self._vitals: Vitals | None = None
        self._read_at = -math.inf

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not ask the database."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The numbers as they are; where the database does not answer, that it does not."""
        yield InfoMetricFamily("lipfarm_build", "What answers.", value={"version": _VERSION})
        vitals = self._look()
        yield GaugeMetricFamily(
            "lipfarm_database_up", "Whether the database answered.", value=vitals is not None
        )
        if vitals is not None:
            yield from metrics_of(vitals, self._stale_seconds)

    def _look(self) -> Vitals | None:
        with self._lock:
            if time.monotonic() - self._read_at < CACHE_SECONDS:
                return self._vitals
            try:
                with self._database.transaction() as session:
                    self._vitals = read_vitals(session)
            except InfraError as error:
                _log.warning("metrics.unread", error=str(error))
                self._vitals = None
            self._read_at = time.monotonic()
            return self._vitals
