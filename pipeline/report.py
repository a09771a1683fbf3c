"""The report beside the output: what was done to which frames, with what, and what it took."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.artifacts import sha256_of
from pipeline.errors import OutputError
from pipeline.faces.tracks import Tracks
from pipeline.networks import Network
from pipeline.options import DetectorChoice, DubOptions, NetworkChoice
from pipeline.prepare import Dialogue, Film
from pipeline.running.resources import ResourceMeter
from pipeline.timeline import Timeline

Report = dict[str, Any]

#: Raised when a field changes its meaning; added fields do not raise it.
REPORT_VERSION = 1


def write_report(report: Mapping[str, Any], path: Path) -> None:
    """Write the report as JSON; it appears whole or not at all.

    Raises:
        OutputError: it cannot be written there.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write the report to {path}: {error.strerror}") from error


def describe_inputs(film: Film, dialogue: Dialogue) -> Report:
    """Both inputs: digests, sizes, lengths in seconds."""
    return {
        "report_version": REPORT_VERSION,
        "lipfarm": version("lipfarm"),
        "source": {
            "path": str(film.path),
            "sha256": film.digest,
            "seconds": None if film.info.duration is None else float(film.info.duration),
            "is_still": film.is_still,
        },
        "dialogue": {
            "path": str(dialogue.path),
            "sha256": dialogue.digest,
            "seconds": float(dialogue.duration),
            "samples_repaired": dialogue.repaired,
        },
    }


def describe_choices(
    network: Network, choice: NetworkChoice, detector: DetectorChoice | None, options: DubOptions
) -> Report:
    """With what the film was dubbed, and how."""
    plain = asdict(options)
    plain["fps"] = str(options.fps)
    return {
        "network": {
            "name": network.name,
            "checkpoint_sha256": choice.checkpoint and sha256_of(choice.checkpoint),
            "digest": network.digest,
            "device": choice.device,
            "precision": network.precision_note,
        },
        "detector": None if detector is None else detector.name,
        "options": plain,
    }


def describe_frames(tracks: Tracks, timeline: Timeline) -> Report:
    """Frames in and out, and per shot of the source what was done and why."""
    dubbed = sum(bool(tracks.faces_at(i)) for i in timeline.source_index.tolist())
    total = len(timeline)
    return {
        "frames": {
            "in": tracks.frame_count,
            "out": total,
            "dubbed": dubbed,
            "passed_through": total - dubbed,
        },
        "shots": tracks.describe(),
    }


def describe_output(path: Path) -> Report:
    """The finished file."""
    return {
        "output": {
            "path": str(path),
            "sha256": sha256_of(path),
            "size_bytes": path.stat().st_size,
        }
    }


def describe_cost(meter: ResourceMeter, frames: Mapping[str, int]) -> Report:
    """Seconds and frames a second by stage, memory and disk at their highest."""
    return {
        "timings": {
            stage: {
                "seconds": round(spent, 3),
                "frames_per_second": round(frames[stage] / spent, 2)
                if stage in frames and spent
                else None,
            }
            for stage, spent in meter.seconds.items()
        },
        "peak_memory_bytes": meter.peak_memory,
        "peak_disk_bytes": meter.peak_disk,
    }
