"""Who is dubbed where: on the made-up film, and on faces whose true path is known."""

from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import ParameterError
from pipeline.faces.detectors import Face, YuNet
from pipeline.faces.doubts import Reason
from pipeline.faces.looks import Look, SegmentFaces, detect_segment
from pipeline.faces.shots import LAGS, Trail
from pipeline.faces.thumbnails import PLANE_SIZES
from pipeline.faces.tracks import (
    CANONICAL_LANDMARKS,
    Tracks,
    estimate_landmarks,
    fix_tracks,
    track_faces,
)
from pipeline.geometry import Box

RATE = Fraction(25)
track = partial(track_faces, frame_rate=RATE)


def face(x: float, y: float, width: float = 75, height: float = 100, score: float = 0.9) -> Face:
    """A face that looks at the camera, its box's corner at x, y."""
    box = np.array([x, y, x + width, y + height], np.float32)
    landmarks = box[:2] + CANONICAL_LANDMARKS * np.array([width, height], np.float32)
    return Face(box, landmarks.astype(np.float32), score)


def found(
    looks: dict[int, list[Face]],
    frames: int,
    cuts: tuple[int, ...] = (),
    size: tuple[int, int] = (640, 480),
) -> SegmentFaces:
    """What the detect stage would hand on for a film of one segment."""
    distances = np.full((frames, LAGS), 0.1, np.float32)
    for cut in cuts:
        for lag in range(LAGS):
            distances[cut + lag : cut + lag + 1, lag:] = 50
    head = np.zeros((0, sum(PLANE_SIZES)), np.uint8)
    seen = tuple(Look(frame, tuple(faces)) for frame, faces in sorted(looks.items()))
    return SegmentFaces(0, frames, *size, seen, Trail(distances, head, head))


@pytest.fixture(scope="module")
def film(clips: Path, models: Path) -> SegmentFaces:
    anchors = [0, 96, 144, 240, 336, 388, 484, 531, 627, 723, 818, 843, 917, 1013, 1061]
    with av.open(str(clips / "film.mkv")) as container:
        container.streams.video[0].thread_type = "AUTO"
        return detect_segment(
            container.decode(video=0),
            YuNet(models / "face_detection_yunet_2023mar.onnx"),
            first=0,
            start=0,
            end=1133,
            anchors=np.array(anchors),
            frame_count=1133,
            frame_rate=Fraction(24000, 1001),
        )


def test_each_shot_of_the_film_is_decided_and_told(film: SegmentFaces) -> None:
    told = {}
    for shot in track([film]).describe():
        told[shot["start"]] = {(s["what"], s["reason"]) for s in shot["spans"]}
    assert told.keys() == {0, 144, 244, 388, 507, 531, 723, 843, 917, 1061}
    for start in (0, 244, 388, 531, 843):
        assert told[start] == {("dubbed", None)}
    for start in (144, 507, 1061):
        assert told[start] == {("passed through", "no face")}
    assert told[723] == {("dubbed", None), ("passed through", "no face found")}  # fades in and out
    assert told[917] == {("passed through", "face cut by the frame")}


def test_all_dubs_both_faces_where_largest_dubs_the_larger(film: SegmentFaces) -> None:
    both = track([film], choice="all").faces_at(300)
    larger = track([film]).faces_at(300)
    assert len(both) == 2
    assert len(larger) == 1
    assert larger[0].box == max((f.box for f in both), key=lambda box: box.width * box.height)


def test_boxes_stay_inside_the_frame_and_do_not_jump(film: SegmentFaces) -> None:
    tracks = track([film])
    for one in tracks.tracks:
        assert one.boxes.min() >= 0
        assert (one.boxes <= [1280, 720, 1280, 720]).all()
        size = np.median(one.boxes[:, 3] - one.boxes[:, 1])
        assert np.abs(np.diff(one.boxes, axis=0)).max() < 0.1 * size


