"""Names of outputs are harmless everywhere and say what they are."""

import pytest

from api.output_names import MAX_STEM_BYTES, check_output_name, output_name, safe_name


@pytest.mark.parametrize(
    ("wanted", "source", "language", "name"),
    [
        (None, "film.mp4", None, "film.mp4"),
        (None, "film.MOV", "fra", "film.fra.mov"),
        (None, "film.avi", None, "film.mp4"),
        (None, "https://host/a/b%20c.mkv?x=/y.mp4", None, "b c.mkv"),
        (None, "https://host/", None, "film.mp4"),
        ("dub", "film.mkv", "fra", "dub.mp4"),
        ("dub.mkv", "film.mp4", None, "dub.mkv"),
        ("v1.2", "film.mp4", None, "v1.2.mp4"),
        ("../../etc/passwd", "film.mp4", None, "passwd.mp4"),
        ("..", "film.mp4", None, "film.mp4"),
        ("a\nb:c?.mp4", "film.mp4", None, "a_b_c_.mp4"),
        ("Ночь.mov", "film.mp4", None, "Ночь.mov"),
    ],
)
def test_output_names(wanted, source, language, name):
    assert output_name(wanted, source, language) == name


@pytest.mark.parametrize("name", ["film.avi", "film.MXF", "a.b.webm", "dub.wav", ".ts.gif"])
def test_a_container_that_is_not_written_is_told(name):
    with pytest.raises(ValueError, match="not written here"):
        check_output_name(name)


@pytest.mark.parametrize("name", ["film", "v1.2", "Dr. Strange", "film.MP4", "a.avi.mkv", "x.m4v"])
def test_any_other_name_is_taken(name):
    assert check_output_name(name) == name


def test_long_names_are_cut_between_characters():
    name = output_name("é" * 300 + ".mp4", "film.mp4", None)
    assert name.endswith("é.mp4")
    assert len(name.encode()) <= MAX_STEM_BYTES + 4


@pytest.mark.parametrize("name", ["", ".", "..", "/", "\0", " "])
def test_nothing_left_of_a_name_gives_the_default(name):
    assert safe_name(name, default="film") in {"film", "_"}
