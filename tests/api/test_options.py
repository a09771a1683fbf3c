"""The API's options are the pipeline's, though it does not import them."""

import dataclasses
from typing import get_args

import pytest
from pydantic import TypeAdapter

from api import options as wire
from api.options import Options
from pipeline import options as pipeline
from pipeline.options import PRESETS, DubOptions

#: A machine's business, not an order's.
NOT_ORDERED = {"workers"}

#: Ordered elsewhere: as ``segments``, and by ``active_speaker_detection``.
ELSEWHERE = {"timeline", "chosen"}


def test_every_option_of_the_pipeline_can_be_ordered():
    fields = {field.name for field in dataclasses.fields(DubOptions)}
    assert set(Options().dub_options()) == fields - NOT_ORDERED - {"timeline"}
    assert fields - NOT_ORDERED - ELSEWHERE <= set(Options.model_fields)


def test_what_is_not_chosen_is_as_on_the_command_line():
    assert TypeAdapter(DubOptions).validate_python(Options().dub_options()) == DubOptions()


@pytest.mark.parametrize("name", ["SyncMode", "FaceChoice", "Blend", "KeepAudio"])
def test_choices_are_the_same(name):
    assert get_args(getattr(wire, name)) == get_args(getattr(pipeline, name))


def test_presets_are_the_same():
    assert get_args(wire.Preset) == PRESETS
