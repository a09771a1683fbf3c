"""Batches, workers, webhooks and the audit log in a browser."""

from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from infra.db.models import Job
from tests.api.dashboard.conftest import MANIFEST, REFUSED_ROW, Studio
from tests.infra.db.hands import Hands


@pytest.fixture
def studio(administrator: Studio) -> Studio:
    return administrator


def test_a_batch_is_a_matrix_of_titles_and_languages(
    studio: Studio, subjects: dict[str, str], hands: Hands
) -> None:
    page = studio.open("/dashboard/batches")
    page.get_by_role("link", name="season").click()
    expect(page.locator("#heads th")).to_have_text(["Title", "fra", "deu"])
    expect(page.locator("#rows tr")).to_have_count(4)  # one of them was refused
    expect(page.locator("#rows tr").first.locator("td a")).to_have_count(2)
    expect(page.locator("#mistakes")).to_contain_text("Episode 9")
    cell = page.get_by_role("link", name="Episode 1, deu")
    expect(cell).to_have_text("Episode 1, deu: Queued")
    job = cell.get_attribute("href").rpartition("/")[2]
    with hands.database.transaction() as session:
        session.get_one(Job, job).desired = "pause"
    page.get_by_role("button", name="Cancel batch").click()
    page.get_by_role("button", name="Cancel the batch").click()
    expect(cell).to_have_text("Episode 1, deu: Canceled")


def test_a_batch_with_errors_is_not_shown_as_one_without(
    studio: Studio, subjects: dict[str, str], hands: Hands
) -> None:
    for state in ("preparing", "failed"):
        hands.run("UPDATE jobs SET state = :state WHERE batch_id IS NOT NULL", state=state)
    hands.run("UPDATE batches SET state = 'completed', finished_at = now()")
    page = studio.open("/dashboard/batches")
    told = page.locator("#rows .state")
    expect(told).to_have_text("Completed with 7 errors")  # six that failed, one that was refused
    expect(told).to_have_attribute("data-tone", "warn")
    page.goto(f"/dashboard/batches/{subjects['batch']}")
    expect(page.locator("#state")).to_have_text("Completed with 7 errors")


def test_a_manifest_is_checked_before_it_is_sent(studio: Studio) -> None:
    page = studio.open("/dashboard/batches")
    rows = (MANIFEST + REFUSED_ROW).encode()
    file = {"name": "season.csv", "mimeType": "text/csv", "buffer": rows}
    page.locator("#manifest").set_input_files(file)
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#sent")).to_have_text("7 rows, 1 of them refused")
    expect(page.locator("#mistakes")).to_contain_text("Episode 9")
    expect(page.locator("#empty")).to_be_visible()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#rows tr")).to_have_count(1)


def test_workers_and_what_they_do_are_seen(studio: Studio, subjects: dict[str, str]) -> None:
    page = studio.open("/dashboard/workers")
    row = page.locator("#rows tr").filter(has_text="busy")
    expect(row).to_contain_text("Online")
    expect(row.get_by_role("link")).to_have_text("render 2, Broken film")


def test_a_message_is_sent_again(studio: Studio, subjects: dict[str, str], hands: Hands) -> None:
    hands.run("UPDATE webhook_deliveries SET state = 'failed', attempts = 9, last_status = 500")
    page = studio.open("/dashboard/webhooks?state=failed")
    row = page.locator("#rows tr")
    expect(row).to_contain_text("500")
    row.get_by_role("button", name="Replay").click()
    expect(row).to_have_count(0)
    assert hands.value("SELECT state FROM webhook_deliveries") == "pending"


def test_a_key_is_revoked_and_the_log_says_so(studio: Studio, make_studio: Any) -> None:
    other = make_studio("studio", "read")
    page = studio.open("/dashboard/audit")
    row = page.locator("#keys tr").filter(has_text=other.key[:11])
    row.get_by_role("button", name="Revoke").click()
    page.locator("#ask-yes").click()
    expect(row).to_contain_text("revoked")
    expect(page.locator("#rows")).to_contain_text("key.revoke")
    assert httpx.get(f"{studio.url}/v2/models", headers={"x-api-key": other.key}).status_code == 401
