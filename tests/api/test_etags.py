"""Whoever asks again is told that nothing changed, and never keeps an address that has run out."""

import json

import httpx

from api.etags import entity_tag


def test_the_same_facts_are_not_sent_twice(client: httpx.Client) -> None:
    first = client.get("/v2/generations")
    tag = first.headers["etag"]
    again = client.get("/v2/generations", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag


def test_other_facts_are_sent(client: httpx.Client) -> None:
    tag = client.get("/v2/generations").headers["etag"]
    inputs = [{"type": kind, "url": f"https://media.example/{kind}"} for kind in ("video", "audio")]
    client.post("/v2/generate", json={"input": inputs, "model": "draft"})
    again = client.get("/v2/generations", headers={"if-none-match": tag})
    assert again.status_code == 200
    assert again.headers["etag"] != tag
    assert len(again.json()) == 1


def test_refusals_and_the_unsigned_have_no_tag(client: httpx.Client, url: str) -> None:
    assert "etag" not in client.get("/v2/generate/none").headers
    assert "etag" not in httpx.get(f"{url}/v2/generations").headers
    tag = client.get("/v2/generations").headers["etag"]
    answer = httpx.get(f"{url}/v2/generations", headers={"if-none-match": tag})
    assert answer.status_code == 401


def body(signature: str) -> bytes:
    url = f"http://s3/lipfarm/film.mp4?X-Amz-Date={signature}&X-Amz-Signature={signature}"
    return json.dumps({"outputUrl": url, "state": "completed"}).encode()


def test_an_address_signed_anew_is_the_same_for_half_an_hour() -> None:
    assert entity_tag(body("a"), now=3600) == entity_tag(body("b"), now=3600 + 1799)
    assert entity_tag(body("a"), now=3600) != entity_tag(body("a"), now=3600 + 1800)


def test_without_addresses_time_does_not_matter() -> None:
    assert entity_tag(b"[]", now=0) == entity_tag(b"[]", now=10**9)
    assert entity_tag(b"[]") != entity_tag(b"[1]")
