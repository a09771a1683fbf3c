import stat
from pathlib import Path

import pytest
import redis

from infra.services.valkey import Valkey, running_valkey


def test_only_the_password_opens_it(tmp_path: Path) -> None:
    with running_valkey(tmp_path) as server:
        assert server.is_ready()
        assert not Valkey(tmp_path, server.port, "wrong").is_ready()
        stranger = redis.Redis(host="127.0.0.1", port=server.port)
        with stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()


def test_the_password_is_on_no_command_line_and_in_no_readable_file(tmp_path: Path) -> None:
    server = Valkey(tmp_path / "valkey", 1, "secret-word")
    program = server.program()
    settings = Path(program.argv[-1])
    assert "secret-word" not in " ".join(program.argv)
    assert "secret-word" in settings.read_text()
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600


def test_it_refuses_when_full_and_writes_nothing_to_disk(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}
