"""Stitch: rendered ranges, dialogue and the source's other streams become the output."""

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from infra.crash_points import crash_point
from infra.db.jobs import list_steps
from infra.db.orders import JobOutput, StepResult
from infra.storage.names import output_key
from pipeline.artifacts import Read
from pipeline.steps.facts import PREVIEW_FILE, RANGE_FILES, NetworkFacts, from_json
from workers.stages.facts import prepared_of, tracked_of
from workers.step import StepAtWork


def stitch(step: StepAtWork) -> StepResult:
    """Make the output and put it into the bucket, under a name of this attempt's own."""
    claim = step.lease.claim
    prepared, tracked = prepared_of(claim), tracked_of(claim)
    rendered = _rendered(step)
    previews = step.farm.settings.previews
    files = (*RANGE_FILES, PREVIEW_FILE) if previews else RANGE_FILES
    step.fetch(Read(key, files) for key in set(rendered.values()))
    network = claim.job_facts.get("render", {}).get("network")
    folder = step.pins.add(f"output-{uuid.uuid4().hex}")
    folder.mkdir()
    output = folder / prepared.output_name
    given = {
        "prepared": prepared,
        "tracked": tracked,
        "rendered": rendered,
        "source": step.fetch_asset(claim.source),
        "dialogue": step.fetch_asset(claim.dialogue),
        "more_dialogues": [step.fetch_asset(each) for each in claim.more_dialogues],
        "output": output,
        "store": step.store,
        "network": from_json(NetworkFacts, network) if network else None,
        "preview": folder / PREVIEW_FILE if previews else None,
    }
    try:
        report = step.compute("stitch", given)
        step.lease.computed = True
        crash_point("stitch.after_mux_before_upload")
        key = output_key(step.project_id, claim.job_id, prepared.output_name)
        stored = step.upload_file(output, key)
        preview = _upload_preview(step, folder / PREVIEW_FILE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return StepResult(
        output=JobOutput(
            stored.key, stored.sha256, stored.size, tracked.output_seconds, report, preview
        )
    )


def _upload_preview(step: StepAtWork, path: Path) -> str | None:
    """The preview's key, where there is one."""
    if not path.exists():
        return None
    key = output_key(step.project_id, step.lease.claim.job_id, PREVIEW_FILE)
    return step.upload_file(path, key).key


def _rendered(step: StepAtWork) -> Mapping[int, str]:
    """Artifacts of the ranges; of one whose original is kept there is none."""
    with step.farm.database.transaction() as session:
        return {
            each.segment_index: each.artifact_key
            for each in list_steps(session, step.lease.claim.job_id)
            if each.stage == "render" and not each.kept_original and each.artifact_key
        }
