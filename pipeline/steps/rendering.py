"""The render step: one range of the output, encoded."""

from functools import lru_cache
from pathlib import Path

from pipeline.artifacts import Read, Store
from pipeline.errors import CheckpointError
from pipeline.networks.build import build_network
from pipeline.options import NetworkChoice
from pipeline.output.preview import PreviewFiles
from pipeline.render import Renderer
from pipeline.running.processes import Advance
from pipeline.steps.facts import (
    PREVIEW_FILE,
    RANGE_FILES,
    SEEN_FILE,
    SEGMENT_FILE,
    STILL_FILE,
    NetworkFacts,
    Prepared,
    Rendered,
    RenderStep,
    Tracked,
    render_key,
)
from pipeline.steps.layout import load_layout
from pipeline.steps.preparing import describe_choice


def load_network(choice: NetworkChoice) -> NetworkFacts:
    """Load a network on its device, where it stays until another is asked for.

    Returns:
        What it is, with the digest that :func:`pipeline.steps.facts.render_key` asks for.

    Raises:
        CheckpointError, ParameterError, MemoryExhaustedError: see ``build_network``.
    """
    network, chosen = build_network(choice), describe_choice(choice)
    return NetworkFacts(
        network.name,
        chosen.checkpoint_sha256,
        network.digest,
        # As it was found where the choice is "auto"; what has no device of its own runs on the CPU.
        str(getattr(network, "device", "cpu")),
        network.precision_note,
        None if choice.checkpoint is None else choice.checkpoint.name,
    )


def is_rendered(
    step: RenderStep, network: NetworkFacts, store: Store, *, untouched: bool = False
) -> bool:
    """Whether a range's artifact is in the store."""
    key = render_key(step, network.digest, untouched=untouched)
    return store.holds(Read(key, RANGE_FILES))


def render(
    prepared: Prepared,
    tracked: Tracked,
    step: RenderStep,
    choice: NetworkChoice,
    store: Store,
    advance: Advance,
    *,
    untouched: bool = False,
    with_preview: bool = False,
) -> Rendered:
    """Render one range; nothing is done where its artifact is in the store.

    Network and sound stay loaded for the job's next step, the network for the next job's, too.

    Args:
        prepared, tracked, step: the job, and what of it is to be rendered.
        choice: the job's network as it is to be had on this machine.
        store: holds what the step reads.
        advance: told of finished frames.
        untouched: keep the original there.
        with_preview: make PREVIEW_FILE and STILL_FILE, too. The artifact's key is the same with and
            without them, so whoever reads them must do without.

    Returns:
        The key of the range's artifact, which holds RANGE_FILES, and the network.

    Raises:
        MissingArtifactsError: what the step reads is not in the store.
        CheckpointError: this machine does not have the job's network.
        MemoryExhaustedError: not even one frame at a time fits.
    """
    _check_network(prepared, choice)
    network = load_network(choice)
    key = render_key(step, network.digest, untouched=untouched)
    if store.holds(Read(key, RANGE_FILES)):
        advance(step.frames)
        return Rendered(key, network)
    store.require(*step.reads)
    renderer = _renderer(prepared, tracked.tracks_key, choice, store)
    with store.writing_folder(key) as folder:
        seen = renderer.write(
            step.start,
            step.end,
            folder / SEGMENT_FILE,
            advance,
            untouched=untouched,
            preview_to=preview_files(folder) if with_preview else None,
        )
        seen.save(folder / SEEN_FILE)
    return Rendered(key, network)


def preview_files(folder: Path) -> PreviewFiles:
    """Where the preview of a range lies in its artifact."""
    return PreviewFiles(folder / PREVIEW_FILE, folder / STILL_FILE)


def _check_network(prepared: Prepared, choice: NetworkChoice) -> None:
    here = describe_choice(choice)
    if here != prepared.network:
        wanted = prepared.network
        raise CheckpointError(
            f"the job is rendered with {wanted.name} {wanted.checkpoint_sha256 or ''}, "
            f"this machine has {here.name} {here.checkpoint_sha256 or ''}"
        )


@lru_cache(maxsize=1)
def _renderer(prepared: Prepared, tracks_key: str, choice: NetworkChoice, store: Store) -> Renderer:
    return Renderer(load_layout(prepared, tracks_key, store), build_network(choice))
