"""Downloads against a real HTTP server on this machine that misbehaves on request."""

import fcntl
import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from infra import downloads
from infra.downloads import Limits, fetch
from infra.errors import (
    CheckpointBusyError,
    CheckpointUnavailableError,
    StoreFullError,
    StoreUnwritableError,
)
from tests.infra import mirror as mirrors
from tests.infra.storage.encodings import ENCODINGS
from tests.patience import LONG_SECONDS

BODY = random.Random(1).randbytes(1_500_000)
DIGEST = hashlib.sha256(BODY).hexdigest()
WRONG = bytes(len(BODY))

PATIENT = Limits(
    connect_seconds=LONG_SECONDS,
    read_seconds=LONG_SECONDS,
    attempts_per_mirror=3,
    schemes=frozenset({"http"}),
)

#: For mirrors that keep us waiting. A good one on a busy machine may, too, but not for so long.
IMPATIENT = replace(PATIENT, read_seconds=5)


@pytest.fixture
def mirror() -> Iterator[mirrors.Mirror]:
    server = mirrors.Mirror()
    yield server
    server.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "weights" / "network.pth"


def get(target: Path, *addresses: str, limits: Limits = PATIENT) -> None:
    fetch(addresses, target, size=len(BODY), sha256=DIGEST, limits=limits)


def part_of(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def test_a_good_mirror_gives_the_file_and_nothing_else(mirror, target):
    seen: list[tuple[int, int]] = []
    address = mirror.serve("a", mirrors.whole(BODY))
    fetch([address], target, size=len(BODY), sha256=DIGEST, limits=PATIENT,
          progress=lambda done, size: seen.append((done, size)))  # fmt: skip
    assert target.read_bytes() == BODY
    assert not part_of(target).exists()
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)


def test_a_cut_connection_is_taken_up_where_it_broke(mirror, target):
    address = mirror.serve("a", mirrors.cut_after(BODY, 700_000), mirrors.whole(BODY))
    get(target, address)
    assert target.read_bytes() == BODY
    assert mirror.requests == [("/a", None), ("/a", "bytes=700000-")]


def test_a_download_begun_by_a_killed_process_goes_on(mirror, target):
    part = part_of(target)
    part.parent.mkdir()
    part.write_bytes(BODY[:1_000_000])
    get(target, mirror.serve("a", mirrors.whole(BODY)))
    assert target.read_bytes() == BODY
    assert mirror.requests == [("/a", "bytes=1000000-")]


def test_the_next_mirror_takes_up_what_the_last_one_left(mirror, target):
    first = mirror.serve("a", mirrors.cut_after(BODY, 300_000), mirrors.status(503))
    second = mirror.serve("b", mirrors.whole(BODY))
    get(target, first, second)
    assert target.read_bytes() == BODY
    assert mirror.requests[-1] == ("/b", "bytes=300000-")


def test_a_server_that_ignores_ranges_is_read_from_the_start(mirror, target):
    part = part_of(target)
    part.parent.mkdir()
    part.write_bytes(BODY[:1_000_000])
    get(target, mirror.serve("a", mirrors.whole(BODY, ranges=False)))
    assert target.read_bytes() == BODY


def test_a_complete_part_is_used_without_asking_anyone(mirror, target):
    part = part_of(target)
    part.parent.mkdir()
    part.write_bytes(BODY)
    get(target, mirror.serve("a", mirrors.status(500)))
    assert target.read_bytes() == BODY
    assert mirror.requests == []


@pytest.mark.parametrize("rest", [WRONG[:400_000], WRONG, WRONG + WRONG], ids=len)
def test_wrong_bytes_at_hand_do_not_spoil_a_good_mirror(mirror, target, rest):
    part = part_of(target)
    part.parent.mkdir()
    part.write_bytes(rest)
    get(target, mirror.serve("a", mirrors.whole(BODY)))
    assert target.read_bytes() == BODY


def test_a_missing_file_at_one_mirror_leads_to_the_next(mirror, target):
    get(target, mirror.serve("a", mirrors.status(404)), mirror.serve("b", mirrors.whole(BODY)))
    assert target.read_bytes() == BODY


def test_another_file_of_the_same_size_is_refused(mirror, target):
    with pytest.raises(CheckpointUnavailableError, match="digest differs"):
        get(target, mirror.serve("a", mirrors.whole(WRONG)))
    assert not target.exists()
    assert not part_of(target).exists()


def test_another_range_than_asked_for_is_refused(mirror, target):
    part = part_of(target)
    part.parent.mkdir()
    part.write_bytes(BODY[:1000])

    def from_elsewhere(handler: mirrors.MirrorHandler) -> None:
        handler.head(206, 10, Content_Range=f"bytes 500-509/{len(BODY)}")
        handler.wfile.write(BODY[500:510])

    with pytest.raises(CheckpointUnavailableError, match="another range"):
        get(target, mirror.serve("a", from_elsewhere))


def test_a_body_longer_than_registered_is_refused_before_it_fills_the_disk(mirror, target):
    with pytest.raises(CheckpointUnavailableError, match=f"more than the {len(BODY)} bytes"):
        get(target, mirror.serve("a", mirrors.endless(BODY)))
    assert part_of(target).stat().st_size <= len(BODY)


