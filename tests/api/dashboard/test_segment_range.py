"""A range of a job's segments in a browser: chosen by mouse, keys and fingers, and acted on."""

import json
import uuid
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.api.dashboard.conftest import Studio
from tests.api.dashboard.test_accessibility import assert_accessible, listen
from tests.infra.db.hands import Hands

#: Of 100 frames each, four seconds.
SEGMENTS = 40

WORDS = "#range-words"


@pytest.fixture
def job(studio: Studio, hands: Hands) -> uuid.UUID:
    """At render: segments 13 and 15 have failed, all others wait."""
    job, worker = uuid.UUID(studio.job("Long film")), hands.worker()
    hands.reach(worker, job, "render", segments=SEGMENTS)
    rate = json.dumps({"prepare": {"prepared": {"frame_rate": "25"}}})
    hands.run("UPDATE jobs SET facts = :rate, attention = true WHERE id = :job", rate=rate, job=job)
    hands.run(
        "UPDATE steps SET state = 'failed', ready = false, error_class = 'content'"
        " WHERE job_id = :job AND stage = 'render' AND segment_index IN (12, 14)",
        job=job,
    )
    return job


def slider(page: Page, stage: str = "render") -> Locator:
    return page.get_by_role("slider", name=f"Segments of {stage}")


def place_of(page: Page, segment: int) -> dict[str, float]:
    """The middle of a segment's cell, of those that share one row."""
    box = slider(page).locator("canvas").bounding_box()
    assert box is not None
    return {"x": (segment - 0.5) * box["width"] / SEGMENTS, "y": 9}


def drag(page: Page, first: int, last: int) -> None:
    box = slider(page).locator("canvas").bounding_box()
    assert box is not None
    start, end = place_of(page, first), place_of(page, last)
    page.mouse.move(box["x"] + start["x"], box["y"] + 9)
    page.mouse.down()
    page.mouse.move(box["x"] + (start["x"] + end["x"]) / 2, box["y"] + 40)  # off the strip, too
    page.mouse.move(box["x"] + end["x"], box["y"] + 9)
    page.mouse.up()


def opened(studio: Studio, job: uuid.UUID, **context: Any) -> Page:
    page = studio.open(f"/dashboard/jobs/{job}", **context)
    expect(slider(page)).to_be_visible()
    return page


def in_state(hands: Hands, job: uuid.UUID, state: str) -> list[int]:
    """Segments of render, counted from 1."""
    return [s.segment_index + 1 for s in hands.steps(job, "render") if s.state == state]


def test_a_range_is_drawn_with_the_mouse_and_tried_again(
    studio: Studio, hands: Hands, job: uuid.UUID
) -> None:
    page = opened(studio, job)
    drag(page, 12, 14)
    expect(page.locator(WORDS)).to_have_text("Segments 12–14 · 00:00:44–00:00:56 · 3 segments")
    expect(page.locator("#step")).to_be_hidden()  # what ends a drag is no click
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(page.locator(".toast")).to_have_text("1 of 3 segments are tried again")
    assert in_state(hands, job, "failed") == [15]
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(page.locator(".toast").last).to_have_text("Nothing there has failed.")


def test_shift_and_a_click_extend_it_backwards_too(studio: Studio, job: uuid.UUID) -> None:
    page = opened(studio, job)
    canvas = slider(page).locator("canvas")
    canvas.click(position=place_of(page, 20), modifiers=["Shift"])
    expect(page.locator(WORDS)).to_contain_text("Segment 20 · ")
    canvas.click(position=place_of(page, 31), modifiers=["Shift"])
    expect(page.locator(WORDS)).to_contain_text("Segments 20–31 · ")
    canvas.click(position=place_of(page, 12), modifiers=["Shift"])
    expect(page.locator(WORDS)).to_contain_text("Segments 12–20 · ")
    canvas.click(position=place_of(page, 3))  # a click alone opens what is there, as ever
    expect(page.get_by_role("dialog")).to_contain_text("render, segment 3")
    expect(page.locator("#range")).to_be_hidden()


