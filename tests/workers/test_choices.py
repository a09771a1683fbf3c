"""Which network a machine takes, by what is installed and what it is used for."""

import dataclasses
import hashlib
from pathlib import Path

import pytest

from infra import checkpoints
from infra.checkpoints import REGISTRY, Checkpoint
from pipeline.errors import CheckpointError
from workers.choices import choose_network, describe_weights

BODY = b"weights " * 1000


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(checkpoints.DIRECTORY_VARIABLE, str(tmp_path / "kept"))
    monkeypatch.delenv(checkpoints.COMMERCIAL_VARIABLE, raising=False)
    monkeypatch.setattr(checkpoints, "SHIPPED_DIRECTORY", tmp_path / "program")
    (tmp_path / "kept").mkdir()
    (tmp_path / "program").mkdir()
    return tmp_path


def register(monkeypatch: pytest.MonkeyPatch, name: str, *, shipped: bool) -> Checkpoint:
    """Have a small research-only checkpoint of that name installed."""
    body = BODY + name.encode()
    entry = dataclasses.replace(
        REGISTRY["wav2lip"],
        name=name,
        file_name=f"{name}.bin",
        size=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        shipped=shipped,
    )
    monkeypatch.setattr(checkpoints, "REGISTRY", checkpoints.REGISTRY | {name: entry})
    entry.path.write_bytes(body)
    return entry


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    return register(monkeypatch, "ours", shipped=True)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    return register(monkeypatch, "wav2lip", shipped=False)


def test_with_nothing_here_auto_is_draft():
    assert choose_network("auto", None, "cpu").name == "draft"


@pytest.mark.parametrize("name", ["auto", "wav2lip"])
def test_with_nothing_installed_the_shipped_network_speaks(shipped, name):
    choice = choose_network(name, None, "cpu")
    assert (choice.name, choice.checkpoint) == ("wav2lip", shipped.path)


def test_a_published_checkpoint_goes_before_the_shipped_one(shipped, published):
    assert choose_network("auto", None, "cpu").checkpoint == published.path


def test_a_given_checkpoint_goes_before_all(shipped, published, folder):
    given = folder / "mine.pth"
    assert choose_network("auto", given, "cpu").checkpoint == given


def test_draft_asks_for_no_weights(shipped, published, folder):
    assert choose_network("draft", folder / "mine.pth", "cpu").name == "draft"


def test_a_damaged_shipped_file_is_not_used(shipped):
    damaged = bytearray(shipped.path.read_bytes())
    damaged[-1] ^= 1
    shipped.path.write_bytes(damaged)
    assert choose_network("auto", None, "cpu").name == "draft"


def test_in_commercial_use_research_weights_count_as_not_installed(shipped, published, monkeypatch):
    monkeypatch.setenv(checkpoints.COMMERCIAL_VARIABLE, "1")
    assert choose_network("auto", None, "cpu").name == "draft"
    with pytest.raises(CheckpointError, match="lipfarm models pull"):
        choose_network("wav2lip", None, "cpu")


def test_in_commercial_use_research_weights_are_refused_under_any_name(
    shipped, monkeypatch, folder
):
    copy, own = folder / "my own.pth", folder / "really my own.pth"
    copy.write_bytes(shipped.path.read_bytes())
    own.write_bytes(b"trained by me")
    assert choose_network("auto", copy, "cpu").checkpoint == copy
    monkeypatch.setenv(checkpoints.COMMERCIAL_VARIABLE, "1")
    assert choose_network("auto", own, "cpu").checkpoint == own
    with pytest.raises(CheckpointError, match=r"is ours, which is for research"):
        choose_network("auto", copy, "cpu")


def test_what_is_said_of_registered_weights_has_their_name_and_licence(shipped, folder):
    assert describe_weights(shipped.path) == f"checkpoint ours, for {shipped.licence.name}"
    assert describe_weights(folder / "mine.pth") == f"checkpoint {folder / 'mine.pth'}"
