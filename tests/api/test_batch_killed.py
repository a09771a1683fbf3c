"""An API that is killed in the middle of a batch: sent again, no row is doubled or lost."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import text

from infra.db.session import Database
from infra.settings import Settings
from tests.api.manifests import catalogue, count, results, send, title
from tests.patience import LONG_SECONDS

ROWS = 2500
TAGS = ("fra", "deu", "spa", "ita", "por")


@contextlib.contextmanager
def running_api(settings: Settings) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    assert settings.s3_secret_key is not None
    environment = {
        **os.environ,
        "LIPFARM_DATABASE_URL": settings.database_url,
        "LIPFARM_REDIS_URL": settings.redis_url,
        "LIPFARM_S3_ENDPOINT_URL": settings.s3_endpoint_url or "",
        "LIPFARM_S3_ACCESS_KEY": settings.s3_access_key or "",
        "LIPFARM_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
        "LIPFARM_LOG_FORMAT": "json",
    }
    argv = [sys.executable, "-m", "lipfarm", "api", "--port", "0"]
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            found = next(filter(None, (re.search(r"http://[\d.]+:\d+", x) for x in process.stderr)))
            yield found[0], process
        finally:
            process.kill()


def kill_when_half_read(process: subprocess.Popen[str], database: Database) -> None:
    while count(database, "batch_rows") < ROWS // 5:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)


def test_a_batch_sent_again_after_the_api_was_killed_has_every_row_once(
    settings, database, store, make_key
):
    rows = [title(f"film-{n // 5}", tag) for n in range(0, ROWS, 5) for tag in TAGS]
    file, headers = catalogue(*rows), {"x-api-key": make_key("killed")}
    with running_api(settings) as (url, process):
        killer = threading.Thread(target=kill_when_half_read, args=(process, database))
        killer.start()
        with (
            httpx.Client(base_url=url, headers=headers, timeout=LONG_SECONDS) as client,
            pytest.raises(httpx.TransportError),
        ):
            send(client, file, "films.csv", key="once")
        killer.join()
    read = count(database, "batch_rows")
    assert 0 < read < ROWS
    assert count(database, "jobs") == read
    with (
        running_api(settings) as (url, _),
        httpx.Client(base_url=url, headers=headers, timeout=LONG_SECONDS) as client,
    ):
        (half,) = client.get("/v2/batch").json()
        assert (half["status"], half["rows"]) == ("PENDING", read)
        answer = send(client, file, "films.csv", key="once")
        assert (answer.status_code, answer.json()["id"]) == (201, half["id"])
        again = send(client, file, "films.csv", key="once")
        assert (again.status_code, again.json()["id"]) == (200, half["id"])
        listed = results(client, half)
    assert [(row["title"], row["language"]) for row in listed] == [
        (row["title"], row["language"]) for row in rows
    ]
    assert len({row["id"] for row in listed}) == ROWS
    with database.transaction() as session:
        made = session.execute(text("SELECT count(*), count(DISTINCT job_id) FROM steps")).one()
    assert tuple(made) == (ROWS, ROWS)
    assert count(database, "jobs") == ROWS
