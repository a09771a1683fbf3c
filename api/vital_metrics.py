"""The whole farm's numbers as metrics: from what the database told, nothing else.

Counts come from the farm's tables: they outlive processes and are in no danger of being counted
twice.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from infra.db.figures import STEP_SECONDS, seconds_a_unit
from infra.db.states import STAGES
from infra.db.vitals import Vitals

#: How an attempt may end and of which class its failure then is; all are told from the beginning,
#: for a count that appears with its first one has no rate.
_ENDS: Final = (
    ("completed", ""),
    ("canceled", ""),
    ("released", ""),
    *(("failed", kind) for kind in ("infrastructure", "resource", "content", "death")),
    ("lost", "death"),
)


def metrics_of(vitals: Vitals, stale_seconds: float) -> Iterator[Metric]:
    """All of them.

    Args:
        vitals: of the farm.
        stale_seconds: a sample that is older says nothing of now.
    """
    yield from _queues(vitals, stale_seconds)
    yield from _machines(vitals)
    yield from _jobs(vitals)
    yield from _work(vitals)
    yield from _deliveries(vitals)


def _queues(vitals: Vitals, stale_seconds: float) -> Iterator[Metric]:
    if not vitals.samples:
        return
    age = vitals.now - vitals.samples[0].at.timestamp()
    yield GaugeMetricFamily(
        "lipfarm_sample_age_seconds", "Since the queues were last sampled.", value=age
    )
    # Better no number than one of an hour ago, by which somebody would start machines.
    if age > stale_seconds:
        return
    steps = GaugeMetricFamily(
        "lipfarm_queue_steps", "Steps of a queue, by what they do.", labels=("queue", "state")
    )
    for sample in vitals.samples:
        steps.add_metric((sample.queue, "ready"), sample.ready)
        steps.add_metric((sample.queue, "waiting"), sample.waiting)
        steps.add_metric((sample.queue, "running"), sample.running)
    yield steps
    yield _gauge(
        "lipfarm_queued_worker_seconds",
        "Seconds of one worker's time that the ready steps of a queue will take; for gpu, of a "
        "GPU's.",
        "queue",
        {sample.queue: sample.queued_seconds for sample in vitals.samples},
    )
    yield _gauge(
        "lipfarm_queue_workers",
        "Workers online that claim from a queue.",
        "queue",
        {sample.queue: sample.workers for sample in vitals.samples},
    )
    oldest = vitals.figures.get("oldest_ready_at", {})
    yield _gauge(
        "lipfarm_queue_oldest_ready_seconds",
        "Since the oldest ready step of a queue was made; 0 where there is none.",
        "queue",
        {
            sample.queue: max(0.0, vitals.now - oldest.get(sample.queue, vitals.now))
            for sample in vitals.samples
        },
    )


def _machines(vitals: Vitals) -> Iterator[Metric]:
    states = dict.fromkeys(("online", "draining", "sick"), 0) | vitals.workers
    yield _gauge("lipfarm_workers", "Workers by state.", "state", states)
    queues = ("cpu", "gpu", "stitch")
    yield _gauge(
        "lipfarm_lease_age_seconds",
        "Since the oldest step under way was claimed; 0 where there is none.",
        "queue",
        {queue: max(0.0, vitals.leases.get(queue, (0.0, 0.0))[0]) for queue in queues},
    )
    yield _gauge(
        "lipfarm_lease_overdue_seconds",
        "Since a lease ran out that nobody took back yet.",
        "queue",
        {queue: max(0.0, vitals.leases.get(queue, (0.0, 0.0))[1]) for queue in queues},
    )


def _jobs(vitals: Vitals) -> Iterator[Metric]:
    figures = vitals.figures
    live = ("queued", "preparing", "detecting", "tracking", "rendering", "stitching")
    ends = ("completed", "failed", "rejected", "canceled")
    yield _gauge(
        "lipfarm_jobs",
        "Jobs that have not ended, by state.",
        "state",
        dict.fromkeys(live, 0.0) | figures.get("live_jobs", {}),
    )
    yield GaugeMetricFamily(
        "lipfarm_jobs_attention",
        "Jobs that need a person.",
        value=figures.get("attention", {}).get("", 0.0),
    )
    yield CounterMetricFamily(
        "lipfarm_jobs_created",
        "Jobs ordered since the farm began to count.",
        value=figures.get("jobs_created", {}).get("", 0.0),
    )
    yield _counter(
        "lipfarm_jobs_ended",
        "Jobs that ended, by state.",
        ("state",),
        dict.fromkeys(ends, 0.0) | figures.get("jobs_ended", {}),
    )


def _work(vitals: Vitals) -> Iterator[Metric]:
    figures = vitals.figures
    none = {f"{stage}/{outcome}/{kind}": 0.0 for stage in STAGES for outcome, kind in _ENDS}
    yield _counter(
        "lipfarm_attempts",
        "Attempts that ended, by how; of those that failed, by the class of failure.",
        ("stage", "outcome", "error_class"),
        none | figures.get("attempts", {}),
    )
    stages = dict.fromkeys(STAGES, 0.0)
    yield _counter(
        "lipfarm_frames",
        "Frames worked on; a step that counts none is one.",
        ("stage",),
        stages | figures.get("frames", {}),
    )
    yield _counter(
        "lipfarm_fenced_reports",
        "Reports refused because the step was another attempt's by then.",
        ("stage",),
        stages | figures.get("fenced_reports", {}),
    )
    yield _gauge(
        "lipfarm_seconds_per_frame",
        "Of one worker's time, by the last steps; of stages without frames, seconds a step.",
        "stage",
        {stage: round(cost, 6) for stage, cost in seconds_a_unit(figures).items()},
    )
    yield _durations(figures.get("step_seconds", {}), figures.get("step_seconds_sum", {}))


def _durations(counts: dict[str, float], sums: dict[str, float]) -> Metric:
    family = HistogramMetricFamily(
        "lipfarm_step_seconds",
        "From claim to completion, of steps that were worked on.",
        labels=("stage",),
    )
    for stage in STAGES:
        so_far, buckets = 0.0, []
        for limit in STEP_SECONDS:
            so_far += counts.get(f"{stage}/{limit:g}", 0.0)
            buckets.append(("+Inf" if math.isinf(limit) else f"{limit:g}", so_far))
        family.add_metric((stage,), buckets, sums.get(stage, 0.0))
    return family


def _deliveries(vitals: Vitals) -> Iterator[Metric]:
    yield _gauge(
        "lipfarm_webhook_deliveries",
        "Webhooks under way, and those given up of the last two days.",
        "state",
        vitals.deliveries,
    )
    yield GaugeMetricFamily(
        "lipfarm_webhook_overdue_seconds",
        "Since the first webhook under way was due.",
        value=max(0.0, vitals.delivery_overdue),
    )


def _gauge(name: str, what: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, what, labels=(label,))
    for each, value in values.items():
        family.add_metric((each,), value)
    return family


def _counter(name: str, what: str, labels: tuple[str, ...], values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, what, labels=labels)
    for label, value in values.items():
        family.add_metric(label.split("/"), value)
    return family
