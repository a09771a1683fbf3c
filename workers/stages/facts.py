"""What earlier stages told a job, read back."""

from typing import Any

from infra.db.orders import ArtifactRef, Claim, NewArtifact
from pipeline.steps.facts import Prepared, Tracked, from_json


def prepared_of(claim: Claim) -> Prepared:
    """What prepare told."""
    return from_json(Prepared, _facts(claim, "prepare")["prepared"])


def tracked_of(claim: Claim) -> Tracked:
    """What track told."""
    return from_json(Tracked, _facts(claim, "track")["tracked"])


def again(artifact: ArtifactRef) -> NewArtifact:
    """An artifact that exists, as a step completes with it."""
    return NewArtifact(artifact.key, artifact.prefix, artifact.files)


def _facts(claim: Claim, stage: str) -> dict[str, Any]:
    facts: dict[str, Any] = claim.job_facts[stage]
    return facts
