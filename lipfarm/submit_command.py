"""``lipfarm submit``: order a dub from a farm, with files or URLs."""

import contextlib
import functools
import json
import uuid
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, get_args

import click
import httpx

from api.output_names import check_output_name
from lipfarm.choices import FACE_POINT, FILM_RANGE, RATE, Integers
from lipfarm.farm_client import FarmClient, farm_options
from lipfarm.generation_commands import follow, show
from lipfarm.timeline_file import read_segments
from lipfarm.upload_display import ShowUpload, show_uploads
from lipfarm.uploading import PARTS_FROM_BYTES, upload_file
from pipeline.errors import UnreadableMediaError
from pipeline.geometry import Box
from pipeline.options import (
    Blend,
    DubOptions,
    FaceChoice,
    FacePoint,
    FilmRange,
    KeepAudio,
    SyncMode,
)


def _choice(kind: object) -> click.Choice[str]:
    return click.Choice(get_args(kind))


def _check_name(_ctx: click.Context, _param: click.Parameter, name: str | None) -> str | None:
    try:
        return None if name is None else check_output_name(name)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.option("--video", required=True, metavar="FILE|URL", help="Film, or its address.")
@click.option("--audio", metavar="FILE|URL", help="Dialogue, or its address.")
@click.option(
    "--timeline",
    type=click.Path(path_type=Path),
    help="JSON: parts of the film, each with its dialogue, instead of --audio.",
)
@click.option("--network", type=click.Choice(["auto", "wav2lip", "draft"]), default="auto")
@click.option(
    "--sync-mode",
    type=_choice(SyncMode),
    help="What gives way when film and dialogue differ in length.",
)
@click.option("--faces", type=_choice(FaceChoice), help="Who is dubbed.")
@click.option("--box", type=Integers("X1,Y1,X2,Y2"), help="Where the face is; no detection.")
@click.option(
    "--face",
    "chosen",
    type=FACE_POINT,
    multiple=True,
    help="Dub this face alone in its shot; a farm takes one.",
)
@click.option(
    "--keep-original",
    type=FILM_RANGE,
    multiple=True,
    help="Seconds whose picture stays as it is; may be repeated.",
)
@click.option("--pads", type=Integers("T,B,L,R"), help="Pixels added around each face.")
@click.option("--blend", type=_choice(Blend))
@click.option("--mel-offset-ms", type=float, help="Shift of the sound; + is later.")
@click.option("--segment-seconds", type=click.FloatRange(0.2, 600))
@click.option("--crf", type=click.FloatRange(0, 51), help="Quality, as in x264 and x265.")
@click.option("--preset", help="Speed, as in x264 and x265.")
@click.option("--language", help="Language tag of the dubbed track, such as fra.")
@click.option("--keep-audio", type=_choice(KeepAudio))
@click.option("--fps", type=RATE, help="Rate of a still picture.")
@click.option("--name", help="What people call the job.")
@click.option("--label", "labels", multiple=True, help="For finding jobs again; may be repeated.")
@click.option("--output-name", callback=_check_name, help="Name of the output, .mp4, .mov or .mkv.")
@click.option(
    "--priority", type=click.IntRange(-1000, 1000), help="Higher goes first; 0 unless given."
)
@click.option("--wait", is_flag=True, help="Follow the job until it ends.")
@click.option("--json", "as_json", is_flag=True, help="JSON for programs, on stdout.")
@farm_options
def submit(
    *,
    client: FarmClient,
    video: str,
    audio: str | None,
    timeline: Path | None,
    chosen: tuple[FacePoint, ...],
    keep_original: tuple[FilmRange, ...],
    network: str,
    name: str | None,
    labels: tuple[str, ...],
    output_name: str | None,
    priority: int | None,
    wait: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Order a dub from a farm; prints the job's id."""
    _check_options(options, chosen, keep_original)
    order: dict[str, Any] = {
        "model": network,
        "options": _given(options) | _chosen(chosen) | _kept(keep_original),
        "name": name,
        "labels": list(labels) or None,
        "outputFileName": output_name,
        "priority": priority,
    }
    inputs, dialogues = {"video": video}, dict[str, str]()
    if audio is not None and timeline is None:
        inputs["audio"] = audio
    elif timeline is not None and audio is None:
        order["segments"], dialogues = _read_timeline(timeline)
    else:
        raise click.UsageError("Give either --audio or --timeline.")
    with show_uploads(as_json=as_json) as show_upload:
        generation = send_order(client, _given(order), inputs, show_upload, dialogues)
    if not wait:
        if as_json:
            show(generation, as_json=True)
        else:
            click.echo(generation["id"])
        return
    if not as_json:
        click.echo(f"job {generation['id']}", err=True)
    follow(client, generation["id"], as_json=as_json)


def _check_options(
    options: Mapping[str, Any], chosen: tuple[FacePoint, ...], kept: tuple[FilmRange, ...]
) -> None:
    """Tell before a film was sent what the farm would tell after it.

    Raises:
        ParameterError: an option makes no sense, whatever the film.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if "box" in given:
        given["box"] = Box(*given["box"])
    DubOptions(**given, chosen=chosen, keep_original=kept)


def send_order(
    client: FarmClient,
    order: dict[str, Any],
    inputs: dict[str, str],
    show_upload: ShowUpload,
    dialogues: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Order a dub; tried again while the farm is away, and yet ordered once.

    Args:
        client: the farm.
        order: fields of the request.
        inputs: file or URL, as ``video`` and ``audio``.
        show_upload: told the name and size of each large file, which goes in parts.
        dialogues: file or URL of each that the order's segments name.

    Raises:
        UnreadableMediaError: a file cannot be read.
    """
    urls = {kind: place for kind, place in inputs.items() if "://" in place}
    paths = {kind: Path(place) for kind, place in inputs.items() if kind not in urls}
    for kind, path in paths.items():
        _require_file(kind, path)
    for place in dialogues.values():
        if "://" not in place:
            _require_file("audio", Path(place))
    # The key and the network are wrong before a film was sent, not after.
    if paths or dialogues:
        client.get("/v2/models")
    named = [{"type": kind, "url": url} for kind, url in urls.items()]
    large = [kind for kind, path in paths.items() if path.stat().st_size >= PARTS_FROM_BYTES]
    for kind in large:
        path = paths.pop(kind)
        asset = upload_file(client, kind, path, functools.partial(show_upload, path.name))
        named.append({"type": kind, "assetId": asset})
    for name, place in dialogues.items():
        named.append({"type": "audio", "refId": name} | _placed(client, place, show_upload))
    order = order | {"input": named}
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    if not paths:
        sent = client.send(lambda http: http.post("/v2/generate", json=order, headers=headers))
    else:
        fields = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in order.items()
        }
        sent = client.send(lambda http: _upload(http, fields, paths, headers))
    generation: dict[str, Any] = sent
    return generation


