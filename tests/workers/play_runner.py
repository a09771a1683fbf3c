"""What a runner that plays does: what the job says. Light, as every runner imports it anew."""

import os
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pipeline.errors import UnreadableMediaError
from workers.runner import Advance
from workers.runner_process import begin, serve

FRAMES = 10


def play_entry(connection: Connection, threads: int, log: str) -> None:
    """The entry of a runner that plays."""
    begin(log)
    serve(connection, {"play": play, "self_test": play_self_test}, log)


def play(given: dict[str, Any], advance: Advance) -> int:
    """Note that it began, then do as told: nothing, ``hang``, ``die``, ``once-die``, ``refuse``."""
    note, deed = Path(given["note"]), given["deed"]
    with note.open("a") as file:
        file.write(f"{os.getpid()}\n")
    sys.stderr.write("last words\n")
    sys.stderr.flush()
    begun = len(note.read_text().splitlines())
    if deed == "die" or (deed == "once-die" and begun == 1):
        os.abort()
    if deed == "refuse":
        raise UnreadableMediaError("it is not media")
    if deed == "break":
        raise RuntimeError("a device fell off the bus")
    if deed == "hang":
        advance(FRAMES // 2)
        while True:
            time.sleep(0.2)
            if given["breathes"]:
                advance(0)
    if deed == "until-told":
        while not note.with_suffix(".go").exists():
            time.sleep(0.02)
            advance(0)
    advance(FRAMES)
    return FRAMES


def play_self_test(given: dict[str, Any], advance: Advance) -> None:
    """Pass if there is a file that says so."""
    if not Path(os.environ["PLAY_WELL"]).exists():
        raise RuntimeError("still sick")
