"""``lipfarm api``: the farm's HTTP edge."""

import gc

import click


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: a free one."
)
def api(host: str, port: int) -> None:
    """Answer a farm's clients over HTTP, with the LIPFARM_… settings, until SIGTERM."""
    # What is imported stays: looking for garbage in it is a tenth of the start.
    gc.disable()
    from api.serving import serve  # noqa: PLC0415 -- the command line answers without FastAPI
    from infra.logs import configure_logs  # noqa: PLC0415
    from infra.settings import load_settings  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    settings = load_settings()
    configure_logs()
    serve(settings, host, port)
