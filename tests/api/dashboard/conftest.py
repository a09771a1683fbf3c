"""Chromium over a real API: what people see, click and type."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from infra.db.leases import fail_step
from infra.db.orders import Failure
from infra.db.projects import create_api_key, create_project
from infra.db.samples import take_sample
from infra.db.session import Database
from infra.db.webhooks import create_test_delivery
from tests.infra.db.hands import Hands
from tests.patience import LONG_SECONDS

#: The program, where it is none of the usual names.
CHROMIUM = "LIPFARM_CHROMIUM"

#: The end of a failed attempt's log.
LOG = "opening the film\nframe 7 cannot be decoded\n"

#: A catalogue of six rows, and one more that cannot be used.
MANIFEST = "title,video,audio,language\n" + "".join(
    f"Episode {number},https://media.example/{number}.mp4,https://media.example/{number}.wav,{tag}\n"
    for number in range(3)
    for tag in ("fra", "deu")
)
REFUSED_ROW = "Episode 9,nowhere,nowhere,fra\n"

#: Of a film whose sound and subtitles, and some of its picture, are not in the output.
REPORT: dict[str, Any] = {
    "frames": {"in": 50, "out": 50, "dubbed": 40, "passed_through": 10},
    "shots": [],
    "left_out": [
        {"note": "sound stream 2 (aac, eng) is left out: the muxer refuses its beginning"},
        {
            "note": "subtitle stream 3 (hdmv_pgs_subtitle, eng, For people who hear little and "
            "read much) is left out: MP4 cannot hold hdmv_pgs_subtitle; name the output .mkv"
        },
        {"note": None},
    ],
    "picture": {
        "kept": [],
        "left_out": [{"note": "left out of the picture: the alpha channel; it has no place"}],
        "interlaced": {
            "frames": 3,
            "first": 9,
            "note": "3 frames are woven of two fields and were encoded as frames, from frame 9 of "
            "the output on",
        },
    },
}

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

expect.set_options(timeout=1000 * LONG_SECONDS)


def find_chromium() -> str | None:
    """Where Chromium is, None where it is not."""
    found = os.environ.get(CHROMIUM) or next(filter(None, map(shutil.which, _NAMES)), None)
    return shutil.which(found) if found else None


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For a module and no longer: while it runs, its thread has an event loop."""
    program = find_chromium()
    if program is None:
        pytest.skip(f"needs Chromium: apt-get install chromium, or {CHROMIUM}=/path/to/it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Studio:
    """A project at the dashboard: hands in its database, and browsers signed in with its key."""

    name: str
    url: str
    key: str
    project: Any
    hands: Hands
    browser: Browser

    def job(self, name: str = "Film", **order: Any) -> str:
        return str(self.hands.job(self.project, name=name, **order))

    def attention(self, name: str = "Film", segments: int = 3) -> str:
        """A job whose first range failed for good."""
        job, worker = self.hands.job(self.project, name=name), self.hands.worker()
        self.hands.reach(worker, job, "render", segments=segments, title=name)
        claim = self.hands.must_claim(worker, "gpu")
        failure = Failure("content", "picture_broken", "the picture is broken", LOG)
        with self.hands.database.transaction() as session:
            fail_step(session, claim.step_id, claim.attempt, failure)
        return str(job)

    def completed(self, name: str = "Film", **report: Any) -> str:
        """A job that is done, with a report."""
        job = self.job(name)
        for state in ("preparing", "detecting", "tracking", "rendering", "stitching", "completed"):
            self.hands.run("UPDATE jobs SET state = :state WHERE id = :job", state=state, job=job)
        self.hands.run(
            "UPDATE jobs SET report = :report, finished_at = now(), output_sha256 = :digest,"
            " output_name = 'film.mp4', output_size_bytes = 3 WHERE id = :job",
            report=json.dumps(report),
            digest="0" * 64,
            job=job,
        )
        return job

    def open(self, path: str = "/dashboard", **context: Any) -> Page:
        """A page of a browser that is signed in."""
        opened = self.browser.new_context(base_url=self.url, **context)
        opened.set_default_timeout(1000 * LONG_SECONDS)
        assert opened.request.post("/dashboard/sign-in", data={"key": self.key}).ok
        page = opened.new_page()
        page.goto(path)
        return page


@pytest.fixture
def hands(database: Database) -> Hands:
    """Hands in a farm nobody else ever used."""
    hands = Hands(database)
    hands.clear()
    return hands


@pytest.fixture
def make_studio(
    url: str, database: Database, hands: Hands, browser: Browser
) -> Iterator[Callable[..., Studio]]:
    """Makes a project and a key to sign in with."""

    def make(name: str = "studio", *scopes: str) -> Studio:
        with database.transaction() as session:
            project = create_project(session, name)
            key = create_api_key(session, project, "of the test", scopes=scopes or ("submit",))
        return Studio(name, url, key.secret, project, hands, browser)

    yield make
    for context in browser.contexts:
        context.close()


@pytest.fixture
def studio(make_studio: Callable[..., Studio]) -> Studio:
    return make_studio()


@pytest.fixture
def administrator(make_studio: Callable[..., Studio]) -> Studio:
    """With a key that may see all there is."""
    return make_studio("studio", "admin")


@pytest.fixture
def subjects(administrator: Studio, hands: Hands) -> dict[str, str]:
    """A farm with a bit of everything."""
    studio = administrator
    job = studio.attention("Broken film")
    hands.must_claim(hands.worker(name="busy"), "gpu")
    batch = httpx.post(
        f"{studio.url}/v2/batch",
        headers={"x-api-key": studio.key},
        files={"input": ("season.csv", MANIFEST + REFUSED_ROW)},
    )
    assert batch.status_code == 201, batch.text
    with hands.database.transaction() as session:
        create_test_delivery(session, studio.project, "https://studio.example/hook", {"a": 1})
        take_sample(session)
    done = studio.completed("Film without its sound", **REPORT)
    return {"job": job, "batch": batch.json()["id"], "done": done}
