"""Render: one range of the output, encoded."""

from infra.db.orders import StepResult
from infra.logs import get_logger
from pipeline.options import NetworkChoice
from pipeline.steps.facts import NetworkFacts, RenderStep, from_json, render_key, to_json
from workers.choices import choose_network, describe_weights
from workers.stages.facts import again, prepared_of, tracked_of
from workers.step import StepAtWork

_logger = get_logger(__name__)


def render(step: StepAtWork) -> StepResult:
    """Render a range, unless the same one exists already."""
    claim, farm = step.lease.claim, step.farm
    prepared, tracked = prepared_of(claim), tracked_of(claim)
    todo = from_json(RenderStep, claim.params)
    choice = choose_network(prepared.network.name, farm.settings.checkpoint, farm.device)
    network = _network(step, choice)
    facts = {"network": to_json(network)}
    key = render_key(todo, network.digest)
    found = step.find([key])
    if found:
        return StepResult(artifact=again(found[key]), reused=True, facts=facts)
    step.fetch(todo.reads)
    given = {
        "prepared": prepared,
        "tracked": tracked,
        "step": todo,
        "network": choice,
        "store": step.store,
        "with_preview": farm.settings.previews,
    }
    rendered = step.compute("render", given)
    return StepResult(artifact=step.upload(rendered.artifact_key), facts=facts)


def _network(step: StepAtWork, choice: NetworkChoice) -> NetworkFacts:
    """The network as this machine has it; asked for once, so that a second lane need not wait."""
    network: NetworkFacts | None = step.seat.known(choice)
    if network is None:
        network = step.compute("load_network", {"network": choice}, counts=False)
        step.seat.remember(choice, network)
        weights = None if choice.checkpoint is None else describe_weights(choice.checkpoint)
        _logger.info("network.loaded", network=choice.name, weights=weights)
    return network
