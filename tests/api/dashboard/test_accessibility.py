"""Every page, in both themes and on a phone: nothing serious that axe finds, no complaint."""

from typing import Any, Final, get_args

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from infra.db.batches import BATCH_STATES
from infra.db.models.fleet import WORKER_STATES
from infra.db.states import JobState
from infra.db.strips import LETTERS
from tests.api.dashboard.conftest import Studio
from tests.api.dashboard.test_pages import STATIC

PAGES: Final = {
    "jobs": "/dashboard",
    "submit": "/dashboard/submit",
    "job": "/dashboard/jobs/{job}",
    "done": "/dashboard/jobs/{done}",
    "batches": "/dashboard/batches",
    "batch": "/dashboard/batches/{batch}",
    "workers": "/dashboard/workers",
    "farm": "/dashboard/farm",
    "webhooks": "/dashboard/webhooks",
    "audit": "/dashboard/audit",
}


def listen(page: Page) -> list[str]:
    """What the browser complains about: broken scripts, what the policy refuses."""
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    return troubles


def assert_accessible(page: Page, where: str) -> None:
    found = Axe().run(page).response["violations"]
    serious = [
        (each["id"], [node["html"] for node in each["nodes"]][:3])
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]
    assert serious == [], where


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    administrator: Studio, subjects: dict[str, str], theme: Any
) -> None:
    page = administrator.open(color_scheme=theme, reduced_motion="reduce")
    troubles = listen(page)
    for name, path in PAGES.items():
        page.goto(path.format(**subjects))
        expect(page.locator("#freshness")).not_to_have_attribute("data-state", "new")
        assert_accessible(page, name)
        assert troubles == [], name
    page.goto(PAGES["job"].format(**subjects))
    page.get_by_role("slider", name="Segments of render").press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("picture_broken")
    assert_accessible(page, "a step")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert_accessible(page, "help")
    page.context.clear_cookies()
    page.goto("/dashboard/sign-in?refused=unauthorized")
    assert_accessible(page, "the door")


def test_no_page_is_wider_than_a_phone(administrator: Studio, subjects: dict[str, str]) -> None:
    page = administrator.open(viewport={"width": 390, "height": 844})
    for name, path in PAGES.items():
        page.goto(path.format(**subjects))
        expect(page.locator("#freshness")).not_to_have_attribute("data-state", "new")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def test_every_state_has_a_word() -> None:
    words = (STATIC / "js" / "states.js").read_text()
    states = {*get_args(JobState), *LETTERS.values(), *BATCH_STATES, *WORKER_STATES}
    for state in states:
        assert f"  {state}: [" in words or f'  "{state}": [' in words, state