def test_a_length_other_than_registered_is_refused_unread(mirror, target):
    with pytest.raises(CheckpointUnavailableError, match="has a file of 1500001 bytes"):
        get(target, mirror.serve("a", mirrors.whole(BODY + b"!")))
    assert not part_of(target).exists()


@pytest.mark.parametrize("count", [0, 1000])
def test_a_mirror_that_falls_silent_is_left(mirror, target, count):
    silent, good = (
        mirror.serve("a", mirrors.hang(BODY, count)),
        mirror.serve("b", mirrors.whole(BODY)),
    )
    get(target, silent, good, limits=IMPATIENT)
    assert target.read_bytes() == BODY


def test_a_mirror_that_drips_is_left(mirror, target):
    slow = mirror.serve("a", mirrors.drip(BODY))
    get(target, slow, mirror.serve("b", mirrors.whole(BODY)), limits=IMPATIENT)
    assert target.read_bytes() == BODY


def test_a_redirect_is_followed(mirror, target):
    there = mirror.serve("b", mirrors.whole(BODY))
    get(target, mirror.serve("a", mirrors.redirect(there)))
    assert target.read_bytes() == BODY


def test_redirects_in_a_circle_end(mirror, target):
    circle = mirror.serve("a", mirrors.status(500))
    mirror.serve("a", mirrors.redirect(circle))
    with pytest.raises(CheckpointUnavailableError, match="redirects without end"):
        get(target, circle)
    assert len(mirror.requests) <= PATIENT.redirects + 1


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/x", "ftp://127.0.0.1/x"])
def test_only_https_is_spoken(target, address):
    with pytest.raises(CheckpointUnavailableError, match="not safe"):
        get(target, address, limits=Limits())


def test_a_redirect_away_from_a_safe_scheme_is_refused(mirror, target):
    away = mirror.serve("a", mirrors.redirect("ftp://127.0.0.1/x"))
    with pytest.raises(CheckpointUnavailableError, match="ftp"):
        get(target, away)


def test_when_no_mirror_answers_each_is_named(mirror, target):
    nobody = "http://127.0.0.1:9/network.pth"
    with pytest.raises(CheckpointUnavailableError) as caught:
        get(target, nobody, mirror.serve("a", mirrors.status(404)))
    message = str(caught.value)
    assert "\n" not in message
    assert re.search(
        r"network\.pth .*127\.0\.0\.1: cannot be reached; 127\.0\.0\.1: answers 404", message
    )


def test_two_processes_do_not_write_one_file(mirror, target):
    target.parent.mkdir()
    with (target.parent / "network.pth.part.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CheckpointBusyError):
            get(target, mirror.serve("a", mirrors.whole(BODY)))
    get(target, mirror.serve("a", mirrors.whole(BODY)))


def test_too_little_space_is_said_before_the_download(mirror, target, monkeypatch):
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _path: _Usage)
    with pytest.raises(StoreFullError, match="no space left"):
        get(target, mirror.serve("a", mirrors.whole(BODY)))
    assert mirror.requests == []


class _Usage:
    free = len(BODY) - 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is full")
def test_a_disk_that_fills_up_on_the_way_is_said(mirror, target):
    target.parent.mkdir()
    part_of(target).symlink_to("/dev/full")
    with pytest.raises(StoreFullError, match="no space left"):
        get(target, mirror.serve("a", mirrors.whole(BODY)))
    assert not target.exists()


def test_a_folder_that_cannot_be_written_is_named(mirror, tmp_path):
    (tmp_path / "taken").write_text("a file where the folder should be")
    with pytest.raises(StoreUnwritableError, match=r"taken.*LIPFARM_CHECKPOINTS_DIR"):
        get(tmp_path / "taken" / "network.pth", mirror.serve("a", mirrors.whole(BODY)))


@pytest.mark.parametrize("name", ["gzip", "brotli", "zstandard"])
def test_a_mirror_that_encodes_is_taken_and_no_bomb(mirror, target, name):
    header, encode = ENCODINGS[name]

    def encoded(body: bytes, count: int | None = None) -> mirrors.Answer:
        sent = encode(body)

        def answer(handler: mirrors.MirrorHandler) -> None:
            handler.head(200, len(sent), Content_Encoding=header)
            handler.wfile.write(sent[:count])

        return answer

    bomb = mirror.serve("bomb", encoded(BODY + bytes(50_000_000)))
    url = mirror.serve("a", encoded(BODY, 900_000), encoded(BODY))
    fetch([bomb, url], target, size=len(BODY), sha256=DIGEST, limits=PATIENT)
    assert target.read_bytes() == BODY


def test_a_page_at_a_mirror_is_told_for_what_it_is(mirror, target):
    page = b"<html><title>Sign in to this network</title></html>"

    def answer(handler: mirrors.MirrorHandler) -> None:
        handler.head(200, None, Content_Type="text/html")
        handler.wfile.write(page)

    with pytest.raises(CheckpointUnavailableError, match="sends a web page, not the file"):
        fetch([mirror.serve("a", answer)], target, size=9, sha256=DIGEST, limits=PATIENT)
