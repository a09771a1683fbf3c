"""Prepare: the inputs' artifacts, and a detect step for each segment."""

from dataclasses import replace
from pathlib import Path

from infra.crash_points import crash_point
from infra.db.orders import AssetRef, Claim, NewStep, StepResult
from infra.storage.names import safe_name
from pipeline.artifacts import Read
from pipeline.options import DubOptions
from pipeline.steps.facts import DetectStep, Prepared, from_json, to_json
from workers.choices import choose_detector, choose_network
from workers.face_boxes import bring_boxes
from workers.inputs import bring_input
from workers.stages.facts import again
from workers.step import StepAtWork

#: Containers an output can have; a source of another kind becomes the first.
_CONTAINERS = (".mp4", ".mov", ".mkv")


def prepare(step: StepAtWork) -> StepResult:
    """Cut the source, hear the dialogue; what of both exists already is not made again."""
    claim, farm = step.lease.claim, step.farm
    source, dialogue = bring_input(step, claim.source), bring_input(step, claim.dialogue)
    more = [bring_input(step, each) for each in claim.more_dialogues]
    options = _options(claim)
    digests = {
        "source_sha256": source.sha256,
        "dialogue_sha256": dialogue.sha256,
        "more_sha256": tuple(each.sha256 for each in more),
    }
    reads: tuple[Read, Read] = step.compute("input_keys", {"options": options, **digests})
    held = step.find(read.key for read in reads)
    step.fetch(read for read in reads if read.key in held)
    is_cut, is_heard = (read.key in held for read in reads)
    # The sound of a timeline is the film's own where nothing covers it.
    film_is_heard = bool(options.timeline) and not is_heard
    inputs = {
        "source": _path(step, source, is_needed=not is_cut or film_is_heard),
        "dialogue": _path(step, dialogue, is_needed=not is_heard),
        "more_dialogues": tuple(_path(step, each, is_needed=not is_heard) for each in more),
        "face_boxes": bring_boxes(step),
        "output_name": claim.output_name or _output_name(source.name),
        "options": options,
        "network": choose_network(
            claim.job_params.get("network", "auto"), farm.settings.checkpoint, farm.device
        ),
        "detector": choose_detector(),
        **digests,
    }
    given = {"inputs": inputs, "store": step.store, "held": list(held)}
    prepared, steps = step.compute("prepare", given)
    crash_point("prepare.after_cut_before_upload")
    source_made, sound_made = (
        again(held[read.key]) if read.key in held else step.upload(read.key) for read in reads
    )
    step.side_artifacts.append(sound_made)
    if prepared.boxes_key is not None and not step.find([prepared.boxes_key]):
        step.side_artifacts.append(step.upload(prepared.boxes_key))
    return StepResult(
        artifact=source_made,
        reused=len(held) == len(reads),
        facts=_facts(prepared),
        next_steps=tuple(map(_next_step, steps)),
    )


def _options(claim: Claim) -> DubOptions:
    options = from_json(DubOptions, claim.job_params.get("options", {}))
    return options if options.language else replace(options, language=claim.language)


def _path(step: StepAtWork, asset: AssetRef, *, is_needed: bool) -> Path:
    """The input here; one whose artifact is held is only spoken of."""
    return step.fetch_asset(asset) if is_needed else Path(safe_name(asset.name))


def _output_name(source_name: str) -> str:
    source = Path(source_name)
    suffix = source.suffix.lower()
    return f"{source.stem}{suffix if suffix in _CONTAINERS else _CONTAINERS[0]}"


def _facts(prepared: Prepared) -> dict[str, object]:
    return {"frames": prepared.frames, "prepared": to_json(prepared)}


def _next_step(step: DetectStep) -> NewStep:
    return NewStep(step.segment_index, step.frames, to_json(step), step.artifact_key)
