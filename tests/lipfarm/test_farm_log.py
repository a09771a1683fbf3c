import io
import json

import pytest

from lipfarm.farm_log import FarmLog


def lines(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def test_each_line_begins_with_its_component() -> None:
    stream = io.StringIO()
    log = FarmLog(as_json=False, stream=stream)
    log.add_line("worker-gpu-1", '{"event": "step.completed", "level": "info", "step": 7}')
    log.add_line("postgres", "LOG:  ready")
    log.add_event("api", "stopped")
    assert [line[9:] for line in lines(stream)] == [
        "worker-gpu-1    step.completed step=7",
        "postgres        LOG:  ready",
        "api             stopped",
    ]


def test_json_lines_keep_what_was_said_and_name_the_component() -> None:
    stream = io.StringIO()
    log = FarmLog(as_json=True, stream=stream)
    log.add_line("api", '{"event": "x", "level": "error", "timestamp": "2026-01-01T00:00:00Z"}')
    log.add_line("valkey", "plain words")
    said, plain = map(json.loads, lines(stream))
    assert said == {
        "component": "api",
        "event": "x",
        "level": "error",
        "timestamp": "2026-01-01T00:00:00Z",
    }
    assert (plain["component"], plain["event"], plain["level"]) == ("valkey", "plain words", "info")


def test_what_seaweedfs_tells_its_makers_is_left_out_unless_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    info = "I1123 00:07:12.304346 master.go:400 current: peers"
    warning = "W1123 00:07:12.304346 s3.go:1 no disk"
    stream = io.StringIO()
    log = FarmLog(as_json=False, stream=stream)
    log.add_line("seaweedfs", info)
    log.add_line("seaweedfs", warning)
    assert [line[25:] for line in lines(stream)] == ["s3.go:1 no disk"]
    monkeypatch.setenv("LIPFARM_LOG_LEVEL", "debug")
    stream = io.StringIO()
    FarmLog(as_json=False, stream=stream).add_line("seaweedfs", info)
    assert len(lines(stream)) == 1


def test_a_password_in_a_plain_line_is_not_shown() -> None:
    stream = io.StringIO()
    FarmLog(as_json=False, stream=stream).add_line("x", "to postgresql://a:hunter2@b/c")
    assert "hunter2" not in stream.getvalue()
