"""A job's page in a browser: what failed, why, and what one does about it."""

import uuid
from dataclasses import replace
from typing import Any

from playwright.sync_api import Page, expect

from infra.db.models import Job
from tests.api.dashboard.conftest import REPORT, Studio
from tests.infra.db.hands import Hands, result_of

STRIP = "Segments of render"


def steps(hands: Hands, job: str) -> list[Any]:
    return hands.steps(uuid.UUID(job), "render")


def open_step(page: Page, keys: tuple[str, ...] = ()) -> None:
    """Along the segments of render by keys, and open the one that is reached."""
    page.get_by_role("slider", name=STRIP).focus()
    for key in (*keys, "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_role("dialog")).to_be_visible()


def test_what_failed_is_opened_read_and_tried_again(studio: Studio, hands: Hands) -> None:
    job = studio.attention("Broken film")
    page = studio.open(f"/dashboard/jobs/{job}")
    expect(page.locator("#state")).to_have_text("Needs attention")
    expect(page.locator("#trouble")).to_contain_text("retry it or keep the original")
    strip = page.get_by_role("slider", name=STRIP)
    expect(strip).to_have_attribute("aria-valuetext", "render, segment 1 of 3: Failed")
    open_step(page)
    drawer = page.get_by_role("dialog")
    expect(drawer).to_contain_text("the picture is broken (picture_broken)")
    expect(drawer).to_contain_text("on worker")
    drawer.get_by_label("Find in the log").fill("FRAME")
    expect(drawer.locator("mark")).to_have_text("frame")
    drawer.get_by_role("button", name="Retry", exact=True).click()
    expect(drawer.locator("#step-state")).to_have_text("Queued")
    assert [step.state for step in steps(hands, job)] == ["queued"] * 3
    expect(page.locator("#state")).to_have_text("Rendering")


def test_the_original_is_kept_where_it_cannot_be_dubbed(studio: Studio, hands: Hands) -> None:
    job = studio.attention()
    page = studio.open(f"/dashboard/jobs/{job}")
    open_step(page)
    page.get_by_role("button", name="Keep original").click()
    page.get_by_role("button", name="Keep the original").click()
    expect(page.locator("#step-state")).to_have_text("Kept original")
    assert steps(hands, job)[0].kept_original
    page.keyboard.press("Escape")
    expect(page.get_by_role("slider", name=STRIP)).to_have_attribute(
        "aria-valuetext", "render, segment 1 of 3: Kept original"
    )


def test_a_job_is_paused_ranked_resumed_and_canceled(studio: Studio, hands: Hands) -> None:
    job = uuid.UUID(studio.job("Film"))
    page = studio.open(f"/dashboard/jobs/{job}")
    state = page.locator("#state")
    page.get_by_role("button", name="Pause").click()
    expect(state).to_have_text("Paused")
    page.get_by_label("Priority", exact=True).fill("12")
    page.get_by_role("button", name="Set priority").click()
    expect(page.locator("#facts")).to_contain_text("12")
    assert hands.get(job).rank == -12
    page.get_by_role("button", name="Resume").click()
    expect(state).to_have_text("Queued")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel it").click()
    expect(state).to_have_text("Canceled")
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    assert hands.get(job).state == "canceled"


def test_segments_are_followed_as_they_are_done(studio: Studio, hands: Hands) -> None:
    job, worker = uuid.UUID(studio.job("Film")), hands.worker()
    page = studio.open(f"/dashboard/jobs/{job}")
    expect(page.locator("#strip")).to_contain_text("prepare")
    hands.reach(worker, job, "render", segments=4)
    rendered = page.locator("#strip [data-key=render] .count")
    expect(rendered).to_have_text("0 of 4")
    hands.complete((claim := hands.must_claim(worker, "gpu")), result_of(claim))
    expect(rendered).to_have_text("1 of 4")
    expect(page.locator("#events")).to_contain_text("render · segment 1 · attempt 1")
    expect(page.locator("#lanes")).to_contain_text("render")


def test_thousands_of_segments_are_seen_at_once(studio: Studio, hands: Hands) -> None:
    job = uuid.UUID(studio.job("Long film"))
    hands.reach(hands.worker(), job, "track", segments=1)
    hands.run(
        "INSERT INTO steps (job_id, project_id, stage, segment_index, queue, rank, state, frames)"
        " SELECT id, project_id, 'render', n, 'gpu', 0,"
        " CASE WHEN n = 1500 THEN 'failed' ELSE 'completed' END, 250"
        " FROM jobs, generate_series(0, 1999) n WHERE id = :job",
        job=job,
    )
    page = studio.open(f"/dashboard/jobs/{job}", viewport={"width": 390, "height": 844})
    expect(page.locator("#strip [data-key=render] .count")).to_have_text("1\u202f999 of 2\u202f000")
    expect(page.locator("#legend")).to_contain_text("Failed 1")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    strip = page.get_by_role("slider", name=STRIP)
    columns = page.evaluate(
        "Math.floor(document.querySelector('[data-key=render] canvas').clientWidth / 12)"
    )
    width = strip.bounding_box()["width"] / columns
    strip.locator("canvas").click(
        position={"x": (1500 % columns + 0.5) * width, "y": (1500 // columns) * 12 + 5}
    )
    expect(page.get_by_role("dialog")).to_contain_text("render, segment 1501")
    expect(page.locator("#step-state")).to_have_text("Failed")


def test_a_stage_that_began_after_now_stays_in_its_lane(studio: Studio, hands: Hands) -> None:
    """The database's clock, the API's and the browser's are three."""
    job = uuid.UUID(studio.job("Film"))
    hands.reach(hands.worker(), job, "render")
    hands.run("UPDATE steps SET started_at = now() + '1 hour' WHERE job_id = :job", job=job)
    page = studio.open(f"/dashboard/jobs/{job}", viewport={"width": 390, "height": 844})
    expect(page.locator("#lanes")).to_contain_text("render0 s")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_was_left_out_is_told(studio: Studio) -> None:
    job, plain = studio.completed("Film", **REPORT), studio.completed("Whole film")
    page = studio.open()
    row = page.locator("#rows tr").filter(has=page.get_by_role("link", name="Film", exact=True))
    expect(row).to_contain_text("3 left out")
    expect(page.locator(".left-out")).to_have_count(1)
    page.goto(f"/dashboard/jobs/{job}")
    told = [each["note"] for each in (*REPORT["left_out"], *REPORT["picture"]["left_out"])]
    left_out = page.get_by_role("region", name="Left out of the output")
    expect(left_out.get_by_role("listitem")).to_have_text([note for note in told if note])
    notes = page.get_by_role("region", name="About the picture")
    expect(notes.get_by_role("listitem")).to_have_text([REPORT["picture"]["interlaced"]["note"]])
    page.goto(f"/dashboard/jobs/{plain}")
    expect(page.locator("#state")).to_have_text("Completed")
    expect(left_out).to_have_count(0)
    expect(notes).to_have_count(0)


def test_a_slow_answer_is_not_taken_for_another_clock(studio: Studio) -> None:
    page = studio.open()
    script = page.locator("script[type=module]").get_attribute("src")
    ahead = """async ([script, wait, wrong]) => {
      const { get, now } = await import(new URL("api.js", new URL(script, location)));
      const [fetched, told] = [window.fetch, Date.now.bind(Date)];
      Date.now = () => told() + wrong;
      window.fetch = async (...asked) => {
        const answer = await fetched(...asked);
        await new Promise((resolve) => setTimeout(resolve, wait));
        return answer;
      };
      await get("/v2/generations?limit=1");
      return (now() - Date.now()) / 1000;
    }"""
    assert page.evaluate(ahead, [script, 5000, 0]) == 0
    assert -3600 <= page.evaluate(ahead, [script, 0, 3_600_000]) < -3580


def test_a_report_tells_shot_by_shot_what_was_done(studio: Studio, hands: Hands) -> None:
    job, worker = uuid.UUID(studio.job("Film")), hands.worker()
    hands.reach(worker, job, "stitch")
    claim = hands.must_claim(worker, "stitch")
    hands.complete(claim, result_of(claim))
    spans = [
        {"start": 0, "end": 60, "what": "dubbed", "reason": None},
        {"start": 60, "end": 90, "what": "doubtful", "reason": "profile"},
        {"start": 90, "end": 200, "what": "passed through", "reason": "no face"},
    ]
    report = {
        "frames": {"in": 200, "out": 200, "dubbed": 90, "passed_through": 110},
        "network": {"name": "draft"},
        "kept_original": [],
        "shots": [{"start": 0, "end": 200, "faces_seen": 1, "spans": spans}],
    }
    with hands.database.transaction() as session:
        session.get_one(Job, job).report = report
    page = studio.open(f"/dashboard/jobs/{job}")
    expect(page.locator("#shots-sum")).to_have_text("90 of 200 frames dubbed, 110 passed through")
    row = page.locator("#shots tbody tr")
    expect(row.locator("td")).to_have_text(
        ["1", "0 – 199", "1", "60", "110", "▲ 30", "profile (30), no face (110)"]
    )
    expect(page.locator("#facts")).to_contain_text("draft")
    expect(page.locator("#downloads code")).to_have_text("f" * 64)
    expect(page.locator("#compare")).to_be_hidden()  # there is no preview of it


def test_a_name_is_never_markup(studio: Studio) -> None:
    job = studio.job("<img src=x onerror=alert(1)>", labels=("<script>",))
    page = studio.open()
    expect(page.locator("#rows a")).to_have_text("<img src=x onerror=alert(1)>")
    page.goto(f"/dashboard/jobs/{job}")
    expect(page.locator("#name")).to_have_text("<img src=x onerror=alert(1)>")
    assert page.locator("main img").count() == 0


def test_readers_are_offered_nothing_they_may_not_do(make_studio: Any, hands: Hands) -> None:
    studio = make_studio("studio", "read")
    job = studio.attention()
    page = studio.open(f"/dashboard/jobs/{job}")
    expect(page.locator("#state")).to_have_text("Needs attention")
    assert page.locator("#actions").count() == 0
    open_step(page)
    expect(page.get_by_role("dialog")).to_contain_text("the picture is broken")
    expect(page.get_by_role("button", name="Retry")).to_have_count(0)


def test_the_weights_the_device_and_the_precision_are_shown(studio: Studio, hands: Hands) -> None:
    network = {
        "name": "wav2lip",
        "checkpoint_sha256": "bee4c6e72ae4cffe888a9c1b5256694392a51bc4091dea579e745763c0c3f90d",
        "checkpoint": "mine.safetensors",
        "device": "auto",
        "precision": "int8, calibrated",
    }
    job, worker = studio.job(), hands.worker()
    hands.reach(worker, uuid.UUID(job), "render", segments=2)
    page = studio.open(f"/dashboard/jobs/{job}")
    expect(page.locator("#facts")).to_contain_text("Network")
    expect(page.locator("#facts")).not_to_contain_text("Checkpoint")
    claim = hands.must_claim(worker, "gpu")
    hands.complete(claim, replace(result_of(claim), facts={"network": network}))
    page.reload()
    expect(page.locator("#facts")).to_contain_text("Checkpointlipfarm-small · bee4c6e72ae4")
    expect(page.locator("#facts")).to_contain_text("Precisionint8, calibrated")
    expect(page.locator("#facts")).to_contain_text("Devicecpu")
