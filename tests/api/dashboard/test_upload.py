"""Films into the bucket from a browser, part by part, over connections that break."""

import hashlib
import itertools
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from infra.db.models import Asset, Job
from infra.storage.objects import ObjectStore
from tests.api.conftest import MEBIBYTE
from tests.api.dashboard.conftest import Studio
from tests.api.dashboard.test_accessibility import assert_accessible, listen

#: Three parts, the last one smaller.
FILM = 40 * MEBIBYTE
DIALOGUE = 1000

PARTS = re.compile(r"partNumber=")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    film = tmp_path_factory.mktemp("film") / "Long film.mp4"
    film.write_bytes(random.Random(4).randbytes(FILM))
    return film


@pytest.fixture(scope="module")
def dialogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dialogue = tmp_path_factory.mktemp("sound") / "dialogue.wav"
    dialogue.write_bytes(bytes(DIALOGUE))
    return dialogue


def fill(page: Page, film: Path, dialogue: Path) -> None:
    page.get_by_label("Film", exact=True).set_input_files(film)
    page.get_by_label("Dialogue", exact=True).set_input_files(dialogue)
    page.get_by_label("Language").fill("fra")
    page.get_by_label("Labels").fill("rush, season 1")


def number_of(route: Route) -> int:
    found = re.search(r"partNumber=(\d+)", route.request.url)
    assert found
    return int(found[1])


def ordered(page: Page, studio: Studio) -> Job:
    page.wait_for_url("**/dashboard/jobs/*")
    return studio.hands.get(page.url.rsplit("/", 1)[1])  # type: ignore[arg-type]


def digest_of(studio: Studio, store: ObjectStore, job: Job, to: Path) -> str:
    """Of the film as it is in the bucket."""
    with studio.hands.database.transaction() as session:
        key = session.get_one(Asset, job.source_id).object_key
    assert key is not None
    store.get_file(key, to)
    return hashlib.sha256(to.read_bytes()).hexdigest()


def test_a_part_that_was_dropped_is_sent_again(
    studio: Studio, store: ObjectStore, film: Path, dialogue: Path, tmp_path: Path
) -> None:
    page = studio.open("/dashboard/submit")
    sent: Counter[int] = Counter()

    def drop_once(route: Route) -> None:
        number = number_of(route)
        sent[number] += 1
        if number == 2 and sent[2] == 1:
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(PARTS, drop_once)
    fill(page, film, dialogue)
    page.get_by_role("button", name="Upload and order").click()
    expect(page.get_by_role("progressbar", name="Upload")).to_be_visible()
    job = ordered(page, studio)
    assert sent == {1: 2, 2: 2, 3: 1}  # part 1 of the film and of the dialogue
    assert (job.language, job.labels) == ("fra", ["rush", "season 1"])
    wanted = hashlib.sha256(film.read_bytes()).hexdigest()
    assert digest_of(studio, store, job, tmp_path / "film") == wanted


def test_the_same_file_goes_on_after_a_reload(
    studio: Studio, store: ObjectStore, film: Path, dialogue: Path, tmp_path: Path
) -> None:
    page = studio.open("/dashboard/submit")
    page.route(PARTS, lambda r: r.abort() if number_of(r) == 2 else r.continue_())
    fill(page, film, dialogue)
    page.get_by_role("button", name="Upload and order").click()
    expect(page.locator("#sent")).to_contain_text("what has arrived is kept")
    expect(page.locator("#sent")).to_contain_text("25 MB of 42 MB are there")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("alert").filter(has_text="Stopped.")).to_be_visible()
    page.reload()
    page.unroute_all()
    sent: list[int] = []
    page.on("request", lambda r: sent.append(1) if PARTS.search(r.url) else None)
    fill(page, film, dialogue)
    page.get_by_role("button", name="Upload and order").click()
    job = ordered(page, studio)
    assert len(sent) == 2  # what missed of the film, and the dialogue
    wanted = hashlib.sha256(film.read_bytes()).hexdigest()
    assert digest_of(studio, store, job, tmp_path / "film") == wanted


def test_where_the_bucket_is_out_of_reach_the_farm_takes_it(
    studio: Studio, dialogue: Path, tmp_path: Path
) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(bytes(5000))
    page = studio.open("/dashboard/submit")
    page.route(PARTS, lambda route: route.abort("connectionrefused"))
    fill(page, film, dialogue)
    page.get_by_role("button", name="Upload and order").click()
    job = ordered(page, studio)
    assert (job.language, job.labels) == ("fra", ["rush", "season 1"])


def test_a_refusal_is_mended_without_sending_the_film_again(
    studio: Studio, dialogue: Path, tmp_path: Path
) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(bytes(5000))
    page = studio.open("/dashboard/submit")
    troubles = listen(page)
    fill(page, film, dialogue)
    page.get_by_label("Language").fill("no language")
    count = itertools.count()
    page.on("request", lambda request: next(count) if PARTS.search(request.url) else None)
    page.get_by_role("button", name="Upload and order").click()
    expect(page.get_by_role("alert").filter(has_text="language")).to_be_visible()
    assert_accessible(page, "an order that was refused")
    page.get_by_label("Language").fill("fra")
    page.get_by_role("button", name="Upload and order").click()
    assert ordered(page, studio).language == "fra"
    assert next(count) == 2
    assert [text for text in troubles if "400" not in text] == []


def test_uploads_are_followed_on_a_phone(studio: Studio, film: Path, dialogue: Path) -> None:
    held: list[Any] = []
    page = studio.open("/dashboard/submit", viewport={"width": 390, "height": 844})
    page.route(PARTS, lambda r: held.append(r) if number_of(r) == 3 else r.continue_())
    fill(page, film, dialogue)
    page.get_by_role("button", name="Upload and order").click()
    expect(page.locator("#sent")).to_contain_text("MB of 42 MB")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert_accessible(page, "an upload")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Upload and order")).to_be_enabled()
