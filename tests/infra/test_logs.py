import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from infra.errors import SettingsError
from infra.logs import as_event, bound, configure_logs, describe_event, get_logger


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging is the whole process's; other tests want it as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    event: dict[str, Any] = json.loads(lines[0])
    return event


def test_an_event_carries_the_context_of_its_block(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(log_format="json")
    with bound(job="j", step=7, attempt=2, language=None):
        get_logger("workers.slot").info("step.completed", frames=120)
    event = said(capsys)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "step.completed",
        "level": "info",
        "logger": "workers.slot",
        "job": "j",
        "step": 7,
        "attempt": 2,
        "frames": 120,
    }
    get_logger("workers.slot").info("worker.idle")
    assert "job" not in said(capsys)


def test_other_libraries_speak_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(log_format="json")
    with bound(job="j"):
        logging.getLogger("celery").warning("retry in %s s", 3)
    event = said(capsys)
    assert (event["event"], event["level"], event["job"]) == ("retry in 3 s", "warning", "j")


@pytest.mark.parametrize(
    "details",
    [
        {"url": "postgresql://lipfarm:hunter2@db:5432/lipfarm"},
        {"url": "redis://:hunter2@db:6379/0"},
        {"url": "http://s3/x?X-Amz-Date=1&X-Amz-Signature=hunter2&a=b"},
        {"api_key": "hunter2"},
        {"headers": {"Authorization": "hunter2", "host": "a"}},
        {"s3_secret_key": "hunter2"},
    ],
)
def test_no_secret_is_said(capsys: pytest.CaptureFixture[str], details: dict[str, object]) -> None:
    configure_logs(log_format="json")
    get_logger("x").info("tried", **details)
    assert "hunter2" not in capsys.readouterr().err


def test_no_secret_is_said_in_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(log_format="json")
    try:
        raise ConnectionError("to postgresql://lipfarm:hunter2@db/lipfarm")
    except ConnectionError:
        get_logger("x").exception("database.unreachable")
    event = said(capsys)
    assert "hunter2" not in event["exception"]
    assert "ConnectionError: to postgresql://lipfarm:***@db/lipfarm" in event["exception"]


def test_the_level_is_the_settings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPFARM_LOG_FORMAT", "json")
    monkeypatch.setenv("LIPFARM_LOG_LEVEL", "warning")
    configure_logs()
    get_logger("x").info("not.said")
    logging.getLogger("y").info("not said")
    get_logger("x").warning("was.said")
    assert said(capsys)["event"] == "was.said"


def test_a_person_reads_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(log_format="console")
    get_logger("x").info("step.completed", frames=120)
    line = capsys.readouterr().err
    assert as_event(line) is None
    assert "step.completed" in line
    assert "frames=120" in line


def test_a_format_nobody_knows_is_named() -> None:
    with pytest.raises(SettingsError, match="LIPFARM_LOG_FORMAT: it is one of json, console"):
        configure_logs(log_format="xml")


def test_an_event_is_described_in_one_line_and_its_traceback() -> None:
    event = as_event('{"event": "step.failed", "level": "error", "step": 7, "exception": "Trace"}')
    assert event is not None
    assert describe_event(event) == "step.failed step=7\nTrace"
    assert as_event("plain words") is None
    assert as_event("{not json") is None