def _placed(client: FarmClient, place: str, show_upload: ShowUpload) -> dict[str, str]:
    if "://" in place:
        return {"url": place}
    path = Path(place)
    start = functools.partial(show_upload, path.name)
    return {"assetId": upload_file(client, "audio", path, start)}


def _upload(
    http: httpx.Client, fields: dict[str, str], paths: dict[str, Path], headers: dict[str, str]
) -> httpx.Response:
    with _opened(paths) as files:
        return http.post("/v2/generate", data=fields, files=files, headers=headers)


@contextlib.contextmanager
def _opened(paths: dict[str, Path]) -> Iterator[dict[str, tuple[str, IO[bytes]]]]:
    with contextlib.ExitStack() as stack:
        yield {
            kind: (path.name, stack.enter_context(path.open("rb"))) for kind, path in paths.items()
        }


def _read_timeline(path: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Segments, and where each sound they name is: an address, or a file beside the timeline."""
    segments, names = read_segments(path)
    return segments, {name: name if "://" in name else str(path.parent / name) for name in names}


def _chosen(points: tuple[FacePoint, ...]) -> dict[str, Any]:
    if not points:
        return {}
    if len(points) > 1:
        raise click.UsageError("A farm takes one --face.")
    (point,) = points
    speaker = {"frame_number": point.frame, "coordinates": [point.x, point.y]}
    return {"active_speaker_detection": speaker}


def _kept(ranges: tuple[FilmRange, ...]) -> dict[str, Any]:
    if not ranges:
        return {}
    return {"keep_original": [[float(each.start), float(each.end)] for each in ranges]}


def _require_file(kind: str, path: Path) -> None:
    if path.is_dir():
        raise UnreadableMediaError(
            f"{path}: is a folder; a farm takes one file, so make a film of the frames first"
            if kind == "video"
            else f"{path}: is a folder, not a file with sound"
        )
    if not path.is_file():
        raise UnreadableMediaError(f"{path}: no such file")


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Those the user gave; the rest is the farm's to choose."""
    return {
        name: str(value) if isinstance(value, Fraction) else value
        for name, value in values.items()
        if value is not None
    }
