"""Saved views in a browser: filters under a name, for everybody who signs in to the project."""

from typing import Any

from playwright.sync_api import Page, expect

from tests.api.dashboard.conftest import Studio
from tests.api.dashboard.test_accessibility import assert_accessible, listen

VIEWS = "#view-list a"


def save(page: Page, name: str) -> None:
    page.get_by_role("button", name="Save view").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.keyboard.press("Enter")


def rows(page: Page) -> Any:
    return page.locator("#rows > tr")


def test_a_view_is_saved_and_opened_by_a_colleague(make_studio: Any) -> None:
    studio = make_studio()
    studio.attention("Gamma")
    studio.job("Alpha", labels=("season 1",), language="fra")
    studio.job("Beta", labels=("season 1",), language="deu")
    page = studio.open()
    expect(rows(page)).to_have_count(3)
    expect(page.get_by_role("button", name="Save view")).to_be_hidden()  # all is no view
    page.get_by_label("Label", exact=True).fill("season 1")
    page.get_by_label("Language", exact=True).fill("fra")
    expect(rows(page)).to_have_count(1)
    save(page, "French, season 1")
    expect(page.locator(".toast")).to_have_text("Saved for all of the project: French, season 1")
    expect(page.locator(VIEWS)).to_have_text(["French, season 1"])
    expect(page.locator(VIEWS)).to_have_attribute("aria-current", "true")
    expect(page.get_by_role("button", name="Save view")).to_be_hidden()

    colleague = make_studio().open()  # another key, another browser
    colleague.get_by_role("button", name="Need attention").click()
    expect(rows(colleague)).to_contain_text(["Gamma"])
    colleague.get_by_role("link", name="French, season 1").click()
    expect(rows(colleague)).to_have_count(1)
    expect(rows(colleague)).to_contain_text("Alpha")
    assert colleague.url.endswith("/dashboard?label=season+1&language=fra")
    expect(colleague.get_by_label("Language", exact=True)).to_have_value("fra")
    colleague.reload()
    expect(colleague.locator(VIEWS)).to_have_attribute("aria-current", "true")
    colleague.go_back()
    expect(rows(colleague)).to_contain_text(["Gamma"])
    expect(colleague.locator(VIEWS)).not_to_have_attribute("aria-current", "true")

    stranger = make_studio("others").open()
    expect(stranger.locator("#freshness")).not_to_have_attribute("data-state", "new")
    expect(stranger.locator(VIEWS)).to_have_count(0)


def test_a_view_is_renamed_replaced_and_deleted(studio: Studio) -> None:
    page = studio.open("/dashboard?show=failed")
    save(page, "Broken")
    expect(page.locator(VIEWS)).to_have_text(["Broken"])
    page.get_by_role("button", name="Change view").click()
    page.get_by_label("Name", exact=True).fill("To be mended")
    page.get_by_role("button", name="Rename").click()
    expect(page.locator(VIEWS)).to_have_text(["To be mended"])
    page.get_by_role("button", name="Need attention").click()
    save(page, "To be mended")
    page.get_by_role("button", name="Replace it").click()
    expect(page.locator(VIEWS)).to_have_attribute("href", "/dashboard?show=attention")
    page.get_by_role("button", name="Change view").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.locator(VIEWS)).to_have_count(0)
    expect(page.get_by_role("button", name="Save view")).to_be_visible()


def test_two_who_take_the_same_name_are_told(make_studio: Any) -> None:
    ours, theirs = (
        make_studio().open("/dashboard?show=failed"),
        make_studio().open("/dashboard?show=canceled"),
    )
    ours.get_by_role("button", name="Save view").click()
    save(theirs, "Mine")
    expect(theirs.locator(VIEWS)).to_have_text(["Mine"])
    ours.get_by_label("Name", exact=True).fill("Mine")
    ours.keyboard.press("Enter")
    expect(ours.get_by_role("alert").filter(has_text="there is a view")).to_be_visible()
    expect(ours.locator(VIEWS)).to_have_attribute("href", "/dashboard?show=canceled")


def test_readers_open_views_and_change_none(make_studio: Any) -> None:
    save(page := make_studio().open("/dashboard?show=failed"), "<b>Broken</b>")
    expect(page.locator(VIEWS)).to_have_text(["<b>Broken</b>"])
    page = make_studio("studio", "read").open()
    page.get_by_role("link", name="<b>Broken</b>").click()
    page.wait_for_url("**?show=failed")
    assert page.locator("#view-save, #view-edit, #view").count() == 0


def test_axe_finds_nothing_serious_in_them(studio: Studio) -> None:
    for theme in ("light", "dark"):
        page = studio.open(
            "/dashboard?show=failed",
            color_scheme=theme,
            reduced_motion="reduce",
            viewport={"width": 390, "height": 844},
        )
        troubles = listen(page)
        if theme == "light":
            for name in ("A rather long name for a view, as people give", "Another", "Third"):
                save(page, name)
                expect(page.locator(VIEWS).filter(has_text=name)).to_be_visible()
                page.get_by_label("Label", exact=True).fill(name[:5])
                expect(page.get_by_role("button", name="Save view")).to_be_visible()
        expect(page.locator(VIEWS)).to_have_count(3)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert_accessible(page, f"views, {theme}")
        page.locator(VIEWS).first.click()
        page.get_by_role("button", name="Change view").click()
        assert_accessible(page, f"a view, {theme}")
        assert troubles == []
