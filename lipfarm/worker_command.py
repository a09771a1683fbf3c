"""``lipfarm worker`` and ``lipfarm reconciler``: the processes that do a farm's work."""

from typing import cast, get_args

import click

from infra.db.states import Queue
from infra.settings import load_settings
from lipfarm.choices import DEVICE

_QUEUES: tuple[Queue, ...] = get_args(Queue)


class _Queues(click.ParamType[tuple[Queue, ...]]):
    """One queue, or several with commas between them."""

    name = "queues"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        return "|".join(_QUEUES)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Queue, ...]:
        words = tuple(dict.fromkeys(str(value).split(",")))
        if not set(words) <= set(_QUEUES):
            self.fail(f"{value!r}: queues are {', '.join(_QUEUES)}", param, ctx)
        return cast("tuple[Queue, ...]", words)


@click.command()
@click.option("--queues", type=_Queues(), required=True, help="What to work on; commas between.")
@click.option("--concurrency", type=click.IntRange(1, 256), default=1, help="Steps at once.")
@click.option("--device", type=DEVICE, default="auto", help="auto, cpu or cuda:N.")
@click.option("--name", help="Of the worker, for people.")
def worker(queues: tuple[Queue, ...], concurrency: int, device: str, name: str | None) -> None:
    """Claim steps and work on them, until told to stop."""
    from infra.logs import configure_logs  # noqa: PLC0415 -- `lipfarm --help` needs none of it
    from pipeline.media.ffmpeg_program import check_ffmpeg  # noqa: PLC0415
    from workers.worker import WorkerChoice, run_worker  # noqa: PLC0415

    settings = load_settings()
    check_ffmpeg()
    configure_logs()
    run_worker(settings, WorkerChoice(queues, concurrency, device, name))


@click.command()
def reconciler() -> None:
    """Mend what went wrong in the farm, again and again; any number may run, one leads."""
    from infra.logs import configure_logs  # noqa: PLC0415 -- `lipfarm --help` needs none of it
    from workers.reconciler import run_reconciler  # noqa: PLC0415

    settings = load_settings()
    configure_logs()
    run_reconciler(settings)
