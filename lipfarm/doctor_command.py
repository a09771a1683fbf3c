"""``lipfarm doctor``: is this machine fit for its part in a farm, and if not, what to do."""

import importlib.util
import io
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from infra import checkpoints
from infra.errors import InfraError, SettingsError
from infra.settings import Settings
from lipfarm.farm_commands import settings_for

EXIT_WRONG = 1

_ANSWER_SECONDS = 5.0
_GIB = 1 << 30

#: Below the bucket's other prefixes, so that the collector's look never meets it.
_PROBE_PREFIX = "doctor/"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; ``mend`` says what to do and is empty where nothing is wrong."""

    check: str
    message: str
    mend: str = ""

    @property
    def is_wrong(self) -> bool:
        """Whether something must be done."""
        return bool(self.mend)


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of a farm run by `lipfarm up`; else the LIPFARM_… settings count.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def doctor(data: Path | None, *, as_json: bool) -> None:
    """Check this machine: settings, servers, ffmpeg, device, checkpoint, disk. Exit 1 if unfit."""
    is_fit = True
    for finding in _examine(data):
        is_fit &= not finding.is_wrong
        click.echo(_as_json(finding) if as_json else _as_line(finding))
    if not is_fit:
        raise SystemExit(EXIT_WRONG)


def _examine(data: Path | None) -> Iterator[Finding]:
    settings = None
    try:
        settings = settings_for(data)
    except SettingsError as error:
        mend = "set it in the environment, or name a folder with --data"
        yield Finding("settings", str(error), mend)
    else:
        yield Finding("settings", "complete")
        for name, check in (
            ("database", _check_database),
            ("redis", _check_redis),
            ("bucket", _check_bucket),
        ):
            yield _guarded(name, check, settings)
    yield from _examine_media()
    yield _check_checkpoint(settings.checkpoint if settings else None)
    if settings is not None:
        yield _check_disk(settings)


def _guarded(name: str, check: Callable[[Settings], Finding], settings: Settings) -> Finding:
    try:
        return check(settings)
    except InfraError as error:
        return Finding(name, str(error), f"start it, or correct {_VARIABLES[name]}")


_VARIABLES = {
    "database": "LIPFARM_DATABASE_URL",
    "redis": "LIPFARM_REDIS_URL",
    "bucket": "LIPFARM_S3_ENDPOINT_URL, LIPFARM_S3_ACCESS_KEY and LIPFARM_S3_SECRET_KEY",
}


def _check_database(settings: Settings) -> Finding:
    from infra.db.migrating import is_current  # noqa: PLC0415 -- Alembic takes half a second

    if is_current(settings.database_url):
        return Finding("database", "answers, and has the tables of this version")
    return Finding("database", "answers, but has not the tables of this version", "lipfarm migrate")


def _check_redis(settings: Settings) -> Finding:
    import redis  # noqa: PLC0415

    client = redis.Redis.from_url(
        settings.redis_url, socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=_ANSWER_SECONDS
    )
    try:
        client.ping()
    except redis.RedisError as error:
        return Finding("redis", str(error), f"start it, or correct {_VARIABLES['redis']}")
    finally:
        client.close()
    return Finding("redis", "answers")


def _check_bucket(settings: Settings) -> Finding:
    """Write, read and delete, under a name of its own."""
    from infra.storage.objects import ObjectStore  # noqa: PLC0415 -- boto3 takes half a second

    store = ObjectStore(settings)
    key = f"{_PROBE_PREFIX}{uuid.uuid4()}"
    stored = store.put_stream(io.BytesIO(os.urandom(1024)), key)
    with tempfile.TemporaryDirectory() as folder:
        store.get_file(key, Path(folder) / "probe", size=stored.size, sha256=stored.sha256)
    store.delete([key])
    return Finding("bucket", f"{settings.s3_bucket}: written, read and deleted")


def _examine_media() -> Iterator[Finding]:
    if importlib.util.find_spec("torch") is None:
        yield Finding("media", "not installed; fine for an API or a reconciler, not for a worker")
        return
    yield _check_ffmpeg()
    yield _check_device()


def _check_ffmpeg() -> Finding:
    """The program, and FFmpeg's libraries in process: two versions, which need not be the same."""
    import av  # noqa: PLC0415

    from pipeline.errors import PipelineError  # noqa: PLC0415
    from pipeline.media import ffmpeg_program as program  # noqa: PLC0415

    is_named = bool(os.environ.get(program.FFMPEG_VARIABLE))
    try:
        path = program.ffmpeg_path()
        version = program.ffmpeg_version(path)
    except (OSError, PipelineError) as error:
        install = "pip install 'lipfarm[media]'"
        mend = f"correct or unset {program.FFMPEG_VARIABLE}" if is_named else install
        return Finding("ffmpeg", str(error), mend)
    origin = f"named by {program.FFMPEG_VARIABLE}" if is_named else "comes with lipfarm"
    libraries = f"in process FFmpeg {av.ffmpeg_version_info} of PyAV {av.__version__}"
    return Finding("ffmpeg", f"{version} at {path} ({origin}); {libraries}")


def _check_device() -> Finding:
    import torch  # noqa: PLC0415 -- seconds

    if not torch.cuda.is_available():
        return Finding(
            "device", f"cpu, {os.cpu_count()} cores; no CUDA device, rendering is slower"
        )
    names = (torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    return Finding("device", ", ".join(f"cuda:{i} {name}" for i, name in enumerate(names)))


def _check_checkpoint(chosen: Path | None) -> Finding:
    if chosen is not None:
        if chosen.is_file():
            return Finding("checkpoint", str(chosen))
        mend = "correct LIPFARM_CHECKPOINT, or unset it to use what `lipfarm models` installed"
        return Finding("checkpoint", f"{chosen} is not a file", mend)
    entries = [
        entry
        for entry in map(checkpoints.checkpoint, checkpoints.preferred())
        if checkpoints.is_permitted(entry)
    ]
    states = {entry.name: checkpoints.state(entry) for entry in entries}
    for name, state in states.items():
        if state is checkpoints.State.DAMAGED:
            return Finding("checkpoint", f"{name} is damaged", f"lipfarm models pull {name}")
    found = [name for name, state in states.items() if state is checkpoints.State.SOUND]
    if found:
        return Finding("checkpoint", f"installed: {', '.join(found)}")
    return Finding("checkpoint", "none; jobs are drafts until: lipfarm models pull wav2lip_gan")


def _check_disk(settings: Settings) -> Finding:
    folder = settings.scratch_dir
    while not folder.exists():
        folder = folder.parent
    free, floor = shutil.disk_usage(folder).free, settings.free_space_floor_bytes
    message = f"{free / _GIB:.1f} GiB free for {settings.scratch_dir}"
    if not os.access(folder, os.W_OK):
        return Finding("disk", f"{folder} cannot be written", "set LIPFARM_SCRATCH_DIR")
    if free < floor:
        return Finding(
            "disk",
            f"{message}, less than the {floor / _GIB:.1f} GiB below which workers claim nothing",
            "free some, or set LIPFARM_SCRATCH_DIR to a larger disk",
        )
    return Finding("disk", message)


def _as_json(finding: Finding) -> str:
    return json.dumps({"ok": not finding.is_wrong} | asdict(finding))


def _as_line(finding: Finding) -> str:
    if not finding.is_wrong:
        return f"{click.style('ok   ', fg='green')}  {finding.check:<10}  {finding.message}"
    head = f"{click.style('WRONG', fg='red')}  {finding.check:<10}  {finding.message}"
    return f"{head}; to mend it: {finding.mend}"
