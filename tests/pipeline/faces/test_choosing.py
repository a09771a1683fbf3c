"""A person chosen by a point or by boxes is dubbed, and nobody else is."""

import json
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pipeline.artifacts import Store
from pipeline.errors import FaceChoiceError
from pipeline.faces.choosing import Chosen, load_boxes, prepare_boxes
from pipeline.faces.detectors import Face
from pipeline.faces.looks import Look, SegmentFaces
from pipeline.faces.shots import LAGS, Trail
from pipeline.faces.thumbnails import PLANE_SIZES
from pipeline.faces.tracks import CANONICAL_LANDMARKS, Tracks, track_faces
from pipeline.options import FacePoint

FRAMES, CUT = 100, 50
LEFT, RIGHT = (100, 100, 160, 180), (400, 100, 500, 230)

track = partial(track_faces, frame_rate=Fraction(25))


def face(x1: float, y1: float, x2: float, y2: float) -> Face:
    box = np.array([x1, y1, x2, y2], np.float32)
    landmarks = box[:2] + CANONICAL_LANDMARKS * (box[2:] - box[:2])
    return Face(box, landmarks.astype(np.float32), 0.9)


@pytest.fixture
def film() -> SegmentFaces:
    """Two shots, each with a small face on the left and a large one on the right."""
    distances = np.full((FRAMES, LAGS), 0.1, np.float32)
    for lag in range(LAGS):
        distances[CUT + lag : CUT + lag + 1, lag:] = 50
    head = np.zeros((0, sum(PLANE_SIZES)), np.uint8)
    looks = tuple(Look(f, (face(*RIGHT), face(*LEFT))) for f in range(0, FRAMES, 2))
    return SegmentFaces(0, FRAMES, 640, 480, looks, Trail(distances, head, head))


def dubbed(tracks: Tracks) -> dict[int, list[str]]:
    """Who is dubbed in each frame."""
    return {
        frame: ["left" if one.box.x1 < 300 else "right" for one in tracks.faces_at(frame)]
        for frame in range(FRAMES)
    }


@pytest.mark.parametrize(("x", "y"), [(130, 140), (105, 95), (130, 190)])
def test_point_chooses_its_face_for_its_shot_alone(film, x, y):
    tracks = track([film], chosen=Chosen((FacePoint(10, x, y),)))
    assert dubbed(tracks) == {f: ["left"] if f < CUT else [] for f in range(FRAMES)}
    spans = [shot["spans"] for shot in tracks.describe()]
    assert [span["what"] for shot in spans for span in shot] == ["dubbed", "passed through"]
    assert spans[1][0]["reason"] == "not the chosen face"


def test_a_point_in_each_shot_chooses_in_each(film):
    points = FacePoint(10, 130, 140), FacePoint(60, 450, 160)
    who = dubbed(track([film], chosen=Chosen(points)))
    assert (who[10], who[60]) == (["left"], ["right"])


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (FacePoint(10, 300, 400), "frame 10 shows no face at 300,400: its faces are at"),
        (FacePoint(100, 130, 140), "the film's frames are 0 to 99"),
    ],
)
def test_point_on_no_face_is_told_with_the_faces_there(film, point, words):
    with pytest.raises(FaceChoiceError, match=words):
        track([film], chosen=Chosen((point,)))


def test_boxes_choose_the_face_they_overlap_frame_by_frame(film):
    boxes = np.zeros((80, 4), np.int32)
    boxes[10:40] = (90, 90, 170, 190)
    boxes[60:] = RIGHT
    who = dubbed(track([film], chosen=Chosen(boxes=boxes)))
    assert {f for f, names in who.items() if names == ["left"]} == set(range(10, 40))
    assert {f for f, names in who.items() if names == ["right"]} == set(range(60, 80))


def test_boxes_that_miss_a_frame_or_two_do_not_make_the_dub_flicker(film):
    boxes = np.zeros((FRAMES, 4), np.int32)
    boxes[:] = LEFT
    boxes[[5, 20, 21, 70]] = 0
    who = dubbed(track([film], chosen=Chosen(boxes=boxes)))
    assert all(names == ["left"] for names in who.values())


def test_boxes_over_nobody_are_refused(film):
    boxes = np.full((FRAMES, 4), (0, 300, 50, 400), np.int32)
    with pytest.raises(FaceChoiceError, match="no face of the film"):
        track([film], chosen=Chosen(boxes=boxes))


def test_boxes_go_through_an_artifact(tmp_path: Path):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({"bounding_boxes": [[1, 2, 3.6, 4], None]}))
    with Store(tmp_path / "store") as store:
        boxes = load_boxes(prepare_boxes(path, store), store)
    assert boxes.tolist() == [[1, 2, 4, 4], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "[]",
        "[null]",
        "{}",
        "[[1,2,3]]",
        "[[3,2,1,4]]",
        '[[1,2,3,"4"]]',
        "[[1,2,3,1e99]]",
        "[" * 100_000,
        "[[1,2,3,NaN]]",
    ],
)
def test_what_is_no_list_of_boxes_is_refused(tmp_path: Path, text: str):
    (tmp_path / "boxes.json").write_text(text)
    with Store(tmp_path / "store") as store, pytest.raises(FaceChoiceError, match="box"):
        prepare_boxes(tmp_path / "boxes.json", store)
