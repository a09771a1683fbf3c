"""Option types, and how ``auto`` is resolved, for all commands that share them."""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from lipfarm.display import Display
from pipeline.options import FacePoint, FilmRange, NetworkChoice, Precision
from workers import choices


def exact_number(text: str) -> Fraction:
    """A number as it was written: 12.345 is 2469/200, which no float is.

    Raises:
        ValueError: it is none, or so large that reading it alone would take for ever.
        ZeroDivisionError: it is a fraction over 0.
    """
    if not re.fullmatch(r"[-+]?[0-9.]{1,30}([eE][-+]?[0-9]{1,2})?(/[0-9]{1,10})?", text):
        raise ValueError(f"{text[:40]!r} is not a number")
    return Fraction(text)


class Integers(click.ParamType[tuple[int, ...]]):
    """Four integers with commas between them."""

    name = "integers"

    def __init__(self, names: str) -> None:
        self.names = names

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        return self.names

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        try:
            numbers = tuple(int(word) for word in value.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != len(self.names.split(",")):
            self.fail(f"{value!r} is not {self.names} in whole pixels", param, ctx)
        return numbers


class _Rate(click.ParamType[Fraction]):
    """A frame rate: 25, 23.976 or 24000/1001."""

    name = "rate"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fraction:
        try:
            return value if isinstance(value, Fraction) else exact_number(value)
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is not a frame rate such as 25 or 24000/1001", param, ctx)


class _FilmRange(click.ParamType[FilmRange]):
    """A part of the film in seconds: 12.5-20."""

    name = "from-to"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> FilmRange:
        try:
            start, end = (exact_number(word.strip()) for word in value.split("-"))
        except (ValueError, ZeroDivisionError):
            self.fail(
                f"{value!r} is not a part of the film in seconds, such as 12.5-20", param, ctx
            )
        return FilmRange(start, end)


class _FacePoint(click.ParamType[FacePoint]):
    """A point on a face in a frame: 48:640,210."""

    name = "frame:x,y"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> FacePoint:
        try:
            frame, _, place = value.partition(":")
            x, y = place.split(",")
            return FacePoint(int(frame), int(x), int(y))
        except ValueError:
            self.fail(f"{value!r} is not FRAME:X,Y, such as 48:640,210", param, ctx)


class _Device(click.ParamType[str]):
    """Where networks run; whether there is such a one is seen when torch is loaded."""

    name = "device"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", value):
            self.fail(f"{value!r} is not auto, cpu or cuda:N", param, ctx)
        return str(value)


#: The one instance of each; the types have no state.
RATE = _Rate()
FILM_RANGE = _FilmRange()
FACE_POINT = _FacePoint()
DEVICE = _Device()


def choose_network(
    name: str, checkpoint: Path | None, device: str, precision: Precision, display: Display
) -> NetworkChoice:
    """As :func:`workers.choices.choose_network`, and say what was chosen for you.

    Raises:
        CheckpointError: Wav2Lip was asked for and no checkpoint is there.
    """
    choice = choices.choose_network(
        name, checkpoint, device, precision, remedy="give one with --checkpoint FILE"
    )
    if choice.name == "wav2lip":
        weights = "" if choice.checkpoint is None else choices.describe_weights(choice.checkpoint)
        display.note(f"network: wav2lip, {weights}")
    elif name != "draft":
        display.note(
            "network: draft, the built-in preview renderer: no Wav2Lip checkpoint is here that may "
            "be used (`lipfarm models pull wav2lip_gan`)"
        )
    return choice
