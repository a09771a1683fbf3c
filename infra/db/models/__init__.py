"""The tables. The migrations make the same ones; a test compares."""

from infra.db.models.base import Base
from infra.db.models.batches import Batch, BatchRow
from infra.db.models.fleet import Bench, Figure, QueueSample, Turn, Worker
from infra.db.models.jobs import Event, Job, JobBoxes, JobDialogue
from infra.db.models.people import AuditEntry, SavedView, SignIn
from infra.db.models.projects import ApiKey, Asset, AssetUpload, Project
from infra.db.models.repeats import KeptAnswer
from infra.db.models.steps import Artifact, Attempt, Step
from infra.db.models.webhooks import (
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookSecret,
)

__all__ = [
    "ApiKey",
    "Artifact",
    "Asset",
    "AssetUpload",
    "Attempt",
    "AuditEntry",
    "Base",
    "Batch",
    "BatchRow",
    "Bench",
    "Event",
    "Figure",
    "Job",
    "JobBoxes",
    "JobDialogue",
    "KeptAnswer",
    "Project",
    "QueueSample",
    "SavedView",
    "SignIn",
    "Step",
    "Turn",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookSecret",
    "Worker",
]
