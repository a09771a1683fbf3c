"""The registry of weights, and what is installed of them."""

import dataclasses
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import checkpoints
from infra.checkpoints import REGISTRY, State
from infra.downloads import Limits
from infra.errors import (
    CheckpointMismatchError,
    CheckpointUnavailableError,
    StoreUnwritableError,
    UnknownCheckpointError,
)
from tests.infra import mirror as mirrors

BODY = b"weights " * 1000
OTHER = b"wrong!! " * 1000
LOCAL = Limits(read_seconds=1, schemes=frozenset({"http"}))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(checkpoints.DIRECTORY_VARIABLE, str(tmp_path / "kept here"))
    return tmp_path / "kept here"


@pytest.fixture
def mirror() -> Iterator[mirrors.Mirror]:
    server = mirrors.Mirror()
    yield server
    server.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> checkpoints.Checkpoint:
    """A registered checkpoint small enough for tests, at one dead mirror."""
    entry = dataclasses.replace(
        REGISTRY["wav2lip"],
        name="small",
        file_name="small.pth",
        size=len(BODY),
        sha256=hashlib.sha256(BODY).hexdigest(),
        mirrors=("http://127.0.0.1:9/small.pth",),
    )
    monkeypatch.setattr(checkpoints, "REGISTRY", {"small": entry})
    return entry


def install(entry: checkpoints.Checkpoint, body: bytes) -> None:
    entry.path.parent.mkdir(exist_ok=True)
    entry.path.write_bytes(body)


@pytest.mark.parametrize("name", REGISTRY)
def test_every_entry_says_what_it_is_and_where_it_is_found(name):
    entry = REGISTRY[name]
    assert entry.name == name
    assert len(bytes.fromhex(entry.sha256)) == hashlib.sha256().digest_size
    owners = {address.split("/")[2:4][1] for address in entry.mirrors}
    assert entry.shipped or len(owners) >= 2
    assert all(address.startswith("https://") for address in entry.mirrors)
    assert entry.size > 0
    assert entry.licence.name


def test_wav2lip_weights_are_marked_as_not_for_commerce():
    assert not REGISTRY["wav2lip"].licence.commercial_use
    assert not REGISTRY["wav2lip_gan"].licence.commercial_use
    assert REGISTRY["yunet"].licence.commercial_use


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> checkpoints.Checkpoint:
    """A registered checkpoint that comes with lipfarm, among its files."""
    entry = dataclasses.replace(
        REGISTRY["wav2lip"],
        name="ours",
        file_name="ours.safetensors",
        size=len(BODY),
        sha256=hashlib.sha256(BODY).hexdigest(),
        mirrors=(),
        shipped=True,
    )
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / entry.file_name).write_bytes(BODY)
    monkeypatch.setattr(checkpoints, "SHIPPED_DIRECTORY", tmp_path / "program")
    monkeypatch.setattr(checkpoints, "REGISTRY", REGISTRY | {"ours": entry})
    return entry


def test_what_comes_with_lipfarm_needs_no_pull_and_no_folder(shipped, folder):
    assert checkpoints.verify("ours") is State.SOUND
    assert checkpoints.pull("ours") == checkpoints.installed("ours") == shipped.path
    assert not folder.exists()
    assert [path.name for path in shipped.path.parent.iterdir()] == [shipped.file_name]


def test_published_weights_are_preferred_to_shipped_ones(shipped):
    assert checkpoints.preferred() == ("wav2lip_gan", "wav2lip", "lipfarm-small", "ours")


def test_a_damaged_shipped_file_asks_for_a_new_installation(shipped):
    shipped.path.write_bytes(OTHER)
    assert checkpoints.installed("ours") is None
    with pytest.raises(CheckpointUnavailableError, match="install lipfarm again"):
        checkpoints.pull("ours")


def test_no_file_takes_the_place_of_a_shipped_one(shipped, tmp_path):
    with pytest.raises(CheckpointMismatchError, match="comes with lipfarm"):
        checkpoints.import_file("ours", tmp_path / "other.safetensors")
    assert shipped.path.read_bytes() == BODY


def test_commercial_use_leaves_only_what_may_be_used_so(shipped, models, monkeypatch):
    checkpoints.import_file("yunet", models / REGISTRY["yunet"].file_name)
    assert checkpoints.usable("ours") == shipped.path
    monkeypatch.setenv(checkpoints.COMMERCIAL_VARIABLE, "1")
    assert checkpoints.usable("ours") is None
    assert checkpoints.usable("yunet") is not None


def test_weights_are_recognised_by_their_bytes_wherever_they_lie(shipped, tmp_path):
    copy = tmp_path / "another name.bin"
    copy.write_bytes(BODY)
    assert checkpoints.recognise(copy) == shipped
    copy.write_bytes(OTHER)
    assert checkpoints.recognise(copy) is None
    assert checkpoints.recognise(tmp_path / "nothing") is None


def test_the_registered_yunet_is_the_real_one(models: Path):
    path = checkpoints.import_file("yunet", models / REGISTRY["yunet"].file_name)
    assert checkpoints.installed("yunet") == path


