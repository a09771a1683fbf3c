"""``lipfarm frames`` and ``lipfarm waveform``: the original project's preprocessing steps."""

import tempfile
from fractions import Fraction
from pathlib import Path

import click

from lipfarm.choices import RATE
from lipfarm.display import choose_display
from pipeline.options import DEFAULT_FPS
from workers.choices import choose_detector

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("video", type=_PATH)
@click.argument("folder", type=_PATH)
@click.option("--faces", is_flag=True, help="Also face crops, and their boxes in boxes.csv.")
@click.option("--detector", type=click.Choice(["auto", "centerface", "yunet"]), default="auto")
@click.option("--fps", type=RATE, default=DEFAULT_FPS, help="Rate of a folder of frames.")
def frames(*, video: Path, folder: Path, faces: bool, detector: str, fps: Fraction) -> None:
    """Write every frame of VIDEO to FOLDER as numbered PNG pictures."""
    from pipeline.artifacts import Store  # noqa: PLC0415 -- as in `dub`: the help answers at once
    from pipeline.extract import extract_frames  # noqa: PLC0415

    display = choose_display(as_json=False)
    chosen = choose_detector(detector) if faces else None
    try:
        with tempfile.TemporaryDirectory(prefix="lipfarm-") as work, Store(Path(work)) as store:
            written = extract_frames(video, folder, fps, chosen, store, display)
    finally:
        display.close()
    click.echo(f"{folder}: {written} frames", err=True)


@click.command()
@click.argument("audio", type=_PATH)
@click.argument("output", type=_PATH)
def waveform(*, audio: Path, output: Path) -> None:
    """Write the sound of AUDIO (any file with sound) to OUTPUT as a 16 kHz mono WAV."""
    from pipeline.media.ffmpeg_program import check_ffmpeg  # noqa: PLC0415
    from pipeline.output.publish import check_output, publishing  # noqa: PLC0415
    from pipeline.sound.dialogue import write_waveform  # noqa: PLC0415

    check_ffmpeg()
    check_output(output, [audio])
    with publishing(output) as temporary:
        seconds = write_waveform(audio, temporary)
    click.echo(f"{output}: {float(seconds):.3f} s", err=True)
