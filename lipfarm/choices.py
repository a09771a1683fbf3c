"""Option types, and how ``auto`` is resolved, for all commands that share them."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from infra import checkpoints
from lipfarm.display import Display
from pipeline.errors import CheckpointError
from pipeline.options import DetectorChoice, NetworkChoice, Precision

#: Published checkpoints in the order `auto` prefers them: the GAN one is sharper.
_PUBLISHED = ("wav2lip_gan", "wav2lip")


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
            return value if isinstance(value, Fraction) else Fraction(value)
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is not a frame rate such as 25 or 24000/1001", param, ctx)


#: The one instance; the type has no state.
RATE = _Rate()


def choose_network(
    name: str, checkpoint: Path | None, device: str, precision: Precision, display: Display
) -> NetworkChoice:
    """Resolve ``auto``: the given or an installed checkpoint, else the built-in renderer.

    Raises:
        CheckpointError: Wav2Lip was asked for and no checkpoint is there.
    """
    if name == "draft":
        return NetworkChoice("draft")
    path = checkpoint or next(filter(None, map(checkpoints.installed, _PUBLISHED)), None)
    if path is None and name == "wav2lip":
        raise CheckpointError(
            "no Wav2Lip checkpoint is installed; run `lipfarm models pull wav2lip_gan`, "
            "or give one with --checkpoint FILE"
        )
    if path is None:
        display.note(
            "network: draft, the built-in preview renderer: no Wav2Lip checkpoint is installed "
            "(`lipfarm models pull wav2lip_gan`)"
        )
        return NetworkChoice("draft")
    display.note(f"network: wav2lip, checkpoint {path}")
    return NetworkChoice("wav2lip", path, device=device, precision=precision)


def choose_detector(name: str) -> DetectorChoice:
    """Resolve ``auto``: YuNet where its weights are installed, else CenterFace, always there.

    Raises:
        CheckpointError: YuNet was asked for and is not installed.
    """
    weights = None if name == "centerface" else checkpoints.installed("yunet")
    if weights is not None:
        return DetectorChoice("yunet", weights)
    if name == "yunet":
        raise CheckpointError("YuNet is not installed; run `lipfarm models pull yunet`")
    return DetectorChoice("centerface")
