"""What no table knows is found before the work, and costs one track."""

from pathlib import Path

import pytest

from pipeline.media.probe import probe
from pipeline.output.containers import plan_output
from pipeline.output.rehearsal import rehearse
from tests.pipeline.output.tiny import dub_film, make_film


@pytest.fixture(scope="module")
def film(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AAC, a second picture in Theora whose headers are damaged, and AC-3."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    argv = ["-map", "0", "-map", "1", "-map", "0", "-map", "1", "-c:a:0", "aac", "-c:a:1", "ac3"]
    make_film(ffmpeg, path, *argv, "-c:v:1", "libtheora")
    whole = path.read_bytes()
    start = whole.index(b"\x80theora") - 3  # how many headers there are, and how long they are
    path.write_bytes(whole[:start] + b"\x07" + whole[start + 1 :])
    return path


def test_a_track_that_the_muxer_refuses_is_left_out_alone(film: Path) -> None:
    plan = plan_output(probe(film), Path("o.mkv"))
    assert [kept.stream.index for kept in plan.kept] == [1, 3, 2]
    rehearsed = rehearse(film, plan)
    assert [kept.stream.index for kept in rehearsed.kept] == [1, 3]
    (left,) = rehearsed.left_out
    assert str(left) == "picture stream 2 (theora) is left out: the muxer refuses its beginning"
    assert left.is_missed


@pytest.mark.parametrize("layout", ["mono", "16c"])
def test_sound_of_cameras_is_taken(ffmpeg: str, tmp_path: Path, layout: str) -> None:
    """In packets of unequal length, as MOV has them, and of channels that no layout is for."""
    argv = ["-map", "0", "-map", "1", "-c:a", "pcm_s16le", "-af", f"pan={layout}|c0=c0"]
    source = make_film(ffmpeg, tmp_path / "film.mov", *argv)
    for ending in (".mp4", ".mov", ".mkv"):
        plan = plan_output(probe(source), Path(f"o{ending}"))
        assert rehearse(source, plan) == plan


def test_the_end_finds_what_the_rehearsal_found(ffmpeg: str, film: Path, tmp_path: Path) -> None:
    facts = dub_film(ffmpeg, film, tmp_path / "out.mkv")
    assert [left["reason"] for left in facts["left_out"]] == ["the muxer refuses its beginning"]
    assert [audio.codec for audio in probe(tmp_path / "out.mkv").audio] == ["aac", "aac", "ac3"]


def test_a_film_is_not_read_to_its_end_for_a_track_that_begins_late(
    ffmpeg: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "text.srt"
    text.write_text("1\n00:00:00,900 --> 00:00:01,000\nLate\n")
    argv = ["-i", str(text), "-map", "0", "-map", "1", "-map", "2", "-c:a", "flac"]
    source = make_film(ffmpeg, tmp_path / "film.mkv", *argv)
    plan = plan_output(probe(source), Path("o.mkv"))
    monkeypatch.setattr("pipeline.output.rehearsal.FILM_BYTES", 10_000)
    monkeypatch.setattr("pipeline.output.rehearsal._is_taken", lambda *_: False)
    left_out = rehearse(source, plan).left_out
    assert [left.stream.kind for left in left_out] == ["audio"]
