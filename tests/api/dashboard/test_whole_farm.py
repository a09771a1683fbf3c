"""From a film in the browser to before and after in the browser, through a whole farm."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline.running.commands import run
from tests.farm.harness import Farm, running_farm
from tests.patience import LONG_SECONDS

#: A whole dub on a busy machine.


@pytest.fixture(scope="module")
def film(clips: Path, ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a face that speaks."""
    film = tmp_path_factory.mktemp("clip") / "Face that speaks.mp4"
    cut = ["-t", "2", "-i", str(clips / "portrait_25fps.mp4"), "-vf", "scale=288:384"]
    encode = ["-c:v", "libx264", "-g", "25", "-threads", "1", str(film)]
    run([ffmpeg, "-nostdin", "-loglevel", "error", *cut, *encode], timeout=LONG_SECONDS)
    return film


@pytest.fixture(scope="module")
def dialogue(clips: Path, ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sound = tmp_path_factory.mktemp("sound") / "dialogue.wav"
    cut = ["-t", "2", "-i", str(clips / "dialogue_short.flac"), str(sound)]
    run([ffmpeg, "-nostdin", "-loglevel", "error", *cut], timeout=LONG_SECONDS)
    return sound


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Farm]:
    # The browser is asked for so that nothing is started where there is none.
    with running_farm(tmp_path_factory.mktemp("farm") / "data") as farm:
        yield farm


def picture_of(page: Page) -> bytes:
    """What the player shows, without its divider; a page may not read a film of another origin."""
    page.locator(".wipe-line").evaluate("line => { line.style.visibility = 'hidden' }")
    return page.locator(".player .stage-box").screenshot()


def test_a_film_goes_in_and_before_and_after_come_out(
    farm: Farm, browser: Browser, film: Path, dialogue: Path, tmp_path: Path
) -> None:
    page = browser.new_context(base_url=farm.url, accept_downloads=True).new_page()
    page.set_default_timeout(1000 * LONG_SECONDS)
    page.goto("/dashboard/submit")
    page.get_by_label("API key").fill(farm.api_key)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Film", exact=True).set_input_files(film)
    page.get_by_label("Dialogue", exact=True).set_input_files(dialogue)
    page.get_by_label("Language").fill("fra")
    page.get_by_label("Network").select_option("draft")
    page.get_by_role("button", name="Upload and order").click()
    page.wait_for_url("**/dashboard/jobs/*")
    expect(page.locator("#name")).to_contain_text("Face that speaks")
    states = follow(page)
    assert states[-1] == "Completed", states
    assert len(states) > 1, "it is seen on its way"

    expect(page.locator("#shots-sum")).to_contain_text("of 50 frames dubbed")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).stat().st_size > 1000

    compare(page)
    page.get_by_role("slider", name="Segments of render").press("Enter")
    still = page.get_by_role("dialog").locator(".still img")
    expect(still).to_be_visible()
    assert still.evaluate("image => image.naturalWidth") > 100
    page.context.close()


def follow(page: Page) -> list[str]:
    """The states the page shows one after the other, until the job ends."""
    states: list[str] = []
    deadline = time.monotonic() + LONG_SECONDS
    while not {"Completed", "Failed", "Rejected"} & set(states):
        assert time.monotonic() < deadline, states
        now = page.locator("#state").inner_text()
        if now not in states[-1:]:
            states.append(now)
        page.wait_for_timeout(50)
    return states


def compare(page: Page) -> None:
    """Before on the left, after on the right, a divider between, and a frame at a time."""
    expect(page.locator("#compare")).to_be_visible()
    divider = page.get_by_label("Divider between before and after")
    told = page.locator(".player output")
    page.get_by_role("button", name="One frame on").click()
    expect(told).to_contain_text("frame 1")
    page.keyboard.press(".")
    page.keyboard.press(".")
    expect(told).to_contain_text("frame 3")
    page.keyboard.press(",")
    expect(told).to_contain_text("frame 2")
    for _ in range(10):
        page.keyboard.press(".")
        page.wait_for_timeout(30)
    divider.fill("1")
    before = picture_of(page)
    divider.fill("0")
    assert picture_of(page) != before
    canvas = page.locator(".player canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    height = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 5, height)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, height)
    page.mouse.up()
    assert float(divider.input_value()) == pytest.approx(0.25, abs=0.03)
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
