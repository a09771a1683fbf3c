"""What clients do to generations over HTTP: one, many, a range of one, a step of one."""

import uuid
from typing import Any

import pytest

from tests.api.conftest import INPUT
from tests.infra.db.hands import Hands


@pytest.fixture
def hands(database) -> Hands:
    """Hands in a farm without jobs; the projects and their keys stay."""
    hands = Hands(database)
    hands.run("DELETE FROM jobs")
    return hands


@pytest.fixture
def rendering(order, hands):
    """Id of a generation of four segments, each to be rendered, and a worker for it."""
    generation, worker = order(), hands.worker()
    hands.reach(worker, uuid.UUID(generation), "render", segments=4)
    return generation, worker


def bulk(client, **body: Any) -> dict[str, Any]:
    answer = client.post("/v2/generations/actions", json=body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def test_name_labels_and_priority_are_changed_and_the_rest_stays(client, order):
    made = order(name="before", labels=["a"], priority=3)
    changed = client.patch(f"/v2/generate/{made}", json={"name": "after"}).json()
    assert (changed["name"], changed["labels"], changed["priority"]) == ("after", ["a"], 3)
    changed = client.patch(f"/v2/generate/{made}", json={"labels": [], "priority": -4}).json()
    assert (changed["name"], changed["labels"], changed["priority"]) == ("after", [], -4)
    ranked = client.post(f"/v2/generate/{made}/priority", json={"priority": 9})
    assert ranked.json()["priority"] == client.get(f"/v2/generate/{made}").json()["priority"] == 9


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"state": "completed"}),
        ("PATCH", "", {"name": ""}),
        ("PATCH", "", {"labels": ["x\0"]}),
        ("POST", "/priority", {"priority": 1001}),
        ("POST", "/priority", {}),
        ("POST", "/ranges/actions", {"action": "pause", "start": 5, "end": 5}),
        ("POST", "/ranges/actions", {"action": "pause", "start": 0.5, "end": 5}),
        ("POST", "/ranges/actions", {"action": "priority", "start": 0, "end": 5}),
        ("POST", "/ranges/actions", {"action": "pause", "start": 0, "end": 5, "priority": 1}),
        ("POST", "/ranges/actions", {"action": "delete", "start": 0, "end": 5}),
    ],
)
def test_changes_that_cannot_be_made_are_refused(client, order, method, path, body):
    answer = client.request(method, f"/v2/generate/{order()}{path}", json=body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "request_invalid")


def test_a_bulk_action_does_what_it_can_and_says_of_each_what_became_of_it(client, stranger, order):
    mine, ended = order(), order()
    client.post(f"/v2/generate/{ended}/cancel")
    theirs = stranger.post("/v2/generate", json={"model": "draft", "input": INPUT}).json()["id"]
    done = bulk(client, action="pause", ids=[mine, ended, theirs])
    assert (done["succeeded"], done["failed"]) == (1, 2)
    assert [(each["id"], each["ok"], each["error_code"]) for each in done["results"]] == [
        (mine, True, None),
        (ended, False, "state_conflict"),
        (theirs, False, "generation_not_found"),
    ]
    assert client.get(f"/v2/generate/{mine}").json()["desired"] == "pause"
    assert stranger.get(f"/v2/generate/{theirs}").json()["desired"] == "run"


@pytest.mark.parametrize(
    ("action", "more", "shows"),
    [
        ("cancel", {}, {"state": "canceled"}),
        ("pause", {}, {"desired": "pause"}),
        ("resume", {}, {"desired": "run"}),
        ("retry", {}, {"state": "queued"}),
        ("priority", {"priority": 5}, {"priority": 5}),
    ],
)
def test_each_action_is_done_to_all_that_a_filter_finds(client, order, action, more, shows):
    found, other = [order(labels=["night"]) for _ in range(3)], order(labels=["day"])
    untouched = client.get(f"/v2/generate/{other}").json()
    done = bulk(client, action=action, filter={"label": ["night"]}, **more)
    assert {each["id"] for each in done["results"]} == set(found)
    assert done["failed"] == 0
    for generation in found:
        assert shows.items() <= client.get(f"/v2/generate/{generation}").json().items()
    assert client.get(f"/v2/generate/{other}").json() == untouched


def test_many_are_deleted_page_by_page(client, order):
    for _ in range(5):
        order()
    kept = order(labels=["kept"])
    wanted: dict[str, Any] = {"action": "delete", "filter": {"label": []}, "limit": 2}
    wanted["filter"] = {"created_before": client.get(f"/v2/generate/{kept}").json()["createdAt"]}
    sizes = []
    while True:
        done = bulk(client, **wanted)
        sizes.append(done["succeeded"])
        if done["nextCursor"] is None:
            break
        wanted["cursor"] = done["nextCursor"]
    assert sizes == [2, 2, 1]
    assert [g["id"] for g in client.get("/v2/generations").json()] == [kept]


