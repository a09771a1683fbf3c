"""`lipfarm batch` and `lipfarm estimate`, against a real API."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result

from infra.batch_results import close_ended_batches
from lipfarm import batch_commands
from lipfarm.farm_client import JobNotCompletedError, RequestRefusedError
from pipeline.errors import UnreadableMediaError
from tests.api.conftest import (  # noqa: F401 -- fixtures
    database,
    make_key,
    seaweed,
    settings,
    store,
    url,
)
from tests.api.manifests import catalogue, jsonl, line, title

Lipfarm = Callable[..., Result]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "films.csv"
    rows = [title(tmp_path.name, "fra"), title(tmp_path.name, "deu"), title("wrong", "x" * 50)]
    path.write_bytes(catalogue(*rows))
    return path


def said(result: Result) -> dict[str, Any]:
    assert result.exception is None, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_a_manifest_is_sent_and_its_bad_rows_are_told(lipfarm, manifest):
    sent = lipfarm("batch", "submit", manifest, "--name", "Films")
    assert sent.exception is None, sent.output
    assert "row 4: generation_input_validation_failed" in sent.stderr
    batch = said(lipfarm("batch", "status", sent.stdout.strip(), "--json"))
    assert (batch["name"], batch["rows"], batch["refusedRows"]) == ("Films", 3, 1)
    shown = lipfarm("batch", "status", sent.stdout.strip())
    assert "queued, 0 of 3 done, 1 failed, 2 to go" in shown.stdout


def test_the_same_file_is_the_same_batch_unless_it_is_said_again(lipfarm, manifest):
    first = lipfarm("batch", "submit", manifest).stdout
    assert lipfarm("batch", "submit", manifest).stdout == first
    assert lipfarm("batch", "submit", manifest, "--again").stdout != first


def test_a_dry_run_counts(lipfarm, manifest):
    assert lipfarm("batch", "submit", manifest, "--dry-run").stdout == "2 of 3 rows can be used\n"


def test_a_batch_may_be_all_or_none(lipfarm, manifest):
    whole = lipfarm("batch", "submit", manifest, "--whole")
    assert isinstance(whole.exception, RequestRefusedError)
    assert "line 4" in str(whole.exception)


def test_the_result_goes_to_a_file_or_to_stdout(lipfarm, manifest, tmp_path):
    batch = lipfarm("batch", "submit", manifest).stdout.strip()
    lines = lipfarm("batch", "result", batch).stdout.splitlines()
    assert [json.loads(each)["status"] for each in lines] == ["PENDING", "PENDING", "REJECTED"]
    table = tmp_path / "result.csv"
    lipfarm("batch", "result", batch, "--format", "csv", "--output", table)
    with table.open(newline="") as file:
        assert [row["language"] for row in csv.DictReader(file)][:2] == ["fra", "deu"]


def test_a_canceled_batch_ends_and_who_waits_is_told(
    lipfarm,
    manifest,
    database,  # noqa: F811
    store,  # noqa: F811
    monkeypatch,
):
    batch = lipfarm("batch", "submit", manifest).stdout.strip()
    assert said(lipfarm("batch", "cancel", batch, "--json"))["states"] == {"canceled": 2}
    monkeypatch.setattr(
        batch_commands.time, "sleep", lambda _: close_ended_batches(database, store)
    )
    waited = lipfarm("batch", "status", batch, "--wait")
    assert isinstance(waited.exception, JobNotCompletedError)
    assert "3 of 3 rows have no output" in str(waited.exception)


@pytest.mark.parametrize(
    ("states", "refused", "told"),
    [
        ({"completed": 7}, 0, "completed, 7 of 7 done"),
        ({"failed": 4, "rejected": 2}, 1, "completed with 7 errors, 0 of 7 done"),
        ({"completed": 6, "failed": 1}, 0, "completed with 1 error, 6 of 7 done"),
        ({"completed": 5, "failed": 1, "canceled": 1}, 0, "completed with 1 error, 1 canceled, 5"),
    ],
)
def test_a_batch_that_ended_says_how_many_rows_failed(states, refused, told):
    done = states.get("completed", 0)
    numbers = {"total_generations": 7, "success_count": done, "pending_count": 0}
    found = {"status": "COMPLETED", "states": states, "refusedRows": refused}
    line = batch_commands._line(found | {"metrics": numbers | {"failed_count": 7 - done}})
    assert line.startswith(told)


def test_lines_of_other_clients_are_taken(lipfarm, tmp_path):
    path = tmp_path / "batch.jsonl"
    path.write_bytes(jsonl(line("a"), line("b")))
    assert said(lipfarm("batch", "submit", path, "--json"))["kind"] == "requests"


def test_a_manifest_that_is_not_there_is_said(lipfarm, tmp_path):
    missing = lipfarm("batch", "submit", tmp_path / "films.csv")
    assert isinstance(missing.exception, UnreadableMediaError)


def test_an_estimate_of_what_cannot_be_fetched_is_refused(lipfarm):
    inside = "http://127.0.0.1:9/film.mp4"
    refused = lipfarm("estimate", "--video", inside, "--audio", inside)
    assert isinstance(refused.exception, RequestRefusedError)
    assert "not a public address" in str(refused.exception)


def test_an_estimate_is_shown(lipfarm, clips, url, make_key):  # noqa: F811
    ids = []
    for kind, name in (("video", "talk_mpeg4_25fps.mp4"), ("audio", "dialogue_short.flac")):
        files = {kind: (name, (clips / name).read_bytes())}
        headers = {"x-api-key": make_key("ours")}
        ids.append(httpx.post(f"{url}/v2/assets", files=files, headers=headers).json()["id"])
    shown = lipfarm("estimate", "--video", ids[0], "--audio", ids[1], "--sync-mode", "cut_off")
    assert shown.exception is None, shown.output
    assert "frames, 0:00:0" in shown.stdout
    assert "cost: 0.00" in shown.stdout
