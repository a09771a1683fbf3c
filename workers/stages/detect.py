"""Detect: one segment looked through for faces."""

from infra.db.orders import StepResult
from pipeline.steps.facts import DetectStep, from_json
from workers.choices import choose_detector
from workers.stages.facts import again, prepared_of
from workers.step import StepAtWork


def detect(step: StepAtWork) -> StepResult:
    """Look through a segment, unless somebody did meanwhile."""
    claim = step.lease.claim
    prepared, todo = prepared_of(claim), from_json(DetectStep, claim.params)
    found = step.find([todo.artifact_key])
    if found:
        return StepResult(artifact=again(found[todo.artifact_key]), reused=True)
    step.fetch(todo.reads)
    given = {
        "prepared": prepared,
        "index": todo.segment_index,
        "detector": choose_detector(prepared.detector),
        "store": step.store,
    }
    return StepResult(artifact=step.upload(step.compute("detect", given)))