def test_keys_alone_choose_act_and_go_back(studio: Studio, hands: Hands, job: uuid.UUID) -> None:
    page = opened(studio, job)
    slider(page).focus()
    for _ in range(11):
        page.keyboard.press("ArrowRight")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#said")).to_have_text(
        "Chosen: segments 12–15 · 00:00:44–00:01:00 · 4 segments"
    )
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Retry", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Keep the original").click()
    expect(page.locator(".toast")).to_have_text("4 of 4 segments are kept as the film has them")
    assert in_state(hands, job, "completed") == [12, 13, 14, 15]
    page.keyboard.press("Escape")
    expect(page.locator("#range")).to_be_hidden()
    expect(slider(page)).to_be_focused()
    expect(page.locator("#said")).to_have_text("Nothing is chosen")
    page.keyboard.press("Shift+End")
    expect(page.locator(WORDS)).to_contain_text("–40 · ")
    page.keyboard.press("ArrowLeft")  # moving on without Shift lets go of it
    expect(page.locator("#range")).to_be_hidden()


def test_two_taps_choose_it_on_a_phone(studio: Studio, hands: Hands, job: uuid.UUID) -> None:
    page = opened(
        studio, job, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    canvas = slider(page).locator("canvas")
    page.get_by_role("button", name="Choose a range").tap()
    expect(page.locator("#strip-hint")).to_have_text("Choose the first segment, then the last")
    canvas.tap(position=place_of(page, 30))
    canvas.tap(position=place_of(page, 12))
    expect(page.locator(WORDS)).to_have_text("Segments 12–30 · 00:00:44–00:02:00 · 19 segments")
    expect(page.get_by_role("button", name="Choose a range")).to_have_attribute(
        "aria-pressed", "false"
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("#range-rank").fill("5")
    page.get_by_role("button", name="Set", exact=True).tap()
    expect(page.locator(".toast")).to_have_text("17 of 19 segments are ranked")
    assert [s.rank for s in hands.steps(job, "render")[10:13]] == [0, -5, 0]
    canvas.tap(position=place_of(page, 13))  # a tap opens again
    expect(page.get_by_role("dialog")).to_contain_text("render, segment 13")


def test_updates_leave_it_as_it_is(studio: Studio, hands: Hands, job: uuid.UUID) -> None:
    page = opened(studio, job)
    expect(page.locator("#freshness")).to_have_attribute("data-state", "live")
    drag(page, 5, 8)
    page.locator("#range-rank").fill("3")
    hands.complete(hands.must_claim(hands.worker(name="other"), "gpu"))
    expect(page.locator("#strip [data-key=render] .count")).to_have_text("1 of 40")
    expect(page.locator(WORDS)).to_contain_text("Segments 5–8 · ")
    expect(page.locator("#range-rank")).to_be_focused()
    expect(page.locator("#range-rank")).to_have_value("3")


def test_it_is_gone_when_the_job_goes_on_to_other_segments(studio: Studio, hands: Hands) -> None:
    job, worker = uuid.UUID(studio.job("Film")), hands.worker()
    hands.reach(worker, job, "detect", segments=4)
    page = studio.open(f"/dashboard/jobs/{job}")
    slider(page, "detect").press("Shift+ArrowRight")
    expect(page.locator(WORDS)).to_have_text("Segments 1–2 · frames 0–199 · 2 segments")
    hands.reach(worker, job, "render", segments=4)
    expect(page.locator("#range")).to_be_hidden()
    expect(page.locator("#said")).to_contain_text("went on to another stage")
    slider(page, "detect").press("Shift+ArrowRight")  # the farm would act on other frames
    expect(page.locator("#range")).to_be_hidden()


def test_readers_and_ended_jobs_have_nothing_to_press(
    make_studio: Any, studio: Studio, hands: Hands, job: uuid.UUID
) -> None:
    reader = make_studio("studio", "read")
    page = reader.open(f"/dashboard/jobs/{job}")
    slider(page).press("Shift+ArrowRight")
    expect(page.locator(WORDS)).to_contain_text("Segments 1–2 · ")
    expect(page.locator("#range button")).to_have_text(["Clear"])
    expect(page.locator("#pick")).to_be_hidden()
    hands.run("UPDATE jobs SET state = 'canceled', finished_at = now() WHERE id = :job", job=job)
    page = opened(studio, job)
    slider(page).press("Shift+ArrowRight")
    expect(page.locator(WORDS)).to_contain_text("Segments 1–2 · ")
    expect(page.locator("#range-actions")).to_be_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_it(studio: Studio, job: uuid.UUID, theme: Any) -> None:
    page = opened(studio, job, color_scheme=theme, reduced_motion="reduce")
    troubles = listen(page)
    drag(page, 12, 31)
    expect(page.locator(WORDS)).to_contain_text("Segments 12–31 · ")
    assert_accessible(page, "a range of segments")
    assert troubles == []
