"""In and out of the dashboard with a key, and what a cookie may do."""

import uuid
from collections.abc import Callable, Iterator

import httpx
import pytest
from sqlalchemy import text

from api.farm import COOKIE
from infra.db.keys import revoke_api_key
from infra.db.projects import create_api_key, create_project
from infra.db.session import Database

SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def browser(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url) as browser:
        yield browser


@pytest.fixture
def key(make_key: Callable[..., str]) -> str:
    return make_key("studio", "submit")


def sign_in(browser: httpx.Client, key: str) -> httpx.Response:
    return browser.post("/dashboard/sign-in", json={"key": key}, headers=SAME_ORIGIN)


def test_cookie_stands_for_its_key(browser: httpx.Client, key: str) -> None:
    assert browser.get("/v2/generations").status_code == 401
    answer = sign_in(browser, key)
    assert answer.status_code == 200
    assert answer.json()["project"] == "studio"
    assert browser.get("/v2/generations").status_code == 200


def test_cookie_is_out_of_reach_of_scripts_and_other_sites(browser: httpx.Client, key: str) -> None:
    cookie = sign_in(browser, key).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Max-Age=43200" in cookie
    assert key not in cookie
    assert "Secure" not in cookie  # this farm is at http://


def test_cookie_is_secure_where_the_address_is_https(browser: httpx.Client, key: str) -> None:
    # As a proxy on this machine says it.
    cookie = browser.post(
        "/dashboard/sign-in", json={"key": key}, headers={"x-forwarded-proto": "https"}
    ).headers["set-cookie"]
    assert "Secure" in cookie


def test_only_a_hash_of_the_cookie_is_kept(
    browser: httpx.Client, key: str, database: Database
) -> None:
    sign_in(browser, key)
    with database.transaction() as session:
        rows = session.execute(text("SELECT sign_ins::text FROM sign_ins")).scalars().all()
    assert not any(browser.cookies[COOKIE] in row for row in rows)
    assert len(browser.cookies[COOKIE]) >= 43


def test_form_leads_on_and_nowhere_else(browser: httpx.Client, key: str) -> None:
    for asked, leads in {
        "/dashboard/jobs?state=failed": "/dashboard/jobs?state=failed",
        "https://elsewhere.example": "/dashboard",
        "//elsewhere.example": "/dashboard",
        "/dashboard\\@elsewhere.example": "/dashboard",
        "/dashboardx": "/dashboard",
    }.items():
        answer = browser.post("/dashboard/sign-in", data={"key": key, "next": asked})
        assert (answer.status_code, answer.headers["location"]) == (303, leads)


def test_wrong_key_leads_back_to_the_door(browser: httpx.Client) -> None:
    answer = browser.post("/dashboard/sign-in", data={"key": "lf_wrong"})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/dashboard/sign-in?refused=unauthorized")
    assert "lf_wrong" not in answer.headers["location"]
    assert COOKIE not in answer.cookies


def test_signing_out_ends_the_cookie(browser: httpx.Client, key: str) -> None:
    sign_in(browser, key)
    kept = browser.cookies[COOKIE]
    assert browser.post("/dashboard/sign-out", headers=SAME_ORIGIN).status_code == 303
    assert COOKIE not in browser.cookies
    browser.cookies.set(COOKIE, kept)
    assert browser.get("/v2/generations").status_code == 401


def test_cookie_ends_with_its_key(browser: httpx.Client, database: Database) -> None:
    with database.transaction() as session:
        project = create_project(session, "studio")
        made = create_api_key(session, project, "for a day")
    sign_in(browser, made.secret)
    with database.transaction() as session:
        revoke_api_key(session, project, made.id)
    assert browser.get("/v2/generations").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
    ],
)
def test_other_pages_change_nothing_with_the_cookie(
    browser: httpx.Client, key: str, headers: dict[str, str]
) -> None:
    sign_in(browser, key)
    path = f"/v2/generate/{uuid.uuid4()}/cancel"
    assert browser.post(path, headers=headers).status_code == 403
    assert browser.get("/v2/generations", headers=headers).status_code == 200


def test_our_own_pages_change_things_with_the_cookie(
    browser: httpx.Client, key: str, url: str
) -> None:
    sign_in(browser, key)
    path = f"/v2/generate/{uuid.uuid4()}/cancel"
    for headers in (SAME_ORIGIN, {"origin": url}):
        assert browser.post(path, headers=headers).json()["error_code"] == "generation_not_found"


def test_nobody_is_signed_in_by_another_site(browser: httpx.Client, key: str) -> None:
    answer = browser.post(
        "/dashboard/sign-in", data={"key": key}, headers={"sec-fetch-site": "cross-site"}
    )
    assert answer.status_code == 403
    assert COOKIE not in browser.cookies


def test_wrong_keys_are_counted(browser: httpx.Client, key: str) -> None:
    codes = [sign_in(browser, f"lf_{n}").json()["error_code"] for n in range(12)]
    assert codes[0] == "unauthorized"
    assert codes[-1] == "rate_limit_exceeded"
    refused = sign_in(browser, key)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
