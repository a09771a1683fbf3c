"""Every page in both themes: nothing serious that axe finds, and nothing it must not do."""

import uuid
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from api.webhook_answers import delivery_answer
from infra.db.models import Batch
from infra.db.samples import take_sample
from infra.db.webhooks import create_test_delivery
from tests.api.dashboard.conftest import Studio
from tests.infra.db.hands import Hands

SERIOUS = {"serious", "critical"}
PAGES = {
    "jobs": "/dashboard",
    "submit": "/dashboard/submit",
    "job": "/dashboard/jobs/{job}",
    "batches": "/dashboard/batches",
    "batch": "/dashboard/batches/{batch}",
    "workers": "/dashboard/workers",
    "farm": "/dashboard/farm",
    "webhooks": "/dashboard/webhooks",
    "audit": "/dashboard/audit",
    "sign-in": "/dashboard/sign-in?refused=unauthorized",
}


@pytest.fixture
def troubles(page: Page) -> Iterator[list[str]]:
    """What the browser complains about: errors of scripts, refused by the policy, not found."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda said: found.append(said.text) if said.type == "error" else None)
    yield found
    assert found == []


@pytest.fixture
def farm(make_studio, hands: Hands) -> tuple[Studio, dict[str, str]]:
    """With a bit of everything, and a key that may see all of it."""
    studio = make_studio("studio", "admin")
    job = studio.attention("Broken film")
    hands.must_claim(hands.worker(name="busy"), "gpu")
    with hands.database.transaction() as session:
        batch = Batch(
            project_id=studio.project, kind="catalogue", name="Season 2", digest="", request={}
        )
        session.add(batch)
        session.flush()
        studio.job("A title", batch_id=None)
        create_test_delivery(session, studio.project, "https://studio.example/hook", {"a": 1})
        take_sample(session)
        return studio, {"job": job, "batch": str(batch.id)}
