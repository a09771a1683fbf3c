from pathlib import Path

import pytest

from infra.services.folder import FarmFolder
from infra.settings import Settings
from lipfarm.farm_processes import farm_processes, prepare_servers

GIVEN = {
    "LIPFARM_DATABASE_URL": "postgresql://db/lipfarm",
    "LIPFARM_REDIS_URL": "redis://bells/0",
    "LIPFARM_S3_ENDPOINT_URL": "http://bucket",
    "LIPFARM_S3_ACCESS_KEY": "a",
    "LIPFARM_S3_SECRET_KEY": "b",
    "LIPFARM_S3_BUCKET": "films",
}


def test_servers_given_from_outside_are_used_and_none_is_started(tmp_path: Path) -> None:
    servers = prepare_servers(FarmFolder(tmp_path), GIVEN)
    assert servers.components == ()
    assert servers.postgres is None
    assert servers.environment == GIVEN | {"LIPFARM_SCRATCH_DIR": str(tmp_path / "scratch")}


@pytest.mark.parametrize(
    ("missing", "started"),
    [
        ("LIPFARM_DATABASE_URL", "postgres"),
        ("LIPFARM_REDIS_URL", "valkey"),
        ("LIPFARM_S3_ENDPOINT_URL", "seaweedfs"),
    ],
)
def test_only_what_is_missing_is_started(tmp_path: Path, missing: str, started: str) -> None:
    given = {name: value for name, value in GIVEN.items() if name != missing}
    servers = prepare_servers(FarmFolder(tmp_path), given)
    assert [component.name for component in servers.components] == [started]
    assert "127.0.0.1" in servers.environment[missing]


def test_workers_are_numbered_by_queue_and_get_time_to_drain(tmp_path: Path) -> None:
    settings = Settings(database_url="postgresql://db/x", redis_url="redis://r/0", drain_seconds=99)
    workers = {"cpu": 2, "gpu": 1, "stitch": 0}
    components = farm_processes(8000, workers, settings, {"A": "b"}, ("postgres",))
    assert [component.name for component in components] == [
        *("api", "reconciler", "worker-cpu-1", "worker-cpu-2", "worker-gpu-1")
    ]
    assert {component.needs for component in components} == {("postgres",)}
    gpu = components[-1].program()
    assert gpu.argv[-3:] == ("worker", "--queues", "gpu")
    assert gpu.stop_seconds > 99
    assert gpu.environment == {"A": "b"}
