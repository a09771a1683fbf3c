"""Segments worked on at once: in this process, or in several.

One worker runs here: no second copy of the network in memory. More run in spawned processes (CUDA
and OpenCV do not survive a fork), each with its share of the cores.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TypeVar

import psutil

from pipeline.errors import MemoryExhaustedError
from pipeline.running.threads import map_in_threads

Task = TypeVar("Task")

#: Told how many frames were finished.
Advance = Callable[[int], None]

#: Does one segment's work: (index of the segment, advance).
Work = Callable[[int, Advance], None]


def for_each_segment(
    start_work: Callable[[Task], Work],
    task: Task,
    indices: Iterable[int],
    workers: int,
    advance: Advance,
    lanes: int = 1,
) -> None:
    """Do the work of some segments, ``workers`` at once. The first error ends it and is raised.

    Args:
        start_work: makes a process ready (loads a network, say), once; a class or a module's
            function, so that other processes find it.
        task: what it is given; must pickle.
        indices: of the segments.
        workers: how many at once.
        advance: told of finished frames, by one thread at a time.
        lanes: threads for a single worker, each made ready for itself; for work that leaves cores
            idle.

    Raises:
        MemoryExhaustedError: the system killed a worker, as it does when memory runs out.
    """
    indices = list(indices)
    workers = min(workers, len(indices))
    if not indices:
        return
    if workers == 1:
        _work_in_threads(start_work, task, indices, lanes, advance)
        return
    with ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), _start_worker, (start_work, task, workers)
    ) as pool:
        futures = [pool.submit(_work_in_process, index) for index in indices]
        try:
            for future in as_completed(futures):
                advance(future.result())
        except BrokenProcessPool:
            raise MemoryExhaustedError(
                "a worker process was killed, most likely for memory; run fewer at once",
                field="workers",
            ) from None
        except BaseException:
            for child in psutil.Process().children(recursive=True):
                child.kill()
            raise


def _work_in_threads(
    start_work: Callable[[Task], Work],
    task: Task,
    indices: list[int],
    lanes: int,
    advance: Advance,
) -> None:
    ready = threading.local()
    lock = threading.Lock()

    def count(frames: int) -> None:
        with lock:
            advance(frames)

    def do(index: int) -> None:
        if not hasattr(ready, "work"):
            ready.work = start_work(task)
        ready.work(index, count)

    if lanes == 1:
        for index in indices:
            do(index)
        return
    for _ in map_in_threads(do, indices, lanes):
        pass


_work: Work


def _start_worker(start_work: Callable[[Task], Work], task: Task, workers: int) -> None:
    global _work  # noqa: PLW0603 -- what a pool's initializer leaves for its calls
    # Ctrl-C reaches the whole group; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _share_cores(workers)
    _work = start_work(task)


def _die_with_parent() -> None:
    """A killed parent cannot tell its workers; they notice."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
    os._exit(1)


def _share_cores(workers: int) -> None:
    import torch  # noqa: PLC0415

    threads = max(1, (os.cpu_count() or 1) // workers)
    torch.set_num_threads(threads)


def _work_in_process(index: int) -> int:
    frames = 0

    def count(more: int) -> None:
        nonlocal frames
        frames += more

    _work(index, count)
    return frames
