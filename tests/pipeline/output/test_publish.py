"""The output appears whole or not at all, and what cannot be written is told beforehand."""

import os
from pathlib import Path

import pytest

from pipeline.errors import OutputError
from pipeline.output.publish import check_output, publishing


def test_the_output_appears_only_at_the_end(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with publishing(output) as temporary:
        temporary.write_text("film")
        assert not output.exists()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".mp4"
    assert output.read_text() == "film"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_an_interruption_leaves_what_was_there(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    output.write_text("before")
    with pytest.raises(KeyboardInterrupt), publishing(output) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out.mp4", "before")]


def test_what_a_killed_run_left_is_removed_but_not_what_another_is_writing(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with publishing(output) as running:
        killed = running.with_name(running.name.replace(".mp4", "0.mp4"))
        killed.write_text("left over")
        with publishing(output) as temporary:
            temporary.write_text("film")
            assert running.exists()
            assert not killed.exists()


def test_a_name_of_full_length_can_be_written(tmp_path: Path) -> None:
    output = tmp_path / ("n" * 251 + ".mp4")
    with publishing(output) as temporary:
        temporary.write_text("film")
    assert output.exists()


def test_the_umask_decides_who_may_read(tmp_path: Path) -> None:
    with publishing(tmp_path / "out.mp4") as temporary:
        temporary.write_text("film")
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "out.mp4").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_places_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    source.write_text("film")
    (tmp_path / "link.mp4").symlink_to(source)
    os.mkfifo(tmp_path / "pipe.mp4")
    for output, words in (
        (tmp_path, "is a directory"),
        (tmp_path / "missing" / "out.mp4", "no such folder"),
        (source, "is the input itself"),
        (tmp_path / "link.mp4", "is the input itself"),
        (tmp_path / "pipe.mp4", "is a pipe or device"),
    ):
        with pytest.raises(OutputError, match=words) as caught:
            check_output(output, [source])
        assert "\n" not in str(caught.value)
    check_output(tmp_path / "new.mp4", [source])
    assert source.read_text() == "film"


def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    folder = Path("/proc/self")  # read-only for root, too
    if not folder.is_dir():
        pytest.skip("needs /proc")
    with pytest.raises(OutputError, match="cannot write"):
        check_output(folder / "out.mp4")