def test_saved_tracks_come_back_and_have_one_form(film: SegmentFaces, tmp_path: Path) -> None:
    tracks = track([film], choice="all")
    tracks.save(tmp_path / "a.npz")
    back = Tracks.load(tmp_path / "a.npz")
    back.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert back.describe() == tracks.describe()
    for frame in range(0, 1133, 50):
        for one, other in zip(back.faces_at(frame), tracks.faces_at(frame), strict=True):
            assert (one.track, one.box, one.doubtful) == (other.track, other.box, other.doubtful)
            np.testing.assert_array_equal(one.landmarks, other.landmarks)


def test_no_tracks_are_saved_and_loaded_too(tmp_path: Path) -> None:
    track([found({0: []}, 10)]).save(tmp_path / "none.npz")
    back = Tracks.load(tmp_path / "none.npz")
    assert back.faces_at(9) == ()
    with pytest.raises(IndexError):
        back.faces_at(10)


def test_a_steadily_moving_face_is_followed_without_lag() -> None:
    looks = {i: [face(50 + 4 * i, 100)] for i in range(0, 60, 3)}
    tracks = track([found(looks, 60)])
    for frame in range(60):
        box = tracks.faces_at(frame)[0].box
        assert abs(box.x1 - (50 + 4 * frame)) <= 1


def test_a_sudden_movement_is_not_rounded_off() -> None:
    at = [100 + min(max(i - 20, 0), 4) * 25 for i in range(40)]  # a whole size within four frames
    tracks = track([found({i: [face(at[i], 100)] for i in range(40)}, 40)])
    assert max(abs(tracks.faces_at(i)[0].box.x1 - at[i]) for i in range(40)) < 0.1 * 100


def test_noise_of_the_detector_is_smoothed_away() -> None:
    rng = np.random.default_rng(5)
    looks = {i: [face(200 + rng.normal(0, 2), 100 + rng.normal(0, 2))] for i in range(99)}
    boxes = track([found(looks, 99)]).tracks[0].boxes
    assert boxes[:, 0].std() < 1.1


def test_smoothing_and_tracks_never_cross_a_cut() -> None:
    looks = {i: [face(100 if i < 30 else 130, 100)] for i in range(60)}
    tracks = track([found(looks, 60, cuts=(30,))])
    left = [tracks.faces_at(i)[0] for i in range(30)]
    right = [tracks.faces_at(i)[0] for i in range(30, 60)]
    assert {f.box.x1 for f in left} == {100}
    assert {f.box.x1 for f in right} == {130}
    assert {f.track for f in left} != {f.track for f in right}


def test_short_gaps_are_bridged_and_long_ones_pass_through() -> None:
    seen = [*range(0, 30, 3), *range(36, 60, 3), *range(90, 120, 3)]  # gaps of 9 and 33 frames
    tracks = track([found({i: [face(100, 100)] for i in seen}, 120)])
    assert [i for i in range(120) if not tracks.faces_at(i)] == list(range(58, 90))
    assert [(s.start, s.end, s.what, s.reason) for s in tracks.spans(0)] == [
        (0, 58, "dubbed", ""),
        (58, 90, "passed through", "face lost"),
        (90, 120, "dubbed", ""),
    ]
    assert len(tracks.tracks) == 1


def test_faces_that_cross_keep_their_tracks() -> None:
    looks = {i: [face(50 + 5 * i, 60), face(400 - 5 * i, 260)] for i in range(0, 60, 3)}
    tracks = track([found(looks, 60)], choice="all")
    tops = [{f.track: f.box.y1 for f in tracks.faces_at(i)} for i in range(60)]
    assert all(a == b for a, b in pairwise(tops))


def test_a_face_seen_for_a_moment_is_no_face() -> None:
    looks = {i: [] for i in range(0, 60, 3)}
    assert track([found({**looks, 30: [face(100, 100)]}, 60)]).tracks == ()


