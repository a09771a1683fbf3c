"""What a runner can compute: the pipeline's stages, by name. Imported in runners alone."""

import os
from collections.abc import Mapping
from typing import Any, Final

import torch

from infra.crash_points import crash_point
from pipeline.artifacts import Store
from pipeline.output.sizes import least_cut_bytes
from pipeline.running.room import require_room
from pipeline.steps.detecting import detect
from pipeline.steps.preparing import Inputs, check_inputs, input_keys, prepare
from pipeline.steps.rendering import load_network, render
from pipeline.steps.self_test import self_test
from pipeline.steps.stitching import stitch
from pipeline.steps.tracking import track
from workers.runner import Advance, Work


def share_cores(threads: int) -> None:
    """Compute with so many threads."""
    torch.set_num_threads(max(1, min(threads, os.cpu_count() or 1)))


def _input_keys(given: dict[str, Any], _advance: Advance) -> Any:
    return input_keys(
        given["options"], given["source_sha256"], given["dialogue_sha256"], given["more_sha256"]
    )


def _prepare(given: dict[str, Any], advance: Advance) -> Any:
    store: Store = given["store"]
    inputs, held = Inputs(**given["inputs"]), given["held"]
    film, _ = check_inputs(inputs, held)
    if film is not None:
        require_room(store.root, least_cut_bytes(film))
    prepared, steps = prepare(inputs, store, advance, held, film)
    return prepared, steps


def _detect(given: dict[str, Any], advance: Advance) -> Any:
    return detect(
        given["prepared"], given["index"], given["detector"], given["store"], _passing(advance)
    )


def _track(given: dict[str, Any], advance: Advance) -> Any:
    return track(
        given["prepared"], given["detector"], given["store"], advance, given["kept_original"]
    )


def _load_network(given: dict[str, Any], _advance: Advance) -> Any:
    return load_network(given["network"])


def _render(given: dict[str, Any], advance: Advance) -> Any:
    return render(
        given["prepared"],
        given["tracked"],
        given["step"],
        given["network"],
        given["store"],
        _passing(advance),
        with_preview=given["with_preview"],
    )


def _stitch(given: dict[str, Any], advance: Advance) -> Any:
    return stitch(**given, advance=advance)


def _self_test(given: dict[str, Any], advance: Advance) -> Any:
    self_test(given["network"], given["store"], advance)


def _passing(advance: Advance) -> Advance:
    """As ``advance``, past the crash point that lies between two frames."""

    def pass_on(frames: int) -> None:
        if frames:
            crash_point("step.mid_frames")
        advance(frames)

    return pass_on


WORKS: Final[Mapping[str, Work]] = {
    "input_keys": _input_keys,
    "prepare": _prepare,
    "detect": _detect,
    "track": _track,
    "load_network": _load_network,
    "render": _render,
    "stitch": _stitch,
    "self_test": _self_test,
}
