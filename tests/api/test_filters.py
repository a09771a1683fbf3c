"""Generations found again: by what is known of them, in every order, page by page."""

import uuid
from typing import Any

import pytest
from sqlalchemy import text


@pytest.fixture
def find(client):
    def ids(**query: Any) -> list[str]:
        answer = client.get("/v2/generations", params=query)
        assert answer.status_code == 200, answer.text
        return [generation["id"] for generation in answer.json()]

    return ids


@pytest.fixture
def page_through(client):
    """All ids of a list, asked for two at a time."""

    def pages(**query: Any) -> list[str]:
        seen: list[str] = []
        while True:
            answer = client.get("/v2/generations", params=query | {"limit": 2})
            assert answer.status_code == 200, answer.text
            seen += [generation["id"] for generation in answer.json()]
            cursor = answer.headers.get("x-next-cursor")
            if cursor is None:
                return seen
            query["cursor"] = cursor

    return pages


def test_each_filter_finds_what_it_names_and_together_they_find_what_is_all_of_it(
    client, order, find
):
    french = order(language="fra", labels=["series", "pilot"], name="The Beach at Night")
    german = order(language="deu", labels=["series"], name="100% of it_all")
    client.post(f"/v2/generate/{german}/cancel")
    assert find(label="series") == [german, french]
    assert find(label=["series", "pilot"]) == [french]
    assert find(language="deu") == [german]
    assert find(state="canceled") == find(status="FAILED") == [german]
    assert find(state="queued,canceled", label="series", language="fra") == [french]
    assert find(state="queued", status="FAILED") == []
    assert find(q="beach") == [french]
    assert find(q="100%") == find(q="it_a") == [german]
    assert find(q="%") == [german]
    assert find(q=french) == find(q=french[:8].upper()) == [french]
    assert find(attention=False) == [german, french]
    assert find(attention=True) == find(batchId=str(uuid.uuid4())) == []
    made = client.get(f"/v2/generate/{french}").json()["createdAt"]
    assert find(created_after=made) == [german]
    assert find(created_before=made) == []


def test_a_batch_is_found_by_its_id(database, order, find):
    first, _ = order(), order()
    with database.transaction() as session:
        batch = session.scalar(
            text(
                "INSERT INTO batches (project_id, name) "
                "SELECT project_id, 'night' FROM jobs WHERE id = :job RETURNING id"
            ),
            {"job": first},
        )
        session.execute(
            text("UPDATE jobs SET batch_id = :batch WHERE id = :job"),
            {"batch": batch, "job": first},
        )
    assert find(batchId=str(batch)) == [first]


def test_every_order_is_paged_without_gap_or_double(database, order, page_through):
    made = [order() for _ in range(7)]
    with database.transaction() as session:
        session.execute(
            text("UPDATE jobs SET attention = true WHERE id = ANY (:jobs)"),
            {"jobs": [uuid.UUID(made[1]), uuid.UUID(made[3]), uuid.UUID(made[4])]},
        )
    newest = made[::-1]
    needy = [made[4], made[3], made[1]]
    assert page_through() == newest
    assert page_through(order="oldest") == made
    assert page_through(order="attention") == needy + [i for i in newest if i not in needy]
    assert page_through(order="attention", attention="true") == needy


def test_a_cursor_is_good_for_its_own_order_alone(client, order):
    for _ in range(2):
        order()
    cursor = client.get("/v2/generations", params={"limit": 1}).headers["x-next-cursor"]
    refused = client.get("/v2/generations", params={"order": "attention", "cursor": cursor})
    assert (refused.status_code, refused.json()["error_code"]) == (400, "request_invalid")


@pytest.mark.parametrize(
    "query",
    [
        "state=asleep",
        "batchId=7",
        "order=best",
        "attention=perhaps",
        "created_after=yesterday",
        "created_before=2026-01-01T00:00:00",
        "q=%00",
        "language=!",
        "label=" + "x" * 300,
    ],
)
def test_a_filter_that_cannot_be_read_is_named(client, query):
    answer = client.get(f"/v2/generations?{query}")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "request_invalid")
    assert query.partition("=")[0] in answer.json()["message"]
