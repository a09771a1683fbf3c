"""How far large files are on their way: a bar on a terminal, a line now and then elsewhere."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from lipfarm.uploading import Advance

#: Told a file's name and size; what it returns is told of the bytes that arrived.
ShowUpload = Callable[[str, int], Advance]

#: Seconds between two lines.
_LINE_INTERVAL: Final = 5.0


@contextlib.contextmanager
def show_uploads(*, as_json: bool) -> Iterator[ShowUpload]:
    """Show what is told within the block, on stderr; nothing with ``as_json``."""
    if as_json:
        yield lambda _name, _size: lambda _bytes: None
    elif sys.stderr.isatty():
        with _bars() as show:
            yield show
    else:
        yield _lines


@contextlib.contextmanager
def _bars() -> Iterator[ShowUpload]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def show(name: str, size: int) -> Advance:
            task = bars.add_task(name, total=size)
            return lambda arrived: bars.advance(task, arrived)

        yield show


def _lines(name: str, size: int) -> Advance:
    lock, state = threading.Lock(), {"arrived": 0, "said": float("-inf")}

    def advance(arrived: int) -> None:
        with lock:
            state["arrived"] += arrived
            is_whole = state["arrived"] >= size
            if is_whole or time.monotonic() - state["said"] >= _LINE_INTERVAL:
                state["said"] = time.monotonic()
                click.echo(f"{name}: {state['arrived'] / 1e6:.0f} of {size / 1e6:.0f} MB", err=True)

    return advance
