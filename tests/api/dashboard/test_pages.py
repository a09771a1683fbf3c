"""Pages without a browser: who sees them, what they bring along, what may run in them."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from api.dashboard import pages
from api.dashboard.pages import content_security_policy
from infra.settings import Settings

PAGES = (
    "/dashboard",
    "/dashboard/submit",
    "/dashboard/jobs/7f3f1c1e-0000-4000-8000-000000000000",
    "/dashboard/batches",
    "/dashboard/batches/7f3f1c1e-0000-4000-8000-000000000000",
    "/dashboard/workers",
    "/dashboard/farm",
    "/dashboard/webhooks",
    "/dashboard/audit",
)
STATIC = Path(pages.__file__).parent / "static"
TEMPLATES = Path(pages.__file__).parent / "templates"


@pytest.fixture
def browser(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url) as browser:
        yield browser


@pytest.fixture
def signed_in(browser: httpx.Client, make_key: Callable[..., str]) -> httpx.Client:
    browser.post("/dashboard/sign-in", json={"key": make_key("studio", "submit")})
    return browser


def test_the_root_leads_to_the_dashboard(browser: httpx.Client) -> None:
    assert browser.get("/").headers["location"] == "/dashboard"


@pytest.mark.parametrize("page", PAGES)
def test_strangers_are_led_to_the_door_and_back(browser: httpx.Client, page: str) -> None:
    answer = browser.get(page)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/dashboard/sign-in?next={page.replace('/', '%2F')}"


@pytest.mark.parametrize("page", PAGES)
def test_pages_let_nothing_run_but_our_own_files(signed_in: httpx.Client, page: str) -> None:
    answer = signed_in.get(page)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    for address in re.findall(r'(?:src|href)="([^"#]+)"', answer.text):
        assert address.startswith("/dashboard"), "nothing is fetched from elsewhere"
        if address.startswith(pages.STATIC):
            assert signed_in.get(address).status_code == 200


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_templates_hold_no_script_and_no_style(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", text)
    assert "|safe" not in text


@pytest.mark.parametrize("script", sorted(STATIC.rglob("*.js")), ids=lambda path: path.name)
def test_scripts_make_no_markup_of_text_and_keep_no_key(script: Path) -> None:
    text = script.read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)
    assert "sessionStorage" not in text
    assert set(re.findall(r"localStorage\.\w+\(\"([^\"]+)\"", text)) <= {"lipfarm-theme"}
    for module in re.findall(r'from "\./([^"]+)"', text):
        assert (script.parent / module).is_file()


def test_names_are_text_and_never_markup(browser: httpx.Client, make_key) -> None:
    browser.post("/dashboard/sign-in", json={"key": make_key("<b>studio", "submit")})
    assert "<b>studio" not in browser.get("/dashboard").text
    assert "&lt;b&gt;studio" in browser.get("/dashboard").text
    strange = browser.get("/dashboard/jobs/%22%3E%3Cscript%3E").text
    assert "<script>" not in strange


def test_files_are_asked_for_again_after_an_upgrade(browser: httpx.Client) -> None:
    answer = browser.get(f"{pages.STATIC}/js/jobs.js")
    assert answer.headers["cache-control"] == "no-cache"
    again = {"if-none-match": answer.headers["etag"]}
    assert browser.get(f"{pages.STATIC}/js/jobs.js", headers=again).status_code == 304
    assert browser.get(f"{pages.STATIC}/../pages.py").status_code == 404
    assert browser.get(f"{pages.STATIC}/%2e%2e/pages.py").status_code == 404


def test_films_may_come_from_the_buckets_address_alone() -> None:
    settings = Settings(
        database_url="postgresql://farm@db/farm",
        redis_url="redis://redis",
        s3_endpoint_url="http://seaweed:8333",
        s3_public_endpoint_url="https://media.studio.example/s3",
    )
    policy = content_security_policy(settings)
    assert "media-src 'self' https://media.studio.example;" in policy
    assert "seaweed" not in policy


def test_only_keys_that_may_are_offered_to_order(browser: httpx.Client, make_key) -> None:
    browser.post("/dashboard/sign-in", json={"key": make_key("studio", "read")})
    assert "/dashboard/submit" not in browser.get("/dashboard").text
    assert 'id="order"' not in browser.get("/dashboard/submit").text
    assert "Audit</a>" not in browser.get("/dashboard").text