@pytest.mark.parametrize(
    "body",
    [
        {"action": "cancel"},
        {"action": "cancel", "ids": [], "filter": {}},
        {"action": "cancel", "ids": ["x"]},
        {"action": "cancel", "filter": {"lable": ["x"]}},
        {"action": "priority", "ids": []},
        {"action": "explode", "ids": []},
        {"action": "cancel", "ids": [str(uuid.uuid4()) for _ in range(1001)]},
        {"action": "cancel", "filter": {}, "cursor": "x"},
    ],
)
def test_a_bulk_action_nobody_can_mean_changes_nothing(client, order, body):
    made = order()
    answer = client.post("/v2/generations/actions", json=body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "request_invalid")
    assert client.get(f"/v2/generate/{made}").json()["state"] == "queued"


def test_a_range_in_frames_or_seconds_is_acted_on(client, rendering, hands):
    generation, _ = rendering
    address = f"/v2/generate/{generation}/ranges/actions"
    hands.run("""UPDATE jobs SET facts = '{"prepare": {"prepared": {"frame_rate": "25"}}}'""")
    done = client.post(address, json={"action": "pause", "start": 150, "end": 250}).json()
    assert done["frames"] == [150, 250]
    assert [(s["segmentIndex"], s["held"], s["changed"]) for s in done["steps"]] == [
        (1, True, True),
        (2, True, True),
    ]
    seconds = {"start": 3.9, "end": 4.01, "unit": "seconds"}
    done = client.post(address, json={"action": "keep-original", **seconds}).json()
    assert done["frames"] == [97, 101]
    assert [(s["state"], s["keptOriginal"]) for s in done["steps"]] == [("completed", True)] * 2
    done = client.post(address, json={"action": "retry", "start": 0, "end": 400}).json()
    assert [step["changed"] for step in done["steps"]] == [False] * 4
    done = client.post(
        address, json={"action": "priority", "start": 300, "end": 400, "priority": 8}
    ).json()
    assert [step["changed"] for step in done["steps"]] == [True]


def test_a_range_of_what_is_not_cut_yet_or_ended_is_a_conflict(client, order):
    generation = order()
    for unit in ("frames", "seconds"):
        answer = client.post(
            f"/v2/generate/{generation}/ranges/actions",
            json={"action": "pause", "start": 0, "end": 10, "unit": unit},
        )
        assert (answer.status_code, answer.json()["error_code"]) == (409, "state_conflict")


def test_a_failed_step_is_retried_or_keeps_the_original(client, rendering, hands):
    generation, worker = rendering
    failed = [hands.must_claim(worker, "gpu") for _ in range(2)]
    for claim in failed:
        hands.fail(claim, "content")
    assert client.get(f"/v2/generate/{generation}").json()["attention"] is True
    steps = f"/v2/generate/{generation}/steps"
    retried = client.post(f"{steps}/{failed[0].step_id}/retry")
    assert (retried.status_code, retried.json()["state"]) == (200, "queued")
    kept = client.post(f"{steps}/{failed[1].step_id}/keep-original")
    assert (kept.status_code, kept.json()["state"]) == (200, "completed")
    assert kept.json()["keptOriginal"] is True
    assert client.get(f"/v2/generate/{generation}").json()["attention"] is False
    again = client.post(f"{steps}/{failed[1].step_id}/keep-original")
    assert (again.status_code, again.json()["error_code"]) == (409, "state_conflict")


def test_a_step_that_waits_keeps_the_original_without_failing_first(client, rendering):
    generation, _ = rendering
    steps = client.get(f"/v2/generate/{generation}/steps").json()
    waiting = next(s for s in steps if s["stage"] == "render" and s["segmentIndex"] == 3)
    kept = client.post(f"/v2/generate/{generation}/steps/{waiting['id']}/keep-original").json()
    assert (kept["state"], kept["keptOriginal"]) == ("completed", True)


def test_what_is_another_projects_is_not_there(client, stranger, order):
    made = order()
    for method, path, body in (
        ("PATCH", "", {"name": "mine"}),
        ("POST", "/priority", {"priority": 1}),
        ("POST", "/ranges/actions", {"action": "pause", "start": 0, "end": 1}),
    ):
        answer = stranger.request(method, f"/v2/generate/{made}{path}", json=body)
        assert (answer.status_code, answer.json()["error_code"]) == (404, "generation_not_found")
    assert bulk(stranger, action="delete", ids=[made])["failed"] == 1
    assert client.get(f"/v2/generate/{made}").status_code == 200
