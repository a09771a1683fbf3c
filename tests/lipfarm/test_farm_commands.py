"""Looking after a farm's database and bucket, as the platform engineer does."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from infra.db.session import Database
from infra.settings import Settings
from infra.storage.objects import ObjectStore
from lipfarm.farm_commands import audit, collect, migrate


@pytest.fixture
def run(farm_environment: Settings):
    return CliRunner().invoke


def test_migrating_a_database_that_is_current_changes_nothing(run) -> None:
    assert run(migrate).exit_code == 0
    assert run(migrate).exit_code == 0


def test_a_farm_that_is_well_passes_the_audit(run) -> None:
    done = run(audit)
    assert (done.exit_code, done.stdout) == (0, "")


def test_a_broken_farm_fails_the_audit_with_one_line_a_finding(
    run, farm_settings: Settings
) -> None:
    database = Database(farm_settings.database_url)
    with database.transaction() as session:
        session.execute(
            text(
                "INSERT INTO projects (name) VALUES ('p');"
                "INSERT INTO assets (project_id, kind, name, object_key) "
                "SELECT id, 'video', 'film', 'k' FROM projects;"
                "INSERT INTO jobs (project_id, source_id, dialogue_id) "
                "SELECT project_id, id, id FROM assets"
            )
        )
    done, as_json = run(audit), run(audit, ["--json"])
    with database.transaction() as session:
        session.execute(text("TRUNCATE projects CASCADE"))
    database.close()
    assert (done.exit_code, as_json.exit_code) == (1, 1)
    assert "no step to work on" in done.stdout
    assert json.loads(as_json.stdout)["check"].startswith("a live job")


def test_garbage_is_told_before_it_goes(
    run, farm_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ObjectStore(farm_settings)
    store.ensure_bucket()
    (tmp_path / "a").write_text("orphan")
    store.put_file(tmp_path / "a", "projects/p/artifacts/k/attempt/a")
    assert run(collect).stdout == ""  # too young to be sure
    monkeypatch.setenv("LIPFARM_ORPHAN_HOURS", "0.0000001")
    assert "projects/p/artifacts/k/attempt/a" in run(collect, ["--dry-run"]).stdout
    assert store.exists("projects/p/artifacts/k/attempt/a")
    assert run(collect).exit_code == 0
    assert not store.exists("projects/p/artifacts/k/attempt/a")
