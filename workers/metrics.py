"""What a worker or a reconciler tells of itself on its metrics port.

How steps end is not here: the API tells that of the whole farm, from the database, also of workers
that were gone before anyone asked them.
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

REGISTRY: Final = CollectorRegistry()

BUSY_SECONDS: Final = Counter(
    "lipfarm_worker_busy_seconds",
    "Of its lanes' time: fetching, waiting for the runner, computing, storing.",
    ("stage",),
    registry=REGISTRY,
)
LEADS: Final = Gauge(
    "lipfarm_reconciler_leads",
    "Whether this reconciler is the one that looks.",
    registry=REGISTRY,
)
PASSES: Final = Counter(
    "lipfarm_reconciler_passes", "Looks at the whole farm that were finished.", registry=REGISTRY
)
