"""What was taken of the GPUs, and what that costs where the farm knows a price."""

import uuid

import pytest
from playwright.sync_api import expect

from infra.settings import Settings
from tests.api.dashboard.conftest import Studio
from tests.infra.db.hands import Hands, result_of


def test_gpu_time_and_its_cost_stand_with_the_job(
    studio: Studio, hands: Hands, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, worker = uuid.UUID(studio.job("Film")), hands.worker()
    hands.reach(worker, job, "render")
    claim = hands.must_claim(worker, "gpu")
    hands.complete(claim, result_of(claim))
    hands.run("UPDATE steps SET started_at = finished_at - interval '600 s' WHERE stage = 'render'")
    page = studio.open()
    cell = page.locator("#rows .gpu")
    expect(cell).to_have_text("10 m 00 s")
    page.goto(f"/dashboard/jobs/{job}")
    facts = page.locator("#facts")
    expect(facts).to_contain_text("GPU time10 m 00 s")
    expect(facts).not_to_contain_text("Cost")
    monkeypatch.setitem(settings.__dict__, "price_per_hour", 7.5)
    page.reload()
    expect(facts).to_contain_text("Cost of the GPU1.25")
    page.goto("/dashboard")
    expect(cell).to_have_text("10 m 00 s1.25")
