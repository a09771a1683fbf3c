"""The API's options are the pipeline's, though it does not import them."""

import dataclasses
from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from api import options as wire
from api.options import Options
from pipeline import options as pipeline
from pipeline.errors import PipelineError
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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("crf", value) for value in (-1, 51.5, float("nan"))),
        *(("mel_offset_ms", value) for value in (10_001, float("nan"), float("-inf"))),
        *(("segment_seconds", value) for value in (0, 1e-9, 1e9, float("inf"))),
        *(("fps", value) for value in ("0", "1001", "1/0", "29.9700299700299", "", "fast")),
        *(("preset", value) for value in ("warp", "placebo", "")),
        *(("language", value) for value in ("", "x", "fra\nx=y", "日本語", "pt_BR", "a" * 40)),
        ("box", [9, 9, 9, 20]),
        ("box", [-5, 0, 100, 100]),
        ("box", [0, 0, 10**11, 100]),
        ("pads", [0, 10**11, 0, 0]),
        ("keep_original", [[5, 2]]),
        ("keep_original", [[1, 3], [2, 4]]),
        ("keep_original", [[0, 10**11]]),
    ],
)
def test_what_the_pipeline_refuses_by_itself_is_refused_with_the_order(field, value):
    with pytest.raises(ValidationError) as refused:
        Options.model_validate({field: value})
    assert [mistake["loc"][0] for mistake in refused.value.errors()] == [field]
    with pytest.raises((PipelineError, ValueError)) as told:
        TypeAdapter(DubOptions).validate_python({field: _in_the_pipeline(field, value)})
    if isinstance(told.value, PipelineError):
        assert told.value.field == field


@pytest.mark.parametrize(
    "options",
    [
        {"crf": 0, "mel_offset_ms": -10_000, "segment_seconds": 0.2, "fps": "1"},
        {"crf": 51, "mel_offset_ms": 10_000, "segment_seconds": 600, "fps": "1000"},
        {"fps": 23.976, "box": [0, 0, 65_535, 65_535], "language": "zh-Hant-TW"},
        {"fps": "2147483647/2147483646", "pads": [-4096, 4096, 0, 0], "language": "fr"},
        {"keep_original": [[0, 86_400]]},
    ],
)
def test_what_the_order_may_say_the_pipeline_takes(options):
    TypeAdapter(DubOptions).validate_python(Options.model_validate(options).dub_options())


def test_a_number_that_takes_hours_to_make_is_not_made():
    for text in ("1e999999999", "1/1e999999999", "1e-999999999"):
        with pytest.raises(ValidationError, match="frame rate"):
            Options.model_validate({"fps": text})


def _in_the_pipeline(field, value):
    if field == "box":
        return dict(zip(("x1", "y1", "x2", "y2"), value, strict=True))
    if field == "keep_original":
        return [{"start": start, "end": end} for start, end in value]
    return value
