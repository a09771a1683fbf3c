"""Track: who is dubbed where, and a render step for each range of the output."""

from infra.db.jobs import list_steps
from infra.db.orders import NewStep, StepResult
from pipeline.steps.facts import RenderStep, render_key, to_json
from workers.choices import choose_detector
from workers.stages.facts import again, prepared_of
from workers.step import StepAtWork


def track(step: StepAtWork) -> StepResult:
    """Decide for the whole film; a matter of seconds."""
    claim = step.lease.claim
    prepared = prepared_of(claim)
    with step.farm.database.transaction() as session:
        kept = [
            each.segment_index
            for each in list_steps(session, claim.job_id)
            if each.stage == "detect" and each.kept_original
        ]
    given = {
        "prepared": prepared,
        "detector": choose_detector(prepared.detector),
        "store": step.store,
        "kept_original": kept,
    }
    tracked, steps = step.compute("track", given)
    found = step.find([tracked.tracks_key]).get(tracked.tracks_key)
    return StepResult(
        artifact=again(found) if found else step.upload(tracked.tracks_key),
        reused=found is not None,
        facts={"tracked": to_json(tracked)},
        next_steps=tuple(map(_next_step, steps)),
    )


def _next_step(step: RenderStep) -> NewStep:
    # Where somebody is dubbed the key depends on the network as loaded, which render knows.
    key = render_key(step, None) if step.dubbed is None else None
    return NewStep(step.segment_index, step.frames, to_json(step), key)
