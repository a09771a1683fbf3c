"""``lipfarm models`` as a user runs it: a process, its output, its exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import LONG_SECONDS

#: A proxy nobody listens at: the mirrors are out of reach on any machine, online or not.
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


def lipfarm(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "LIPFARM_CHECKPOINTS_DIR": str(folder),
        "HTTPS_PROXY": NOWHERE,
        "https_proxy": NOWHERE,
    }
    return subprocess.run(  # noqa: TID251 -- a time limit is given, and both outputs are wanted
        [sys.executable, "-m", "lipfarm", "models", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONG_SECONDS,
        check=False,
    )


def test_list_shows_each_checkpoint_with_its_licence_and_state(folder):
    shown = lipfarm(folder, "list")
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert lines[0].split() == ["name", "size", "state", "licence", "path"]
    gan = next(line for line in lines if line.startswith("wav2lip_gan"))
    assert "435.8 MB" in gan
    assert "non-commercial" in gan
    assert "missing" in gan
    assert gan.endswith(str(folder / "wav2lip_gan.pth"))


def test_list_json_has_a_line_for_each(folder):
    shown = lipfarm(folder, "list", "--json")
    entries = {entry["name"]: entry for entry in map(json.loads, shown.stdout.splitlines())}
    assert entries["yunet"]["commercial_use"] is True
    assert entries["yunet"]["state"] == "missing"
    assert entries["wav2lip"]["size"] == 435_807_851


def test_pull_from_a_file_installs_it_and_verify_agrees(folder, models):
    mine = models / "face_detection_yunet_2023mar.onnx"
    pulled = lipfarm(folder, "pull", "yunet", "--from", str(mine))
    assert pulled.returncode == 0, pulled.stderr
    assert str(folder / mine.name) in pulled.stdout
    verified = lipfarm(folder, "verify")
    assert verified.returncode == 0
    assert "yunet: sound" in verified.stdout


def test_verify_of_a_damaged_file_fails_and_says_how_to_mend_it(folder):
    folder.mkdir()
    (folder / "wav2lip.pth").write_bytes(b"half a download")
    verified = lipfarm(folder, "verify", "wav2lip", "yunet")
    assert verified.returncode == 4
    assert "wav2lip: damaged" in verified.stdout
    assert "lipfarm models pull wav2lip yunet" in verified.stderr


def test_pull_without_a_network_says_so_in_one_line(folder):
    pulled = lipfarm(folder, "pull", "yunet")
    assert pulled.returncode == 4
    assert "face_detection_yunet_2023mar.onnx could not be fetched" in pulled.stderr
    assert "huggingface.co: cannot be reached" in pulled.stderr
    assert "takes the file (--from)" in pulled.stderr
    assert len(pulled.stderr.splitlines()) == 1


def test_pull_from_another_file_is_refused(folder, tmp_path):
    (tmp_path / "-odd name.pth").write_bytes(b"not weights")
    pulled = lipfarm(folder, "pull", "wav2lip", "--from", str(tmp_path / "-odd name.pth"))
    assert pulled.returncode == 4
    assert "expected 435,807,851" in pulled.stderr
    assert not (folder / "wav2lip.pth").exists()


@pytest.mark.parametrize(
    "arguments", [("pull",), ("pull", "nope"), ("pull", "yunet", "wav2lip", "--from", "x")]
)
def test_a_wrong_call_is_a_usage_error(folder, arguments):
    refused = lipfarm(folder, *arguments)
    assert refused.returncode == 2
    assert "wav2lip" in refused.stderr or "--from" in refused.stderr
