"""Projects and keys from the command line, and the log of it."""

import json
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from infra.db.projects import authenticate
from infra.db.session import Database
from infra.settings import Settings
from lipfarm.key_commands import keys, projects

Run = Callable[..., Result]


@pytest.fixture
def run(farm_environment: Settings) -> Run:
    def run(group: object, *arguments: str) -> Result:
        done = CliRunner().invoke(group, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done

    return run


@pytest.fixture
def database(farm_settings: Settings) -> Iterator[Database]:
    database = Database(farm_settings.database_url)
    yield database
    database.close()


def test_key_of_a_new_project_works_until_it_is_revoked(run: Run, database: Database) -> None:
    run(projects, "create", "studio", "--requests-per-minute", "100", "--live-jobs", "5")
    done = run(keys, "create", "--project", "studio", "--name", "ingest", "--scope", "admin")
    secret = done.stdout.strip()
    with database.transaction() as session:
        caller = authenticate(session, secret)
    assert caller is not None
    assert (caller.project_name, caller.scopes) == ("studio", ("admin",))
    assert (caller.requests_per_minute, caller.live_jobs) == (100, 5)
    run(keys, "revoke", "--project", "studio", str(caller.key_id))
    with database.transaction() as session:
        assert authenticate(session, secret) is None
        log = session.execute(text("SELECT action, a::text FROM audit_log a ORDER BY id")).all()
    assert [row[0] for row in log] == ["project.create", "key.create", "key.revoke"]
    assert not any(secret in row[1] for row in log)


def test_lists_show_no_secret(run: Run) -> None:
    run(projects, "create", "shown")
    secret = run(keys, "create", "--project", "shown", "--name", "one").stdout.strip()
    listed = run(keys, "list", "--project", "shown", "--json").stdout
    key = json.loads(listed)
    assert (key["name"], key["scopes"], key["prefix"]) == ("one", "submit", secret[:11])
    assert secret not in listed
    found = [json.loads(line) for line in run(projects, "list", "--json").stdout.splitlines()]
    assert "shown" in [project["name"] for project in found]


def test_limits_are_changed_and_the_rest_stays(run: Run) -> None:
    run(projects, "create", "changed", "--weight", "3")
    run(projects, "set", "changed", "--live-jobs", "7")
    found = [json.loads(line) for line in run(projects, "list", "--json").stdout.splitlines()]
    (project,) = [each for each in found if each["name"] == "changed"]
    assert (project["weight"], project["liveJobs"]) == (3, 7)


def test_unknown_project_and_key_are_refused(farm_environment: Settings) -> None:
    from infra.errors import NotFoundError  # noqa: PLC0415

    for arguments in (
        ["create", "--project", "nobody", "--name", "x"],
        ["revoke", "--project", "nobody", "00000000-0000-0000-0000-000000000000"],
    ):
        done = CliRunner().invoke(keys, arguments)
        assert isinstance(done.exception, NotFoundError)
