"""Batches over HTTP: lip-sync clients' files and catalogues, checked, entered, looked at."""

import csv
import io
import uuid

import httpx
import pytest

from tests.api.manifests import (
    INPUT,
    accepted,
    catalogue,
    count,
    jsonl,
    line,
    results,
    send,
    title,
)
from tests.patience import LONG_SECONDS


def test_a_clients_file_becomes_generations(client, database):
    batch = accepted(send(client, jsonl(line("a"), line("b", priority=3, name="Film B"))))
    assert batch["status"] == "JOBS_CREATED"
    assert batch["metrics"] == {
        "total_generations": 2,
        "success_count": 0,
        "failed_count": 0,
        "pending_count": 2,
    }
    first, second = results(client, batch)
    assert (first["request_id"], first["row"], first["status"]) == ("a", 1, "PENDING")
    made = client.get(f"/v2/generate/{second['id']}").json()
    assert (made["name"], made["priority"], made["model"]) == ("Film B", 3, "draft")
    (step,) = client.get(f"/v2/generate/{second['id']}/steps").json()
    assert (step["stage"], step["state"]) == ("prepare", "queued")
    assert count(database, "steps s JOIN jobs j ON j.id = s.job_id WHERE s.ready AND j.rank = -3")


def test_a_clients_file_is_taken_whole_or_not_at_all(client, database):
    before = count(database, "batches"), count(database, "jobs")
    answer = send(client, jsonl(line("a"), line("b", model="nope"), line("a")))
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "generation_unsupported_model"
    assert answer.json()["message"].startswith("line 2: model: 'nope' is none of")
    assert "line 3: an earlier row has the request_id 'a'" in answer.json()["message"]
    assert (count(database, "batches"), count(database, "jobs")) == before


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (b"", "batch_insufficient_records"),
        (b"\n \n", "batch_insufficient_records"),
        (b"no json\n", "batch_invalid_jsonl"),
        (b'{"request_id": "a"}\n', "batch_invalid_jsonl"),
        (jsonl(line("a") | {"endpoint": "/v2/other"}), "batch_invalid_endpoint"),
        (jsonl(line("a"), line("a")), "batch_duplicate_request_id"),
        (jsonl(line("a", input=INPUT[:1])), "generation_audio_missing"),
        (
            jsonl(line("a", input=[INPUT[0], {"type": "audio", "assetId": str(uuid.uuid4())}])),
            "generation_input_audio_inaccessible",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_code(client, file, code):
    answer = send(client, file)
    assert (answer.status_code, answer.json()["error_code"]) == (400, code)


def test_a_dry_run_orders_nothing(client, database):
    before = count(database, "batches"), count(database, "jobs"), count(database, "assets")
    answer = send(client, jsonl(line("a"), line("b")), dry_run="true")
    assert answer.status_code == 200
    assert answer.json() == {"status": "VALIDATED", "rows": 2, "refusedRows": 0, "errors": []}
    table = catalogue(title("one", "fra"), title("one", "fra"), title("two", "x" * 50))
    checked = send(client, table, "films.csv", dry_run="true").json()
    assert (checked["rows"], checked["refusedRows"]) == (3, 2)
    assert [(e["row"], e["error_code"]) for e in checked["errors"]] == [
        (3, "batch_duplicate_request_id"),
        (4, "generation_input_validation_failed"),
    ]
    assert (
        count(database, "batches"),
        count(database, "jobs"),
        count(database, "assets"),
    ) == before


def test_good_rows_of_a_catalogue_run_and_bad_ones_are_told_with_their_lines(client, database):
    table = catalogue(
        title("one", "fra", labels="Season 1|Drama", priority="5", crf="12", pads="[0,10,0,0]"),
        title("one", "deu", sync_mode="sideways"),
        title("two", "fra", video="ftp://media.example/film.mp4"),
        title("two", "deu", output_name="Two.mkv", options='{"faces": "all"}'),
    )
    batch = accepted(send(client, table, "films.csv"))
    assert (batch["kind"], batch["rows"], batch["refusedRows"]) == ("catalogue", 4, 2)
    assert [(e["row"], e["title"], e["language"]) for e in batch["errors"]] == [
        (3, "one", "deu"),
        (4, "two", "fra"),
    ]
    assert "sync_mode" in batch["errors"][0]["error"]
    assert batch["errors"][1]["error"].startswith("video")
    assert batch["metrics"]["pending_count"] == 2
    assert batch["languages"] == ["fra", "deu"]
    first, *_, last = results(client, batch)
    one = client.get(f"/v2/generate/{first['id']}").json()
    assert (one["labels"], one["priority"]) == (["Season 1", "Drama"], 5)
    assert (one["options"]["crf"], one["options"]["pads"]) == (12, [0, 10, 0, 0])
    assert (one["name"], one["language"], one["outputName"]) == ("one", "fra", "one.fra.mp4")
    two = client.get(f"/v2/generate/{last['id']}").json()
    assert (two["outputName"], two["options"]["faces"]) == ("Two.mkv", "all")


def test_a_catalogue_may_be_lines_of_json(client):
    rows = [title("one", "fra") | {"labels": ["a"], "priority": 1}, {"title": "two"}, [1]]
    batch = accepted(send(client, jsonl(*rows)))
    assert (batch["kind"], batch["rows"], batch["refusedRows"]) == ("catalogue", 3, 2)
    assert [e["row"] for e in batch["errors"]] == [2, 3]


def test_a_table_whose_columns_are_wrong_is_refused_at_its_first_line(client, database):
    before = count(database, "batches")
    strange = send(client, b"title,video,audio,vidoe\n", "films.csv").json()
    assert strange["error_code"] == "batch_invalid_csv"
    assert "no column vidoe" in strange["message"]
    assert "no column audio" in send(client, b"title;video\na;b\n", "films.csv").json()["message"]
    assert count(database, "batches") == before


def test_lines_are_counted_as_an_editor_does(client):
    file = b'\xef\xbb\xbftitle;video;audio\r\n"two\r\nlines";nowhere;x\r\n\r\n"open;x;y\r\n'
    batch = accepted(send(client, file, "films.csv"))
    assert [(e["row"], e["error_code"]) for e in batch["errors"]] == [
        (2, "generation_input_validation_failed"),
        (5, "batch_invalid_csv"),
    ]
    assert (batch["status"], batch["error_code"]) == ("FAILED", "batch_insufficient_records")


def test_rows_that_name_the_same_film_share_one_asset(client, database):
    first = client.post("/v2/assets", files={"video": ("film.mp4", b"frames")}).json()
    table = catalogue(
        *(title("one", language) for language in ("fra", "deu", "ita")),
        *(title("two", language, video=first["id"]) for language in ("fra", "deu")),
    )
    batch = accepted(send(client, table, "films.csv"))
    films = "(SELECT DISTINCT source_id FROM jobs WHERE batch_id = :batch) AS films"
    assert count(database, films, batch=batch["id"]) == 2
    shared = "jobs WHERE batch_id = :batch AND source_id = :film"
    assert count(database, shared, batch=batch["id"], film=first["id"]) == 2


def test_another_projects_asset_is_no_input(client, stranger):
    theirs = stranger.post("/v2/assets", files={"video": ("film.mp4", b"frames")}).json()
    table = catalogue(title("one", "fra"), title("two", "fra", video=theirs["id"]))
    batch = accepted(send(client, table, "films.csv"))
    (error,) = batch["errors"]
    assert (error["row"], error["error_code"]) == (3, "generation_input_video_inaccessible")


def test_pages_of_batches_and_their_filters(client, make_key, url):
    with httpx.Client(
        base_url=url, headers={"x-api-key": make_key("pages")}, timeout=LONG_SECONDS
    ) as other:
        made = [accepted(send(other, jsonl(line("a")), name=f"{n}.jsonl")) for n in range(3)]
        first = other.get("/v2/batch", params={"limit": 2})
        rest = other.get("/v2/batch", params={"cursor": first.headers["x-next-cursor"]})
        newest = [batch["id"] for batch in reversed(made)]
        assert [b["id"] for b in first.json() + rest.json()] == newest
        assert "x-next-cursor" not in rest.headers
        later = other.get("/v2/batch", params={"created_after": made[1]["created_at"]}).json()
        assert [b["id"] for b in later] == newest[:1]
        assert other.get("/v2/batch", params={"status": "COMPLETED"}).json() == []
        assert other.get("/v2/batch", params={"status": "NONSENSE"}).status_code == 400


def test_the_matrix_has_a_cell_for_each_title_and_language(client):
    rows = [title(name, tag) for name in ("b", "a", "c") for tag in ("fra", "deu")]
    batch = accepted(send(client, catalogue(*rows, title("c", "it", crf="99")), "films.csv"))
    page = client.get(f"/v2/batch/{batch['id']}/matrix", params={"limit": 2}).json()
    assert page["languages"] == ["fra", "deu"]
    assert [row["title"] for row in page["titles"]] == ["a", "b"]
    (cell,) = page["titles"][0]["cells"]["deu"]
    assert (cell["state"], cell["row"]) == ("queued", 5)
    assert client.get(f"/v2/generate/{cell['id']}").json()["language"] == "deu"
    rest = client.get(f"/v2/batch/{batch['id']}/matrix", params={"cursor": page["nextCursor"]})
    (last,) = rest.json()["titles"]
    assert last["states"] == {"queued": 2, "refused": 1}
    assert rest.json()["nextCursor"] is None
    assert client.get(f"/v2/batch/{batch['id']}/matrix", params={"cursor": "!"}).status_code == 400


def test_the_result_may_be_a_table(client):
    batch = accepted(send(client, catalogue(title("one", "fra", title="one, again")), "films.csv"))
    answer = client.get(f"/v2/batch/{batch['id']}/result", params={"format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["title"], row["status"], row["output_url"]) == ("one, again", "PENDING", "")
    assert client.get(f"/v2/batch/{batch['id']}/result?format=xml").status_code == 400


@pytest.mark.parametrize(
    ("fields", "files"),
    [
        ({"dry_run": "perhaps"}, {}),
        ({"webhook_url": "file:///etc/passwd"}, {}),
        ({"nonsense": "1"}, {}),
        ({}, {"other": ("b.jsonl", b"{}")}),
    ],
)
def test_what_stands_beside_the_file_is_checked(client, fields, files):
    sent = files or {"input": ("b.jsonl", jsonl(line("a")))}
    answer = client.post("/v2/batch", data=fields, files=sent)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "request_invalid")


def test_a_file_is_no_json_body(client):
    assert client.post("/v2/batch", json={}).status_code == 415
