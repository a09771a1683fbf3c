import json
from pathlib import Path

import av
import pytest
from click.testing import CliRunner, Result

from infra.db.migrating import downgrade, upgrade
from infra.services.ports import free_port
from infra.settings import Settings
from infra.storage.objects import ObjectStore
from lipfarm.doctor_command import doctor
from pipeline.media.ffmpeg_program import pinned_ffmpeg


def examine(*arguments: str) -> Result:
    return CliRunner().invoke(doctor, arguments, catch_exceptions=False)


def wrong(result: Result) -> dict[str, dict[str, object]]:
    """What is wrong, by check."""
    findings = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(bool(found["mend"]) is not found["ok"] for found in findings)
    return {found["check"]: found for found in findings if not found["ok"]}


def test_a_fit_machine_is_found_fit_and_nothing_is_left_in_its_bucket(
    farm_environment: Settings,
) -> None:
    result = examine()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[1] for line in lines] == [
        *("settings", "database", "redis", "bucket", "ffmpeg", "device", "checkpoint", "disk")
    ]
    assert all(line.startswith("ok") for line in lines)
    assert list(ObjectStore(farm_environment).list_objects()) == []


def test_both_versions_of_ffmpeg_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIPFARM_FFMPEG", raising=False)
    [told] = [line for line in examine("--json").stdout.splitlines() if '"ffmpeg"' in line]
    message = json.loads(told)["message"]
    assert f"at {pinned_ffmpeg()} (comes with lipfarm)" in message
    assert f"in process FFmpeg {av.ffmpeg_version_info} of PyAV {av.__version__}" in message


def test_an_unfit_ffmpeg_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "ffmpeg"
    says = "ffmpeg version 5.1.9-0+deb12u1 Copyright\nlibavformat    59. 27.100 / 59. 27.100"
    old.write_text(f"#!/bin/sh\necho '{says}'\n")
    old.chmod(0o755)
    monkeypatch.setenv("LIPFARM_FFMPEG", str(old))
    found = wrong(examine("--json"))["ffmpeg"]
    assert f"{old}: is ffmpeg 5.1.9-0+deb12u1, older than version 9.0" in str(found["message"])
    assert found["mend"] == "correct or unset LIPFARM_FFMPEG"


def test_servers_that_do_not_answer_are_each_named_with_their_variable(
    farm_environment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("LIPFARM_DATABASE_URL", f"postgresql://a:hunter2@{nowhere}/lipfarm")
    monkeypatch.setenv("LIPFARM_REDIS_URL", f"redis://:hunter2@{nowhere}/0")
    monkeypatch.setenv("LIPFARM_S3_ENDPOINT_URL", f"http://{nowhere}")
    result = examine("--json")
    assert result.exit_code == 1
    found = wrong(result)
    assert set(found) == {"database", "redis", "bucket"}
    assert "LIPFARM_DATABASE_URL" in str(found["database"]["mend"])
    assert "LIPFARM_REDIS_URL" in str(found["redis"]["mend"])
    assert "LIPFARM_S3_ENDPOINT_URL" in str(found["bucket"]["mend"])
    assert "hunter2" not in result.output


def test_wrong_keys_are_found(farm_environment: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPFARM_S3_SECRET_KEY", "another")
    assert set(wrong(examine("--json"))) == {"bucket"}


def test_an_old_database_is_told_how_to_become_new(
    farm_environment: Settings, empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPFARM_DATABASE_URL", empty_postgres_url)
    assert wrong(examine("--json"))["database"]["mend"] == "lipfarm migrate"
    upgrade(empty_postgres_url)
    assert wrong(examine("--json")) == {}
    downgrade(empty_postgres_url, "base")


def test_settings_that_are_missing_are_listed_and_the_machine_is_still_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LIPFARM_DATABASE_URL", raising=False)
    monkeypatch.delenv("LIPFARM_REDIS_URL", raising=False)
    result = examine("--json")
    assert result.exit_code == 1
    message = str(wrong(result)["settings"]["message"])
    assert "LIPFARM_DATABASE_URL is not set; LIPFARM_REDIS_URL is not set" in message
    assert '"ffmpeg"' in result.stdout


def test_a_full_disk_and_a_lost_checkpoint_are_found(
    farm_environment: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIPFARM_FREE_SPACE_FLOOR_BYTES", str(1 << 60))
    monkeypatch.setenv("LIPFARM_CHECKPOINT", str(tmp_path / "lost.pth"))
    found = wrong(examine("--json"))
    assert set(found) == {"disk", "checkpoint"}
    assert "workers claim nothing" in str(found["disk"]["message"])
    assert "LIPFARM_CHECKPOINT" in str(found["checkpoint"]["mend"])


def test_a_folder_without_a_farm_says_so(tmp_path: Path) -> None:
    found = wrong(examine("--json", "--data", str(tmp_path)))
    assert "no farm was started in" in str(found["settings"]["message"])