def test_an_unknown_name_lists_the_known(folder):
    with pytest.raises(
        UnknownCheckpointError, match=r"'nope'.*wav2lip, wav2lip_gan, lipfarm-small, yunet"
    ):
        checkpoints.installed("nope")


def test_without_the_variable_checkpoints_live_in_the_users_data_folder(monkeypatch):
    monkeypatch.delenv(checkpoints.DIRECTORY_VARIABLE)
    assert checkpoints.directory().parts[-2:] == ("lipfarm", "checkpoints")


def test_nothing_installed_is_none_and_makes_no_folder(small, folder):
    assert checkpoints.installed("small") is None
    assert not folder.exists()


def test_pull_installs_from_a_mirror_and_then_asks_nobody(small, mirror, monkeypatch):
    address = mirror.serve("small.pth", mirrors.whole(BODY))
    entry = dataclasses.replace(small, mirrors=(*small.mirrors, address))
    monkeypatch.setattr(checkpoints, "REGISTRY", {"small": entry})
    assert checkpoints.pull("small", limits=LOCAL).read_bytes() == BODY
    assert checkpoints.pull("small", limits=LOCAL) == checkpoints.installed("small")
    assert len(mirror.requests) == 1


def test_pull_mends_a_damaged_file(small, mirror, monkeypatch):
    install(small, OTHER)
    entry = dataclasses.replace(small, mirrors=(mirror.serve("s", mirrors.whole(BODY)),))
    monkeypatch.setattr(checkpoints, "REGISTRY", {"small": entry})
    assert checkpoints.pull("small", limits=LOCAL).read_bytes() == BODY


def test_without_a_network_pull_names_the_file_what_was_tried_and_the_way_around(small):
    with pytest.raises(CheckpointUnavailableError) as caught:
        checkpoints.pull("small", limits=LOCAL)
    message = str(caught.value)
    assert "small.pth could not be fetched" in message
    assert "127.0.0.1: cannot be reached" in message
    assert "`lipfarm models pull small` takes the file" in message
    assert "\n" not in message


def test_import_takes_the_right_file_and_leaves_it_where_it_was(small, tmp_path):
    mine = tmp_path / "mine, from elsewhere.pth"
    mine.write_bytes(BODY)
    assert checkpoints.import_file("small", mine).read_bytes() == BODY
    assert mine.read_bytes() == BODY
    assert checkpoints.installed("small") == small.path


@pytest.mark.parametrize(
    ("body", "said"), [(OTHER, "sha256 is .* expected"), (b"", "0 bytes, expected 8,000")]
)
def test_import_refuses_another_file_and_says_what_it_expected(small, folder, tmp_path, body, said):
    mine = tmp_path / "mine.pth"
    mine.write_bytes(body)
    with pytest.raises(CheckpointMismatchError, match=said):
        checkpoints.import_file("small", mine)
    assert not small.path.exists()
    assert not list(folder.glob("*.part"))


def test_a_refused_import_leaves_the_installed_file(small, tmp_path):
    install(small, BODY)
    (tmp_path / "bad.pth").write_bytes(OTHER)
    with pytest.raises(CheckpointMismatchError):
        checkpoints.import_file("small", tmp_path / "bad.pth")
    assert checkpoints.installed("small") == small.path


def test_import_of_the_installed_file_itself_keeps_it(small):
    install(small, BODY)
    assert checkpoints.import_file("small", small.path).read_bytes() == BODY


@pytest.mark.parametrize("what", ["missing.pth", "."])
def test_import_of_what_is_not_a_file_says_so(small, tmp_path, what):
    with pytest.raises(StoreUnwritableError, match="not a file"):
        checkpoints.import_file("small", tmp_path / what)


def test_the_digest_is_computed_once_for_an_unchanged_file(small, monkeypatch):
    install(small, BODY)
    assert checkpoints.installed("small") == small.path

    def read_again(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(checkpoints, "file_digest", read_again)
    assert checkpoints.installed("small") == small.path


def test_a_file_changed_after_it_was_checked_is_noticed(small):
    install(small, BODY)
    assert checkpoints.installed("small")
    before = small.path.stat()
    small.path.write_bytes(OTHER)
    os.utime(small.path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert checkpoints.installed("small") is None


def test_verify_reads_the_file_even_if_it_looks_unchanged(small):
    install(small, BODY)
    assert checkpoints.installed("small")
    before = small.path.stat()
    small.path.write_bytes(OTHER)
    os.utime(small.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert checkpoints.verify("small") is State.DAMAGED
    assert checkpoints.installed("small") is None


@pytest.mark.parametrize("stamp", ["", "[]", "{}", '"x"', '{"sha256": 1}', "\x00"])
def test_a_broken_stamp_costs_a_digest_and_nothing_else(small, stamp):
    install(small, BODY)
    small.path.with_name("small.pth.sha256.json").write_text(stamp)
    assert checkpoints.installed("small") == small.path


def test_verify_tells_missing_from_sound(small):
    assert checkpoints.verify("small") is State.MISSING
    install(small, BODY)
    assert checkpoints.verify("small") is State.SOUND