def test_the_prominent_face_is_chosen_for_the_whole_shot() -> None:
    looks = {i: [face(60, 100), face(400, 100, 90, 120)] for i in range(0, 12, 3)}
    looks |= {i: [face(60, 100)] for i in range(12, 90, 3)}  # the larger one walks off
    tracks = track([found(looks, 90)])
    assert {f.box.x1 for i in range(90) for f in tracks.faces_at(i)} == {60}


@pytest.mark.parametrize(
    ("looks", "what", "reason"),
    [
        (face(100, 100, 15, 20), "passed through", "face too small"),
        (face(100, -60), "passed through", "face cut by the frame"),
        (face(-60, 100), "passed through", "mouth out of frame"),
        (face(100, 415), "passed through", "mouth out of frame"),
        (face(100, 390), "doubtful", "face partly out of frame"),
        (face(100, 100, score=0.5), "doubtful", "uncertain face"),
    ],
)
def test_a_face_that_cannot_be_dubbed_well_is_told(looks: Face, what: str, reason: str) -> None:
    tracks = track([found({i: [looks] for i in range(0, 30, 3)}, 30)])
    assert [(s.start, s.end, s.what, s.reason) for s in tracks.spans(0)] == [(0, 30, what, reason)]
    assert bool(tracks.faces_at(5)) == (what == "doubtful")


def test_a_profile_is_doubtful() -> None:
    turned = face(100, 100)
    turned.landmarks[2, 0] = turned.landmarks[1, 0]  # the nose before the left eye
    tracks = track([found({i: [turned] for i in range(0, 30, 3)}, 30)])
    assert tracks.spans(0)[0].reason == "profile"
    assert tracks.faces_at(0)[0].doubtful


def test_a_face_that_darts_is_doubtful() -> None:
    looks = {i: [face(20 + (0 if i < 10 else min(i - 10, 10) * 30), 100)] for i in range(30)}
    tracks = track([found(looks, 30)])
    assert tracks.tracks[0].reasons[15] == Reason.FAST
    assert tracks.tracks[0].reasons[2] == Reason.NONE


def test_pads_are_top_bottom_left_right_and_clamped() -> None:
    looks = found({i: [face(100, 100)] for i in range(0, 12, 3)}, 12)
    assert track([looks]).faces_at(0)[0].box == Box(100, 100, 175, 206)
    assert track([looks], pads=(1, 10, 2, 3)).faces_at(0)[0].box == Box(98, 99, 178, 210)
    assert track([looks], pads=(0, 999, 999, 0)).faces_at(0)[0].box == Box(0, 100, 175, 480)


def test_a_fixed_box_holds_in_every_frame() -> None:
    box = Box(100, 50, 196, 178)
    tracks = fix_tracks(box, 1000, 640, 480)
    assert {f.box for i in (0, 500, 999) for f in tracks.faces_at(i)} == {box}
    landmarks = tracks.faces_at(0)[0].landmarks
    np.testing.assert_array_equal(landmarks, estimate_landmarks(box))
    assert (landmarks > [100, 50]).all() and (landmarks < [196, 178]).all()
    assert tracks.describe()[0]["spans"][0]["what"] == "dubbed"


@pytest.mark.parametrize("box", [Box(600, 50, 700, 150), Box(-1, 0, 99, 99), Box(0, 0, 9, 9)])
def test_a_fixed_box_must_lie_in_the_frame(box: Box) -> None:
    with pytest.raises(ParameterError):
        fix_tracks(box, 10, 640, 480)


def test_two_hours_fit_in_little_memory() -> None:
    frames = 24 * 7200
    tracks = track([found({i: [face(100, 100)] for i in range(0, frames, 30)}, frames)])
    held = sum(t.boxes.nbytes + t.landmarks.nbytes + t.reasons.nbytes for t in tracks.tracks)
    assert held < 15e6
    assert tracks.faces_at(frames - 1) == ()
