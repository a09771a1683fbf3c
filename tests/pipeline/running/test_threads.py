import threading
import time
from collections.abc import Iterator

import pytest

from pipeline.running.threads import prefetch


def test_items_come_in_order() -> None:
    assert list(prefetch(range(100), 3)) == list(range(100))


def test_error_in_the_thread_is_raised_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    got = prefetch(items(), 4)
    assert next(got) == 1
    with pytest.raises(ValueError, match="broken"):
        next(got)


def test_it_runs_no_further_ahead_than_told() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    got = prefetch(items(), 2)
    next(got)
    time.sleep(0.3)
    # One handed out, two waiting, one in hand.
    assert len(made) <= 4
    got.close()


def test_closing_early_closes_the_source_and_ends_the_thread() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.set()

    before = threading.active_count()
    got = prefetch(items(), 2)
    next(got)
    got.close()
    assert closed.is_set()
    assert threading.active_count() == before
