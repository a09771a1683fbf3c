"""The report beside the output: what was done to which frames, with what, and what it took."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from pipeline.artifacts import sha256_of
from pipeline.faces.linking import runs_of
from pipeline.faces.tracks import Tracks
from pipeline.media.extras import CAPTIONS, LEFT_OUT, STEREOSCOPIC, Seen
from pipeline.media.info import VideoInfo
from pipeline.options import DubOptions
from pipeline.output.publish import publishing
from pipeline.prepare import Dialogue, Source
from pipeline.running.resources import ResourceMeter
from pipeline.timeline import Timeline

Report = dict[str, Any]

#: Raised when a field changes its meaning; added fields do not raise it.
REPORT_VERSION = 1

_OPTIONS: TypeAdapter[DubOptions] = TypeAdapter(DubOptions)


def write_report(report: Mapping[str, Any], path: Path) -> None:
    """Write the report as JSON; it appears whole or not at all.

    Raises:
        OutputError, StorageFullError: it cannot be written there.
    """
    with publishing(path) as temporary:
        text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
        # What in a file's name is no UTF-8 becomes an escape of JSON's.
        temporary.write_bytes(text.encode(errors="backslashreplace"))


def describe_inputs(
    source: Source, source_name: str, dialogue: Dialogue, dialogue_name: str
) -> Report:
    """Both inputs: names, digests, lengths in seconds."""
    duration = source.info.duration
    return {
        "report_version": REPORT_VERSION,
        "lipfarm": version("lipfarm"),
        "source": {
            "path": source_name,
            "sha256": source.digest,
            "seconds": None if duration is None else float(duration),
            "is_still": source.manifest.is_still,
        },
        "dialogue": {
            "path": dialogue_name,
            # Of an assembled one each part has its own file; ``timeline`` names them.
            "sha256": None if dialogue.pieces else dialogue.digest,
            "seconds": float(dialogue.duration),
            "samples_repaired": dialogue.repaired,
        },
    }


def describe_timeline(dialogue_names: Sequence[str], options: DubOptions) -> Report:
    """Which dialogue is heard where; nothing where one lies over the whole film."""
    if not options.timeline:
        return {}
    clips = [
        {
            "start": float(clip.start),
            "end": float(clip.end),
            "dialogue": dialogue_names[clip.dialogue],
            "dialogue_start": float(clip.dialogue_start),
            "dialogue_end": None if clip.dialogue_end is None else float(clip.dialogue_end),
        }
        for clip in options.timeline
    ]
    return {"timeline": clips}


def describe_face_choice(options: DubOptions, tracks: Tracks) -> Report:
    """What a choice by points came to; nothing where there was none."""
    if not options.chosen:
        return {}
    starts = np.array(tracks.shot_starts)
    frames = [point.frame for point in options.chosen]
    shots = sorted(set((np.searchsorted(starts, frames, side="right") - 1).tolist()))
    return {
        "face_choice": {
            "shots": [
                dict(zip(("start", "end"), tracks.shot_range(i), strict=True)) for i in shots
            ],
            "of_shots": len(starts),
            "note": "faces are not recognised from shot to shot: a point holds for its own shot",
        }
    }


def describe_choices(
    network: Mapping[str, Any], detector: str | None, options: DubOptions
) -> Report:
    """With what the film was dubbed, and how."""
    plain = _OPTIONS.dump_python(options, mode="json")
    return {"network": dict(network), "detector": detector, "options": plain}


def describe_frames(
    tracks: Tracks, timeline: Timeline, kept_original: Mapping[str, NDArray[np.bool_]]
) -> Report:
    """Frames in and out, and per shot of the source what was done and why.

    Args:
        tracks: who is dubbed where.
        timeline: which source frame is shown when.
        kept_original: by the reason, (frames,) the frames of the output where the original is kept
            whoever speaks.
    """
    total = len(timeline)
    kept = np.any([np.zeros(total, bool), *kept_original.values()], axis=0)
    has_face = np.array([bool(tracks.faces_at(i)) for i in timeline.source_index.tolist()], bool)
    dubbed = int((has_face & ~kept).sum())
    ranges = [
        {"start": start, "end": end, "reason": reason}
        for reason, flags in kept_original.items()
        for start, end in runs_of(flags)
    ]
    return {
        "frames": {
            "in": tracks.frame_count,
            "out": total,
            "dubbed": dubbed,
            "passed_through": total - dubbed,
        },
        "kept_original": sorted(ranges, key=lambda each: (each["start"], each["end"])),
        "shots": tracks.describe(),
    }


#: AVChromaLocation by number.
_CHROMA_LOCATIONS = ("", "left", "center", "topleft", "top", "bottomleft", "bottom")


def describe_picture(video: VideoInfo, seen: Seen, output: Path) -> Report:
    """What became of all that the source's picture comes with beside its samples.

    Args:
        video: the source's picture.
        seen: what its frames carried while they were encoded.
        output: by its extension, the container.
    """
    carried = {*video.carries, *seen.extras}
    kept = []
    if video.crop is not None:
        kept.append("the crop: what is hidden is not in the picture")
    if video.chroma_location:
        kept.append(f"the chroma location ({_CHROMA_LOCATIONS[video.chroma_location]})")
    if CAPTIONS in carried:
        kept.append("closed captions (CEA-608, CEA-708)")
    if output.suffix.lower() == ".mkv" and "stereo_mode" in video.metadata:
        # Matroska's own tag, which goes along with the others.
        carried.discard(STEREOSCOPIC)
        kept.append("the stereoscopic (3D) layout")
    left_out = dict(LEFT_OUT[name] for name in sorted(carried & LEFT_OUT.keys()))
    if seen.captions_dropped:
        what = f"closed captions of {seen.captions_dropped} frames"
        left_out[what] = "they are held, or shown again or in another order"
    found: Report = {
        "kept": kept,
        "left_out": [
            {"what": what, "why": why, "note": f"left out of the picture: {what}; {why}"}
            for what, why in left_out.items()
        ],
    }
    if seen.interlaced:
        what = "are woven of two fields and were encoded as frames"
        found["interlaced"] = _describe_odd(seen.interlaced, seen.first_interlaced, what)
    if seen.other_colors:
        what = "are tagged with other colours than the film"
        found["other_colors"] = _describe_odd(seen.other_colors, seen.first_other_colors, what)
    return {"picture": found}


def _describe_odd(frames: int, first: int | None, what: str) -> Report:
    note = f"{frames} frames {what}, from frame {first} of the output on"
    return {"frames": frames, "first": first, "note": note}


def notes(report: Report) -> list[str]:
    """What a person should be told of the tracks and of the picture, a line each."""
    picture = report.get("picture", {})
    odd = (picture[name] for name in ("interlaced", "other_colors") if name in picture)
    left_out = (*report.get("left_out", ()), *picture.get("left_out", ()))
    return [each["note"] for each in (*left_out, *odd) if each["note"] is not None]


def describe_output(name: str, path: Path) -> Report:
    """The finished file, and what it is called."""
    return {
        "output": {
            "path": name,
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
