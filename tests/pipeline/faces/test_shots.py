"""Cuts: all that are there, none that are not, and the same however the film is cut up."""

from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.faces.shots import TrailRecorder, decide_cuts, join_distances
from pipeline.faces.thumbnails import PLANE_SIZES, read_planes

#: Where film.mkv cuts, read off its frames.
FILM_CUTS = [144, 244, 388, 507, 531, 723, 843, 917, 1061]


def signatures(path: Path, limit: int = 10_000) -> list[np.ndarray]:
    found = []
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for index, frame in enumerate(container.decode(video=0)):
            if index == limit:
                break
            found.append(read_planes(frame).signature())
    return found


@pytest.fixture(scope="module")
def film(clips: Path) -> list[np.ndarray]:
    return signatures(clips / "film.mkv")


def cuts_of(pieces: list[list[np.ndarray]]) -> list[int]:
    trails = []
    for piece in pieces:
        recorder = TrailRecorder()
        for signature in piece:
            recorder.add(signature)
        trails.append(recorder.trail())
    return decide_cuts(join_distances(trails)).tolist()


def test_every_hard_cut_of_the_film_is_found_and_nothing_else(film: list[np.ndarray]) -> None:
    assert cuts_of([film]) == FILM_CUTS


@pytest.mark.parametrize("length", [1, 2, 3, 7, 24, 144])
def test_pieces_of_any_length_give_the_distances_of_the_whole(
    film: list[np.ndarray], length: int
) -> None:
    pieces = [film[i : i + length] for i in range(0, len(film), length)]
    assert cuts_of(pieces) == FILM_CUTS


def test_ten_bits_give_the_cuts_of_eight(clips: Path) -> None:
    assert cuts_of([signatures(clips / "film_hdr10.mp4")]) == FILM_CUTS[:3]


@pytest.mark.parametrize(
    "name",
    [
        "liveportrait_driving_d12",  # leaps about, with doubled frames in between
        "liveportrait_driving_d20",
        "liveportrait_source_s13",
        "vexpress_emo_talk_jocker",
        "vexpress_vasa-1_l5",
    ],
)
def test_people_who_talk_and_leap_do_not_cut(clips: Path, name: str) -> None:
    assert cuts_of([signatures(clips / "talking" / f"{name}.mp4", 250)]) == []


def scene(seed: int) -> np.ndarray:
    """A signature of a picture of its own: one of several brightnesses and colours."""
    rng = np.random.default_rng(seed)
    levels = np.repeat(rng.integers(20, 236, len(PLANE_SIZES)), PLANE_SIZES)
    return np.clip(levels + rng.normal(0, 20, levels.size), 0, 255).astype(np.uint8)


def fade(picture: np.ndarray, frames: int) -> list[np.ndarray]:
    return [(picture * (1 - i / frames)).astype(np.uint8) for i in range(frames + 1)]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_flash_is_not_a_cut(length: int) -> None:
    calm, flash = scene(1), np.full_like(scene(1), 255)
    assert cuts_of([[calm] * 20 + [flash] * length + [calm] * 20]) == []


def test_a_short_shot_is_no_flash() -> None:
    assert cuts_of([[scene(1)] * 20 + [scene(2)] * 6 + [scene(3)] * 20]) == [20, 26]


@pytest.mark.parametrize("frames", [6, 12, 24, 48])
def test_a_fade_is_not_a_cut(frames: int) -> None:
    faded = fade(scene(1), frames)
    assert cuts_of([[scene(1)] * 10 + faded + faded[::-1] + [scene(1)] * 10]) == []


def test_a_cut_at_a_border_of_pieces_is_found_once() -> None:
    assert cuts_of([[scene(1)] * 9, [scene(2)] * 9]) == [9]


def test_no_frames_and_one_frame_have_no_cut() -> None:
    assert cuts_of([]) == []
    assert cuts_of([[scene(1)]]) == []
