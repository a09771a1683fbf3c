import os
import signal
import stat
from pathlib import Path

import psutil
import psycopg
import pytest

from infra.errors import ServiceUnavailableError
from infra.services.ports import free_port
from infra.services.postgres import Postgres, create_data_folder, end_leftover, running_postgres
from infra.services.programs import running


def test_only_the_password_opens_it(postgres: Postgres) -> None:
    wrong = Postgres(postgres.folder, postgres.port, "wrong")
    assert postgres.is_ready()
    assert not wrong.is_ready()


def test_the_password_is_on_no_command_line_and_in_no_readable_file(postgres: Postgres) -> None:
    assert postgres.password not in " ".join(postgres.program().argv)
    assert stat.S_IMODE(postgres.folder.stat().st_mode) == 0o700
    beside = [path for path in postgres.folder.parent.iterdir() if path.suffix == ".password"]
    assert beside == []


def test_a_copy_holds_what_the_template_held(postgres: Postgres) -> None:
    postgres.create_database("original")
    with psycopg.connect(postgres.url("original")) as connection:
        connection.execute("CREATE TABLE films (name text)")
    postgres.create_database("copied", template="original")
    with psycopg.connect(postgres.url("copied")) as connection:
        assert connection.execute("SELECT count(*) FROM films").fetchone() == (0,)
    postgres.drop_database("copied")
    assert not postgres.has_database("copied")
    assert postgres.has_database("original")


def test_creating_a_database_twice_says_so(postgres: Postgres) -> None:
    postgres.create_database("twice")
    with pytest.raises(ServiceUnavailableError, match="already exists"):
        postgres.create_database("twice")


def test_rows_survive_kill_and_the_next_start(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "data", free_port(), "secret")
    create_data_folder(server.folder, server.password)
    log = tmp_path / "log"
    with running(server.program(), server.is_ready, log) as process:
        with psycopg.connect(server.url("postgres")) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        process.send_signal(signal.SIGKILL)
        process.wait()
    end_leftover(server.folder)
    with (
        running(server.program(), server.is_ready, log),
        psycopg.connect(server.url("postgres")) as connection,
    ):
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_a_pid_note_of_somebody_else_does_not_hinder_a_start(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "data", free_port(), "secret")
    create_data_folder(server.folder, server.password)
    note = server.folder / "postmaster.pid"
    note.write_text(f"{os.getppid()}\n{server.folder}\n1\n{server.port}\n\n127.0.0.1\n")
    end_leftover(server.folder)
    assert not note.exists()
    with running(server.program(), server.is_ready, tmp_path / "log"):
        pass


def test_a_data_folder_half_made_is_made_anew(tmp_path: Path) -> None:
    unfinished = tmp_path / "data.new"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    create_data_folder(tmp_path / "data", "secret")
    assert (tmp_path / "data" / "postgresql.conf").exists()
    assert not unfinished.exists()


def test_no_process_is_left_when_it_stops(tmp_path: Path) -> None:
    with running_postgres(tmp_path) as server:
        processes = [
            process
            for process in psutil.process_iter(["cmdline"])
            if str(server.folder) in (process.info["cmdline"] or [])
        ]
        assert processes
        processes += processes[0].children(recursive=True)
        clients = psycopg.connect(server.url("postgres"))
    assert not any(process.is_running() for process in processes)
    clients.close()
