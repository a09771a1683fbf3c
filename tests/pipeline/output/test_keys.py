"""What cameras tell of a film goes along, and nothing else suffers for it."""

from pathlib import Path

import av
import pytest

from pipeline.media.probe import probe
from tests.pipeline.output.tiny import dub_film, make_film

CAMERA = {"com.apple.quicktime.make": "Maker", "com.camera.ReelName": "A001", "firmware": "1.2"}
PLAIN = {"title": "Film", "artist": "Somebody", "location": "+48.2000+016.3000/"}
WHEN = "2020-01-02T03:04:05"


@pytest.fixture(scope="module")
def camera_film(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MOV with keys of both forms, a timecode track with a reel name, a chapter, a language."""
    folder = tmp_path_factory.mktemp("camera")
    chapters = folder / "chapters"
    chapters.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/10\nSTART=2\nEND=9\ntitle=One\n")
    argv = ["-i", str(chapters), "-map", "0", "-map", "1", "-c:a", "aac", "-map_chapters", "2"]
    for key, value in (CAMERA | PLAIN | {"creation_time": f"{WHEN}Z"}).items():
        argv += ["-metadata", f"{key}={value}"]
    argv += ["-metadata:s:a:0", "language=spa", "-metadata:s:v:0", "reel_name=A001C002"]
    argv += ["-timecode", "01:02:03:04", "-movflags", "use_metadata_tags"]
    return make_film(ffmpeg, folder / "film.mov", *argv)


@pytest.mark.parametrize("ending", ["mov", "mp4", "mkv"])
def test_a_cameras_keys_are_kept_beside_all_else(
    ffmpeg: str, tmp_path: Path, camera_film: Path, ending: str
) -> None:
    output = tmp_path / f"out.{ending}"
    dub_film(ffmpeg, camera_film, output, language="fra")
    info = probe(output)
    found = {key.lower(): value for key, value in info.metadata.items()}
    for key, value in (CAMERA | PLAIN).items():
        assert found[key.lower()] == value
    assert found["creation_time"].startswith(WHEN)
    assert [audio.language for audio in info.audio] == ["fra", "spa"]
    assert [chapter.title for chapter in info.chapters] == ["One"]
    assert info.video is not None
    assert info.video.timecode == "01:02:03:04"
    if ending != "mkv":
        assert found["com.apple.quicktime.title"] == "Film"
        assert found["com.apple.quicktime.location.iso6709"] == PLAIN["location"]
        # What MP4 says of itself is no key of the film's.
        assert b"mdtamajor_brand" not in output.read_bytes()
        assert b"mdtaencoder" not in output.read_bytes()
        assert b"mdtacreation_time" not in output.read_bytes()
        with av.open(str(output)) as container:
            assert all(
                s.metadata["creation_time"].startswith(WHEN) for s in list(container.streams)[:3]
            )
        assert output.read_bytes().index(b"moov") < output.read_bytes().index(b"mdat")
    if ending == "mov":
        with av.open(str(output)) as container:
            reels = [s.metadata.get("reel_name") for s in container.streams.data]
        assert "A001C002" in reels


@pytest.mark.parametrize("ending", ["mov", "mp4"])
def test_a_film_without_such_keys_keeps_the_form_every_player_reads(
    ffmpeg: str, tmp_path: Path, ending: str
) -> None:
    argv = ["-map", "0", "-map", "1", "-c:a", "aac", "-metadata", "title=Film"]
    source = make_film(ffmpeg, tmp_path / "film.mkv", *argv)
    dub_film(ffmpeg, source, tmp_path / f"out.{ending}")
    assert b"\xa9nam" in (tmp_path / f"out.{ending}").read_bytes()


def test_a_phones_make_and_model_live_in_mp4(ffmpeg: str, tmp_path: Path) -> None:
    argv = ["-map", "0", "-map", "1", "-c:a", "aac"]
    source = tmp_path / "film.mov"
    make_film(ffmpeg, source, *argv, "-metadata", "make=Maker", "-metadata", "model=M1")
    dub_film(ffmpeg, source, tmp_path / "out.mp4")
    found = probe(tmp_path / "out.mp4").metadata
    assert (found["make"], found["com.apple.quicktime.model"]) == ("Maker", "M1")


def test_a_cover_stays_where_no_camera_needs_its_place(ffmpeg: str, tmp_path: Path) -> None:
    argv = ["-map", "0", "-map", "1", "-map", "0", "-c:a", "aac", "-c:v:1", "png"]
    argv += ["-frames:v:1", "1", "-disposition:v:1", "attached_pic"]
    source = make_film(ffmpeg, tmp_path / "film.mp4", *argv)
    assert dub_film(ffmpeg, source, tmp_path / "out.mp4")["left_out"] == []
    (cover,) = probe(tmp_path / "out.mp4").others
    assert (cover.codec, cover.disposition) == ("png", ("attached_pic",))
