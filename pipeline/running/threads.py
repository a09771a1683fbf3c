"""Work ahead in threads: an iterator in one of its own, or a function over items in several.

Decoding, networks, OpenCV and encoding all leave Python's lock while they work, so threads keep
the cores busy without a second process and its memory.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

#: How often a blocked thread looks whether it should stop, in seconds.
_LOOK_SECONDS = 0.1


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetch(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """Yield the items of an iterable that is run in a thread, at most ``depth`` items ahead.

    An exception in the thread is raised here, in its place. Closing this iterator early stops the
    thread and closes the source.
    """
    producer = _Producer(items, depth)
    producer.start()
    try:
        yield from producer.take()
    finally:
        producer.stop()


def map_in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Iterator[Result]:
    """``work`` of each item, in order, in ``threads`` threads at once.

    At most ``threads + 1`` items are in work or waiting to be taken. The first error is raised in
    its place.
    """
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="map") as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) > threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class _Producer(threading.Thread, Generic[Item]):
    def __init__(self, items: Iterable[Item], depth: int) -> None:
        super().__init__(name="prefetch", daemon=True)
        self._items = items
        self._ready: queue.Queue[Item | _End] = queue.Queue(maxsize=depth)
        self._stopped = threading.Event()

    def run(self) -> None:
        iterator = iter(self._items)
        error: BaseException | None = None
        try:
            for item in iterator:
                if not self._put(item):
                    break
        except BaseException as raised:
            error = raised  # handed to the consumer, whatever it is
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
        self._put(_End(error))

    def take(self) -> Iterator[Item]:
        while True:
            item = self._ready.get()
            if not isinstance(item, _End):
                yield item
            elif item.error is not None:
                raise item.error
            else:
                return

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def _put(self, item: Item | _End) -> bool:
        while not self._stopped.is_set():
            try:
                self._ready.put(item, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
            return True
        return False
