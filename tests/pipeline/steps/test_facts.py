"""Facts survive JSON, and cost no media library to read."""

import json
import subprocess
import sys
from fractions import Fraction

import pytest
from pydantic import ValidationError

from pipeline.artifacts import Read
from pipeline.geometry import Box
from pipeline.options import DubOptions
from pipeline.steps.facts import (
    NetworkFacts,
    Prepared,
    RenderStep,
    from_json,
    render_key,
    to_json,
)
from tests.patience import LONG_SECONDS

STEP = RenderStep(3, 75, 100, "dubbed-1", "untouched-1", (Read("source-1", ("plan.npz",)),))


def test_options_of_every_kind_survive_json() -> None:
    options = DubOptions(
        box=Box(1, 2, 3, 4), pads=(0, 1, 2, 3), crf=17.5, fps=Fraction(24000, 1001), language="fra"
    )
    prepared = Prepared(
        options, NetworkFacts("draft"), None, "source-1", "sound-1", "film é.mkv", "d.wav",
        "out.mp4", 100, Fraction(30000, 1001), 3.3, 3.4,
    )  # fmt: skip
    for facts in (prepared, STEP, options):
        assert from_json(type(facts), json.loads(json.dumps(to_json(facts)))) == facts


def test_facts_of_another_shape_are_refused() -> None:
    with pytest.raises(ValidationError):
        from_json(RenderStep, {**to_json(STEP), "start": "soon"})


def test_networks_share_nothing_but_what_they_leave_untouched() -> None:
    assert render_key(STEP, "one") != render_key(STEP, "other")
    assert render_key(STEP, "one", untouched=True) == render_key(STEP, None, untouched=True)
    assert render_key(STEP, "one", untouched=True) != render_key(STEP, "one")


def test_who_hands_out_steps_loads_no_media_library() -> None:
    """The process that holds the leases must not carry what can crash."""
    heavy = "{'numpy', 'cv2', 'av', 'torch', 'librosa'}"
    code = f"import sys, pipeline.steps.facts; sys.exit(bool({heavy} & sys.modules.keys()))"
    status = subprocess.run([sys.executable, "-c", code], timeout=LONG_SECONDS, check=False)  # noqa: TID251
    assert status.returncode == 0
