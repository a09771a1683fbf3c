"""Saved views: a project's own, one of each name, with nothing but the dashboard's filters."""

import uuid
from typing import get_args

import httpx
import pytest

from api.dashboard import pages
from api.routes.views import MOST_VIEWS, Show

FILTER = {"show": "attention", "q": "épisode", "label": "season 1", "language": "pt-BR"}


def save(client: httpx.Client, name: str, **wanted: str) -> httpx.Response:
    return client.post("/v2/views", json={"name": name, "filter": wanted})


@pytest.fixture(autouse=True)
def no_views(client: httpx.Client) -> None:
    for view in client.get("/v2/views").json():
        assert client.delete(f"/v2/views/{view['id']}").status_code == 204


def test_a_view_is_saved_listed_changed_and_deleted(
    client: httpx.Client, stranger: httpx.Client
) -> None:
    batch = str(uuid.uuid4())
    made = save(client, "Night shift", **FILTER, batchId=batch)
    assert made.status_code == 201, made.text
    view = made.json()
    assert view["filter"] == {**FILTER, "batchId": batch}
    save(client, "A view before it", label="rush")
    listed = client.get("/v2/views").json()
    assert [each["name"] for each in listed] == ["A view before it", "Night shift"]
    assert listed[1] == view
    assert stranger.get("/v2/views").json() == []
    path = f"/v2/views/{view['id']}"
    renamed = client.patch(path, json={"name": "Day shift"}).json()
    assert renamed == {**view, "name": "Day shift"}
    changed = client.patch(path, json={"filter": {"show": "failed"}}).json()
    assert changed == {**renamed, "filter": {"show": "failed"}}
    assert client.delete(path).status_code == 204
    assert client.delete(path).json()["error_code"] == "view_not_found"
    assert client.patch(path, json={"name": "x"}).json()["error_code"] == "view_not_found"


def test_a_name_is_there_once_in_a_project(client: httpx.Client, stranger: httpx.Client) -> None:
    save(client, "Night shift", label="one")
    other = save(client, "Day shift").json()
    again = save(client, "Night shift", label="two")
    assert (again.status_code, again.json()["error_code"]) == (409, "view_conflict")
    taken = client.patch(f"/v2/views/{other['id']}", json={"name": "Night shift"})
    assert (taken.status_code, taken.json()["error_code"]) == (409, "view_conflict")
    listed = client.get("/v2/views").json()
    assert [(each["name"], each["filter"]) for each in listed] == [
        ("Day shift", {}),
        ("Night shift", {"label": "one"}),
    ]
    theirs = save(stranger, "Night shift")
    assert theirs.status_code == 201
    stranger.delete(f"/v2/views/{theirs.json()['id']}")


def test_a_project_has_so_many_and_no_more(client: httpx.Client) -> None:
    for number in range(MOST_VIEWS):
        assert save(client, f"View {number}").status_code == 201
    assert save(client, "One more").json()["error_code"] == "view_conflict"


@pytest.mark.parametrize(
    "wanted",
    [
        {"show": "everything"},
        {"q": "\x00"},
        {"q": ""},
        {"batchId": "x"},
        {"cursor": "x"},
        {"label": ["season 1"]},
    ],
)
def test_what_is_no_filter_is_not_kept(client: httpx.Client, wanted: dict[str, str]) -> None:
    assert save(client, "View", **wanted).status_code == 400
    assert save(client, "").status_code == 400
    assert client.get("/v2/views").json() == []


def test_the_dashboard_has_the_same_words() -> None:
    script = (pages._HERE / "static" / "js" / "jobs.js").read_text()
    for show in get_args(Show):
        assert f'{{ name: "{show}", word:' in script
    assert script.count('{ name: "') == len(get_args(Show)) + 1  # and all of them
