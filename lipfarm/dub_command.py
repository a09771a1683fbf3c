"""``lipfarm dub``: options in, one dubbed film and one report out."""

import sys
from pathlib import Path
from typing import Any, get_args

import click

from lipfarm.choices import DEVICE, FACE_POINT, FILM_RANGE, RATE, Integers, choose_network
from lipfarm.display import Display, JsonDisplay, choose_display
from lipfarm.timeline_file import read_timeline
from pipeline.geometry import Box
from pipeline.options import (
    DEFAULT_FPS,
    DEFAULT_SEGMENT_SECONDS,
    DEFAULT_SYNC_MODE,
    Blend,
    Clip,
    DubOptions,
    FaceChoice,
    KeepAudio,
    Precision,
    SyncMode,
)
from workers.choices import choose_detector

_PATH = click.Path(path_type=Path)


def _choice(kind: object) -> click.Choice[str]:
    return click.Choice(get_args(kind))


@click.command()
@click.option("--video", required=True, type=_PATH, help="Film, still image or folder of frames.")
@click.option("--audio", type=_PATH, help="Dialogue: any file with sound.")
@click.option(
    "--timeline",
    type=_PATH,
    help="JSON: parts of the film, each with its dialogue, instead of --audio.",
)
@click.option("--output", required=True, type=_PATH, help="Dubbed film, .mp4, .mov or .mkv.")
@click.option("--network", type=click.Choice(["auto", "wav2lip", "draft"]), default="auto")
@click.option("--checkpoint", type=_PATH, help="Wav2Lip weights (.pth or .safetensors).")
@click.option(
    "--sync-mode",
    type=_choice(SyncMode),
    default=DEFAULT_SYNC_MODE,
    help="What gives way when film and dialogue differ in length.",
)
@click.option("--faces", type=_choice(FaceChoice), default="largest", help="Who is dubbed.")
@click.option("--box", type=Integers("X1,Y1,X2,Y2"), help="Where the face is; no detection.")
@click.option(
    "--face",
    "chosen",
    type=FACE_POINT,
    multiple=True,
    help="Dub this face alone in its shot; may be repeated.",
)
@click.option(
    "--keep-original",
    type=FILM_RANGE,
    multiple=True,
    help="Seconds whose picture stays as it is; may be repeated.",
)
@click.option("--pads", type=Integers("T,B,L,R"), help="Pixels added around each face.")
@click.option("--detector", type=click.Choice(["auto", "centerface", "yunet"]), default="auto")
@click.option("--blend", type=_choice(Blend), default="feather")
@click.option("--mel-offset-ms", type=float, default=0.0, help="Shift of the sound; + is later.")
@click.option("--segment-seconds", type=float, default=DEFAULT_SEGMENT_SECONDS)
@click.option("--workers", type=int, default=1, help="Segments worked on at once.")
@click.option("--device", type=DEVICE, default="auto", help="auto, cpu or cuda:N.")
@click.option("--precision", type=_choice(Precision), default="auto")
@click.option("--crf", type=click.FloatRange(0, 51), help="Quality, as in x264 and x265.")
@click.option("--preset", help="Speed, as in x264 and x265.")
@click.option("--language", help="Language tag of the dubbed track, such as fra.")
@click.option("--keep-audio", type=_choice(KeepAudio), default="all")
@click.option("--fps", type=RATE, default=DEFAULT_FPS, help="Rate of a folder of frames.")
@click.option("--work-dir", type=_PATH, help="Keep intermediate artifacts here, for reuse.")
@click.option("--report", "report_path", type=_PATH, help="Write the report to this file.")
@click.option("--json", "as_json", is_flag=True, help="Events on stdout, one JSON object a line.")
def dub(
    *,
    video: Path,
    audio: Path | None,
    timeline: Path | None,
    output: Path,
    network: str,
    checkpoint: Path | None,
    detector: str,
    device: str,
    precision: Precision,
    box: tuple[int, int, int, int] | None,
    work_dir: Path | None,
    report_path: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Dub a film: every speaking mouth follows the dialogue, all else stays as it is."""
    clips, dialogues = _read_dialogues(audio, timeline)
    chosen = DubOptions(box=None if box is None else Box(*box), timeline=clips, **options)
    display = choose_display(as_json=as_json)
    try:
        # Torch and OpenCV take a second to import; a mistyped option need not wait for them.
        from pipeline.dub import Order, dub_film  # noqa: PLC0415
        from pipeline.media.ffmpeg_program import check_ffmpeg  # noqa: PLC0415

        check_ffmpeg()
        order = Order(
            source=video,
            dialogue=dialogues[0],
            more_dialogues=dialogues[1:],
            output=output,
            options=chosen,
            network=choose_network(network, checkpoint, device, precision, display),
            detector=choose_detector(detector),
            work_dir=work_dir,
            report=report_path,
            kept=() if timeline is None else (timeline,),
        )
        report = dub_film(order, display)
    finally:
        display.close()
    _announce(report, output, display)


def _read_dialogues(
    audio: Path | None, timeline: Path | None
) -> tuple[tuple[Clip, ...], tuple[Path, ...]]:
    if audio is not None and timeline is None:
        return (), (audio,)
    if timeline is not None and audio is None:
        return read_timeline(timeline)
    raise click.UsageError("Give either --audio or --timeline.")


def _announce(report: dict[str, Any], output: Path, display: Display) -> None:
    if isinstance(display, JsonDisplay):
        display.emit({"event": "completed", "output": str(output), "report": report})
        return
    frames, network = report["frames"], report["network"]["name"]
    click.echo(
        f"{output}: {frames['dubbed']} of {frames['out']} frames dubbed with {network}",
        file=sys.stderr,
    )
