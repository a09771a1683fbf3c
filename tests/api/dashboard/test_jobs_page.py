"""The list of jobs in a browser: found, followed, changed many at once, by mouse and by keys."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route, expect

from tests.api.dashboard.conftest import Studio
from tests.infra.db.hands import Hands, result_of
from tests.patience import LONG_SECONDS


def rows(page: Page) -> Any:
    return page.locator("#rows > tr")


def test_a_wrong_key_leads_back_to_the_door(url: str, browser: Browser) -> None:
    page = browser.new_context(base_url=url).new_page()
    page.set_default_timeout(1000 * LONG_SECONDS)
    page.goto("/dashboard/jobs/some?x=1")
    page.get_by_label("API key").fill("lf_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("unknown, expired or revoked")
    assert "lf_wrong" not in page.url


def test_the_key_is_nowhere_in_the_browser(studio: Studio) -> None:
    page = studio.open()
    kept = page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    assert studio.key not in kept
    assert studio.key not in page.url
    assert studio.key not in page.content()
    assert "lipfarm_sign_in" not in kept  # out of reach of scripts


def test_signing_out_ends_it(studio: Studio) -> None:
    page = studio.open()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/dashboard/sign-in")
    page.goto("/dashboard")
    expect(page.get_by_label("API key")).to_be_visible()


def test_jobs_that_need_a_person_come_first(studio: Studio) -> None:
    studio.attention("Broken film")
    studio.job("Newer film")
    page = studio.open()
    expect(rows(page)).to_have_count(2)
    expect(rows(page).first).to_contain_text("Broken film")
    expect(rows(page).first).to_contain_text("Needs attention")
    expect(page.get_by_role("button", name="Need attention")).to_contain_text("1")


def test_another_project_sees_nothing(make_studio: Callable[..., Studio]) -> None:
    ours = make_studio()
    job = ours.job("Secret film")
    page = make_studio("others").open()
    expect(page.locator("#empty")).to_have_text("No jobs yet.")
    page.goto(f"/dashboard/jobs/{job}")
    expect(page.get_by_role("alert")).to_contain_text("there is no generation")
    assert "Secret" not in page.content()


def test_what_happens_is_seen_without_asking(studio: Studio, hands: Hands) -> None:
    page = studio.open()
    expect(page.locator("#freshness")).to_have_attribute("data-state", "live")
    job = studio.job("New film")
    expect(rows(page)).to_have_count(1)
    worker = hands.worker()
    hands.complete((claim := hands.must_claim(worker)), result_of(claim))
    expect(rows(page)).to_contain_text("Detecting")
    hands.reach(worker, studio.hands.get(job).id, "render")
    expect(rows(page)).to_contain_text("Rendering")
    bar = rows(page).get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "32")
    hands.must_claim(worker, "gpu")
    hands.run("UPDATE steps SET frames_done = 50 WHERE state = 'running'")
    expect(bar).to_have_attribute("aria-valuenow", "47")  # by the stream, between two moves


def test_what_happens_between_the_list_and_the_stream_is_seen(studio: Studio) -> None:
    page = studio.open("/dashboard/workers")
    lists: list[tuple[Route, APIResponse]] = []
    streams: list[Route] = []

    def hold(route: Route) -> None:
        streams.append(route)

    page.route("**/v2/generations?*", lambda route: lists.append((route, route.fetch())))
    page.route("**/v2/events?*", hold)
    with page.expect_request("**/v2/events?*"):
        page.goto("/dashboard")
    while not lists:
        page.wait_for_timeout(50)
    page.unroute("**/v2/generations?*")
    studio.job("New film")  # not in the list, which was asked for, nor told by the stream
    streams[0].continue_()
    page.wait_for_timeout(1500)
    ((route, empty),) = lists
    route.fulfill(response=empty)
    expect(page.locator("#freshness")).to_have_attribute("data-state", "live")
    expect(rows(page)).to_have_count(1)


def test_filters_stand_in_the_address(studio: Studio) -> None:
    studio.attention("Gamma")
    studio.job("Alpha", labels=("season 1",), language="fra")
    studio.job("Beta", language="deu")
    page = studio.open()
    expect(rows(page)).to_have_count(3)
    page.get_by_label("Search by name or id").fill("bet")
    expect(rows(page)).to_have_count(1)
    assert page.url.endswith("?q=bet")
    page.reload()
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_label("Search by name or id")).to_have_value("bet")
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_role("button", name="Need attention").click()
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("Gamma")
    page.go_back()
    expect(rows(page)).to_have_count(3)
    page.goto("/dashboard?label=season+1&language=fra")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("Alpha")


def test_pages_go_on_where_the_last_one_ended(studio: Studio) -> None:
    for number in range(53):
        studio.job(f"Film {number:02}")
    page = studio.open()
    expect(rows(page)).to_have_count(50)
    page.get_by_role("button", name="Older").click()
    expect(rows(page)).to_have_count(3)
    expect(rows(page).last).to_contain_text("Film 00")
    page.get_by_role("button", name="Newest").click()
    expect(rows(page)).to_have_count(50)


def test_many_jobs_are_changed_at_once(studio: Studio, hands: Hands) -> None:
    jobs = [hands.job(studio.project, name=name) for name in ("One", "Two", "Three")]
    page = studio.open()
    for name in ("One", "Two"):
        page.get_by_label(f"Select {name}", exact=True).check()
    expect(page.locator("#selected")).to_have_text("2 selected")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(rows(page).filter(has_text="Paused")).to_have_count(2)
    assert [hands.get(job).desired for job in jobs] == ["pause", "pause", "run"]
    page.get_by_label("Select all on this page").check()
    page.locator("#rank").fill("7")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(rows(page).locator(".priority")).to_have_text(["7", "7", "7"])
    page.get_by_label("Select all on this page").check()
    page.get_by_role("button", name="Cancel jobs").click()
    page.get_by_role("button", name="Cancel them").click()
    expect(rows(page).filter(has_text="Canceled")).to_have_count(3)
    assert {hands.get(job).state for job in jobs} == {"canceled"}


def test_a_cancel_thought_better_of_cancels_nothing(studio: Studio, hands: Hands) -> None:
    job = hands.job(studio.project, name="One")
    page = studio.open()
    page.get_by_label("Select One").check()
    page.get_by_role("button", name="Cancel jobs").click()
    page.get_by_role("button", name="Keep").click()
    expect(page.locator("#ask")).to_be_hidden()
    assert hands.get(job).state == "queued"


def test_the_list_is_used_with_keys_alone(studio: Studio) -> None:
    ids = [studio.job(name) for name in ("First", "Second")]
    page = studio.open()
    expect(rows(page)).to_have_count(2)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_label("Select First")).to_be_checked()
    expect(page.get_by_label("Select Second")).not_to_be_checked()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Keyboard shortcuts")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_label("Search by name or id")).to_be_focused()
    page.keyboard.type("jx")  # typed, and no shortcuts
    expect(page.locator("#empty")).to_have_text("No job is like that.")
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    expect(rows(page)).to_have_count(2)
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/jobs/{ids[0]}")


def test_focus_and_selection_outlive_an_update(studio: Studio) -> None:
    studio.job("First")
    page = studio.open()
    page.get_by_label("Select First").check()
    page.get_by_role("link", name="First").focus()
    studio.job("Second")
    expect(rows(page)).to_have_count(2)
    expect(page.get_by_role("link", name="First")).to_be_focused()
    expect(page.get_by_label("Select First")).to_be_checked()


def test_what_is_old_is_shown_as_old(studio: Studio) -> None:
    studio.job("Film")
    page = studio.open()
    expect(rows(page)).to_have_count(1)
    page.context.set_offline(True)
    page.evaluate("window.dispatchEvent(new Event('online'))")  # asks at once
    expect(page.locator("#banner")).to_contain_text("What you see is from")
    expect(page.locator("#freshness")).to_have_text("Not connected")
    expect(rows(page)).to_have_count(1)  # still there
    page.context.set_offline(False)
    page.evaluate("window.dispatchEvent(new Event('online'))")
    expect(page.locator("#banner")).to_be_hidden()


def test_a_sign_in_that_ended_leads_to_the_door_and_back(studio: Studio, hands: Hands) -> None:
    page = studio.open("/dashboard/workers")
    expect(page.locator("#empty")).to_be_visible()
    hands.run("DELETE FROM sign_ins")
    page.evaluate("window.dispatchEvent(new Event('online'))")
    page.wait_for_url("**/dashboard/sign-in?next=%2Fdashboard%2Fworkers")
    page.get_by_label("API key").fill(studio.key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/dashboard/workers")


def test_a_page_nobody_looks_at_asks_nothing(studio: Studio) -> None:
    page = studio.open()
    expect(page.locator("#freshness")).to_have_attribute("data-state", "live")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    hide = "Object.defineProperty(document, 'hidden', {{configurable: true, get: () => {}}});"
    page.evaluate(hide.format("true") + "document.dispatchEvent(new Event('visibilitychange'))")
    studio.job("Unseen")
    page.wait_for_timeout(2500)  # an event would have been answered by now
    assert asked == []
    page.evaluate(hide.format("false") + "document.dispatchEvent(new Event('visibilitychange'))")
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#freshness")).to_have_attribute("data-state", "live")


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/submit", "/dashboard/farm"])
def test_a_phone_shows_all_of_it(studio: Studio, path: str) -> None:
    studio.attention("A film with a rather long name that has to go on in a second line")
    page = studio.open(path, viewport={"width": 390, "height": 844})
    expect(page.locator("#freshness")).not_to_have_attribute("data-state", "new")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_theme_is_the_systems_until_somebody_chooses(studio: Studio) -> None:
    page = studio.open(color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Theme").click()
    light = page.evaluate(ground)
    assert light != dark
    page.reload()
    assert page.evaluate(ground) == light
    page.emulate_media(color_scheme="light")
    assert page.evaluate(ground) == light
