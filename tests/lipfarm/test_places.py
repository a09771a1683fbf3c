"""Every command that writes a file at the end of its work sees at its start that it can."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lipfarm.cli import cli
from pipeline.errors import OutputError


def invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, list(map(str, words)))


def assert_refused(done: Result, *words: str) -> None:
    assert isinstance(done.exception, OutputError), done.exception
    assert all(word in str(done.exception) for word in words), done.exception


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("sound.wav").write_bytes(b"sound")
    Path("clips").mkdir()
    Path("clips/one.mp4").write_bytes(b"film")
    return tmp_path


def test_a_waveform_does_not_replace_what_it_is_made_of() -> None:
    assert_refused(invoke("waveform", "sound.wav", "sound.wav"), "is the input itself")
    assert Path("sound.wav").read_bytes() == b"sound"
    assert_refused(invoke("waveform", "sound.wav", "none/x.wav"), "create it first")


@pytest.mark.parametrize("taken", ["x.safetensors", "x.md", "x.json", "x.png"])
def test_a_network_is_not_trained_that_cannot_be_kept(taken: str) -> None:
    Path(taken).mkdir()
    done = invoke("train", "run", "none", "--output", "x.safetensors")
    assert_refused(done, taken, "is a directory")


def test_a_network_is_not_trained_below_a_file() -> None:
    assert_refused(invoke("train", "run", "none", "--output", "sound.wav/x.pth"), "cannot write")


def test_a_network_is_not_judged_for_a_picture_that_cannot_be_written() -> None:
    done = invoke("train", "evaluate", "x.pth", "none", "--picture", "none/faces.png")
    assert_refused(done, "no such folder for the picture")


def test_clips_are_not_prepared_into_a_file_or_without_a_report() -> None:
    assert_refused(invoke("train", "prepare", "clips", "sound.wav"), "cannot write")
    Path("made/prepared.json").mkdir(parents=True)
    assert_refused(invoke("train", "prepare", "clips", "made"), "prepared.json", "is a directory")


def test_a_farm_is_not_started_that_cannot_say_so() -> None:
    done = invoke("up", "--data", "farm", "--ready-file", "none/ready.json")
    assert_refused(done, "no such folder for the ready file")
    assert not Path("farm").exists()


def test_frames_are_not_written_among_others() -> None:
    assert_refused(invoke("frames", "none.mp4", "clips"), "is not empty")
    assert_refused(invoke("frames", "none.mp4", "sound.wav"), "cannot be made")
