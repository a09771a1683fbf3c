"""A farm of folders: machines that share nothing but a bucket, and a dub run on them."""

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pipeline.artifacts import MissingArtifactsError, Read, Store, sha256_of
from pipeline.dub import Order, dub_film
from pipeline.options import DetectorChoice, DubOptions, NetworkChoice
from pipeline.report import Report
from pipeline.running.progress import Silent
from pipeline.steps.detecting import detect
from pipeline.steps.facts import (
    DetectStep,
    Prepared,
    Rendered,
    RenderStep,
    Tracked,
    from_json,
    render_key,
    to_json,
)
from pipeline.steps.preparing import Inputs, input_keys, prepare
from pipeline.steps.rendering import load_network, render
from pipeline.steps.stitching import stitch
from pipeline.steps.tracking import track

DRAFT, DETECTOR = NetworkChoice("draft"), DetectorChoice()

#: Stages are told how far they are; these tests do not look.
SILENT = Silent().advance

Facts = TypeVar("Facts")


def through_json(facts: Facts) -> Facts:
    """As it comes out of a database."""
    return from_json(type(facts), json.loads(json.dumps(to_json(facts))))


@dataclass
class Farm:
    """Machines that share nothing but a bucket; what each step had to ask for is counted."""

    root: Path
    machines: list[Store] = field(default_factory=list)
    asked: int = 0

    @property
    def bucket(self) -> Path:
        return self.root / "bucket"

    def machine(self, reads: Iterable[Read] = ()) -> Store:
        """A new machine with exactly these files."""
        store = Store(self.root / f"machine-{len(self.machines)}")
        self.machines.append(store)
        self.fetch(store, reads)
        return store

    def fetch(self, store: Store, reads: Iterable[Read]) -> None:
        for read in reads:
            store.path(read.key).mkdir(exist_ok=True)
            for name in read.names:
                shutil.copy(self.bucket / read.key / name, store.path(read.key) / name)

    def upload(self, store: Store, key: str) -> None:
        assert not (self.bucket / key).exists(), f"{key} was made twice"
        shutil.copytree(store.path(key), self.bucket / key)

    def holds(self, key: str) -> bool:
        return (self.bucket / key).exists()

    def made(self, stage: str) -> set[str]:
        return {path.name for path in self.bucket.glob(f"{stage}-*")}

    def asking(self, store: Store, call: Any) -> Any:
        """Call; bring what is missing; call again, as a worker does."""
        for _ in range(4):
            try:
                return call()
            except MissingArtifactsError as error:
                self.asked += 1
                self.fetch(store, error.reads)
        raise AssertionError("it never has enough")


@dataclass
class Dub:
    prepared: Prepared
    detect_steps: tuple[DetectStep, ...]
    tracked: Tracked
    render_steps: tuple[RenderStep, ...]
    output: Path
    report: Report


def run_on(
    farm: Farm,
    inputs: Inputs,
    *,
    unseen: Sequence[int] = (),
    unrendered: Sequence[int] = (),
    source_is_here: bool = True,
) -> Dub:
    """A whole dub, a machine for every step. Steps ``unseen`` and ``unrendered`` never finish."""
    elsewhere = farm.root / "elsewhere" / inputs.source.name
    prepared, detect_steps = prepare_on(
        farm, inputs if source_is_here else replace(inputs, source=elsewhere)
    )
    for step in detect_steps:
        if step.segment_index not in unseen and not farm.holds(step.artifact_key):
            store = farm.machine(step.reads)
            key = detect(prepared, step.segment_index, DETECTOR, store, SILENT)
            assert key == step.artifact_key
            farm.upload(store, key)
    store = farm.machine()
    tracked, render_steps = farm.asking(
        store, lambda: track(prepared, DETECTOR, store, SILENT, unseen)
    )
    tracked, render_steps = through_json(tracked), tuple(map(through_json, render_steps))
    if not farm.holds(tracked.tracks_key):
        farm.upload(store, tracked.tracks_key)
    network = load_network(inputs.network)
    keys = {}
    for render_step in render_steps:
        if render_step.segment_index in unrendered:
            continue
        key = keys[render_step.segment_index] = render_key(render_step, network.digest)
        if not farm.holds(key):
            store = farm.machine(render_step.reads)
            rendered = render(prepared, tracked, render_step, inputs.network, store, SILENT)
            assert rendered == Rendered(key, network)
            farm.upload(store, key)
    store = farm.machine()
    output = store.root / prepared.output_name
    report = farm.asking(
        store,
        lambda: stitch(
            prepared,
            tracked,
            keys,
            inputs.source,
            inputs.dialogue,
            output,
            store,
            SILENT,
            network,
            inputs.more_dialogues,
        ),
    )
    return Dub(prepared, detect_steps, tracked, render_steps, output, report)


def prepare_on(farm: Farm, inputs: Inputs) -> tuple[Prepared, tuple[DetectStep, ...]]:
    assert inputs.source_sha256 is not None
    assert inputs.dialogue_sha256 is not None
    reads = input_keys(
        inputs.options, inputs.source_sha256, inputs.dialogue_sha256, inputs.more_sha256
    )
    held = [read for read in reads if farm.holds(read.key)]
    store = farm.machine(held)
    prepared, steps = prepare(inputs, store, SILENT, [read.key for read in held])
    assert (prepared.source_key, prepared.sound_key) == tuple(read.key for read in reads)
    for read in reads:
        if read not in held:
            farm.upload(store, read.key)
    return through_json(prepared), tuple(map(through_json, steps))


def order(film: Path, sound: Path, output: str, **options: Any) -> Inputs:
    return Inputs(
        film, sound, output, DubOptions(**options), DRAFT, DETECTOR,
        source_sha256=sha256_of(film), dialogue_sha256=sha256_of(sound),
    )  # fmt: skip


def dub_here(inputs: Inputs, output: Path) -> Report:
    return dub_film(
        Order(
            inputs.source,
            inputs.dialogue,
            output,
            inputs.options,
            inputs.network,
            inputs.detector,
            more_dialogues=inputs.more_dialogues,
        ),
        Silent(),
    )
