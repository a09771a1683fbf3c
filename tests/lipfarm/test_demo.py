"""The demo's own film and contact sheet; dubbing itself has tests of its own."""

import dataclasses
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

from lipfarm import demo
from pipeline.media.probe import probe


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both shots, a few frames each."""
    portrait, coffee = (dataclasses.replace(shot, frames=6) for shot in demo.SHOTS)
    monkeypatch.setattr(demo, "PORTRAIT", portrait)
    monkeypatch.setattr(demo, "SHOTS", (portrait, coffee))
    monkeypatch.setattr(demo, "MOMENTS", ((0.0, "silence"), (0.4, "no face")))


def test_the_film_has_both_shots_and_a_track_of_its_own(brief, tmp_path):
    demo.build_film(tmp_path / "film.mp4")
    info = probe(tmp_path / "film.mp4")
    assert info.video is not None
    assert (info.video.width, info.video.height) == (1280, 720)
    assert info.video.frame_rate == demo.FRAME_RATE
    assert len(info.audio) == 1
    assert float(info.duration) == pytest.approx(12 / 25, abs=0.05)


def test_the_camera_moves_without_a_jump():
    places = [demo.PORTRAIT.transform(i) @ (*demo.MOUTH, 1.0) for i in range(demo.PORTRAIT.frames)]
    steps = [np.linalg.norm(after - before) for before, after in pairwise(places)]
    assert min(steps) > 0
    assert max(steps) < 1


def test_the_mouth_stays_in_the_picture():
    for frame in (0, demo.PORTRAIT.frames - 1):
        transform = demo.PORTRAIT.transform(frame)
        reach = transform[0, 0] * np.array(demo.MOUTH_SPAN) / 2
        place = transform @ (*demo.MOUTH, 1.0)
        assert (place - reach > 0).all()
        assert (place + reach < (demo.WIDTH, demo.HEIGHT)).all()


def test_the_sheet_shows_what_changed(brief, tmp_path):
    source, sheet = tmp_path / "film.mp4", tmp_path / "sheet.png"
    demo.build_film(source)
    demo.draw_sheet(source, source, "none", sheet)
    drawn = cv2.imread(str(sheet))
    assert drawn is not None
    assert drawn.shape[1] == len(demo.MOMENTS) * demo.CELL_WIDTH


def test_moments_of_speech_are_loud_and_those_of_silence_are_silent():
    speech = Path(demo.__file__).parent / "assets" / "speech.flac"
    samples, rate = soundfile.read(speech)
    assert rate == 16_000
    for seconds, what in demo.MOMENTS:
        loudness = np.abs(samples[int(seconds * rate) :][: rate // 25]).max()
        if what == "speech":
            assert loudness > 0.1
        if what == "silence":
            assert loudness < 0.001
    cut = demo.PORTRAIT.frames / demo.FRAME_RATE
    assert all((seconds >= cut) == (what == "no face") for seconds, what in demo.MOMENTS)
