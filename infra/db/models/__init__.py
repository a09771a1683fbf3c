"""The tables. The migrations make the same ones; a test compares."""

from infra.db.models.base import Base
from infra.db.models.fleet import Bench, Turn, Worker
from infra.db.models.jobs import Batch, Event, Job, WebhookDelivery
from infra.db.models.projects import ApiKey, Asset, Project
from infra.db.models.steps import Artifact, Attempt, Step

__all__ = [
    "ApiKey",
    "Artifact",
    "Asset",
    "Attempt",
    "Base",
    "Batch",
    "Bench",
    "Event",
    "Job",
    "Project",
    "Step",
    "Turn",
    "WebhookDelivery",
    "Worker",
]
