"""``lipfarm train``: a network of one's own, from talking clips to a checkpoint with its card."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lipfarm.choices import DEVICE
from lipfarm.display import choose_display
from workers.choices import choose_detector

if TYPE_CHECKING:
    from pipeline.training.measuring import Measures

_PATH = click.Path(path_type=Path)


@click.group()
def train() -> None:
    """Train a network from talking clips, and judge one."""


@train.command()
@click.argument("clips", type=_PATH)
@click.argument("folder", type=_PATH)
@click.option("--detector", type=click.Choice(["auto", "centerface", "yunet"]), default="auto")
@click.option("--json", "as_json", is_flag=True, help="JSON for programs, on stdout.")
def prepare(*, clips: Path, folder: Path, detector: str, as_json: bool) -> None:
    """Make the faces and sound of every clip below CLIPS ready, in FOLDER.

    Clips in one subfolder count as one person. What does not fit is left out and named, with the
    reason; what was made earlier is kept.
    """
    from pipeline.media.ffmpeg_program import check_ffmpeg  # noqa: PLC0415 -- help answers at once
    from pipeline.training.preparing import prepare_clips  # noqa: PLC0415

    check_ffmpeg()
    display = choose_display(as_json=as_json, counted="clips")
    try:
        verdicts = prepare_clips(clips, folder, choose_detector(detector), display)
    finally:
        display.close()
    good = [verdict for verdict in verdicts if not verdict.reason]
    held_out = sum(verdict.held_out for verdict in good)
    frames = sum(verdict.frames for verdict in good)
    click.echo(
        f"{folder}: {len(good)} of {len(verdicts)} clips, {frames} frames, {held_out} held out",
        err=True,
    )


@train.command()
@click.argument("folder", type=_PATH)
@click.option("--output", type=_PATH, required=True, help="Checkpoint: .safetensors or .pth.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=120.0)
@click.option("--samples", type=click.IntRange(min=1), help="Stop after so many, if earlier.")
@click.option("--width", type=int, default=4, help="Of the first layer; 16 as published.")
@click.option("--device", type=DEVICE, default="auto", help="auto, cpu or cuda:N.")
@click.option("--seed", type=click.IntRange(min=0), default=0)
@click.option("--licence", help="What the clips allow the network to be used for, for its card.")
def run(
    *,
    folder: Path,
    output: Path,
    minutes: float,
    samples: int | None,
    width: int,
    device: str,
    seed: int,
    licence: str | None,
) -> None:
    """Train on the clips of FOLDER; the same command goes on after a kill.

    Leaves the checkpoint, a card (.md, .json) and a sheet of people held out (.png).
    """
    from pipeline.training.cards import UNKNOWN_LICENCE  # noqa: PLC0415 -- as above
    from pipeline.training.running import Plan  # noqa: PLC0415
    from pipeline.training.running import train as train_network  # noqa: PLC0415

    plan = Plan(
        folder, output, width, 60 * minutes, samples, seed, device, licence or UNKNOWN_LICENCE
    )
    train_network(plan, _say)


@train.command()
@click.argument("checkpoint", type=_PATH)
@click.argument("folder", type=_PATH)
@click.option("--picture", type=_PATH, help="Also write faces of people held out, as a PNG.")
@click.option("--json", "as_json", is_flag=True, help="JSON for programs, on stdout.")
def evaluate(*, checkpoint: Path, folder: Path, picture: Path | None, as_json: bool) -> None:
    """Judge CHECKPOINT, any of the Wav2Lip family, on the people held out in FOLDER."""
    from pipeline.training.judging import judge  # noqa: PLC0415 -- as above

    measures = judge(checkpoint, folder, picture)
    click.echo(json.dumps(measures.as_json()) if as_json else _table(measures))


def _table(measures: "Measures") -> str:
    rows = {
        "mouth error, right sound": f"{measures.right:.2f} levels",
        "mouth error, wrong sound": f"{measures.wrong:.2f} levels ({measures.sound_matters:+.1%})",
        "mouth opening, correlation": f"{measures.shape:.2f}",
        "mouth opening over the film's": f"{measures.reach:.2f}",
        "sharpness over the film's": f"{measures.sharpness:.2f}",
        "colour error": f"{measures.colour:.1f} levels",
        "motion in speech over silence": "not measured"
        if measures.motion is None
        else f"{measures.motion:.1f}",
    }
    return "\n".join(f"{name:<30} {value}" for name, value in rows.items())


_say: Callable[[str], None] = lambda line: click.echo(line, err=True)  # noqa: E731
