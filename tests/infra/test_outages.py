"""A loop lives on, and says what is away once."""

import structlog
from structlog.testing import capture_logs

from infra.errors import ServiceUnavailableError
from infra.outages import Outages


def test_what_is_away_is_told_once_until_it_was_back() -> None:
    with capture_logs() as logs:
        outages = Outages(structlog.get_logger(), "loop")
        for is_away in (True, True, False, True):
            with outages.outlived():
                if is_away:
                    raise ServiceUnavailableError("the database is away")
    assert [(log["event"], log["error"]) for log in logs] == [
        ("loop.unavailable", "the database is away")
    ] * 2


def test_other_errors_are_told_each_time_with_where_they_came_from() -> None:
    with capture_logs() as logs:
        outages = Outages(structlog.get_logger(), "loop")
        for _ in range(2):
            with outages.outlived():
                raise ZeroDivisionError
    assert [(log["event"], log["exc_info"]) for log in logs] == [("loop.failed", True)] * 2
