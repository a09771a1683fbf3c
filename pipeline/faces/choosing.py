"""Which of the faces of a shot are dubbed: the most prominent, all, or those somebody chose.

A choice is a point on a face in one frame, or a box for each frame of the film. Faces are not
recognised from shot to shot, so a point chooses its face for its own shot alone; boxes reach as
far as whoever made them followed the face.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path as FilePath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import Read, Store, artifact_key, sha256_of
from pipeline.errors import FaceChoiceError
from pipeline.faces.doubts import MIN_REASON_SECONDS, Reason, steadied
from pipeline.faces.linking import Path
from pipeline.options import FaceChoice, FacePoint

#: Raised when what :func:`prepare_boxes` writes changes.
BOXES_VERSION: Final = 1

#: The file of its artifact: (frames, 4) int32, an empty box where nobody is dubbed.
BOXES_FILE: Final = "boxes.npy"

#: How far from a face's middle a point may lie, in its widths and heights: half would be its edge,
#: but detectors leave out hair, ears and chin, which people point at.
POINT_REACH: Final = 0.8

#: Overlap over union above which a given box and a found one are the same face. Little: tools
#: differ in how much of the head they take in.
SAME_FACE: Final = 0.2

#: Boxes of a film that are read; a day at 30 frames a second.
_MOST_FRAMES: Final = 2_600_000

_FURTHEST: Final = 1 << 20

Reasons = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Who is dubbed.

    Attributes:
        points: each chooses a face for its shot.
        boxes: (frames, 4) int32 x1, y1, x2, y2 by source frame; beyond its end, and where a box is
            empty, nobody is dubbed. None where points alone choose.
    """

    points: tuple[FacePoint, ...] = ()
    boxes: NDArray[np.int32] | None = None

    def check(self, frame_count: int) -> None:
        """Raise FaceChoiceError for a point in a frame the film does not have."""
        for point in self.points:
            if not 0 <= point.frame < frame_count:
                raise FaceChoiceError(
                    f"a face is chosen in frame {point.frame}, but the film's frames are "
                    f"0 to {frame_count - 1}",
                    field="chosen",
                )

    def narrow(
        self,
        paths: Sequence[Path],
        reasons: Sequence[Reasons],
        start: int,
        end: int,
        frame_rate: Fraction,
    ) -> list[Reasons]:
        """The reasons of all faces of the shot [start, end), with those not chosen passing.

        Raises:
            FaceChoiceError: a point lies on no face; the message says where faces are.
        """
        picked = {_at_point(paths, p) for p in self.points if start <= p.frame < end}
        narrowed = []
        for number, (path, why) in enumerate(zip(paths, reasons, strict=True)):
            is_chosen = np.full(len(path), number in picked)
            if self.boxes is not None:
                is_chosen |= _in_boxes(path, self.boxes, frame_rate)
            passes = np.where(why < Reason.LOST, np.uint8(Reason.UNCHOSEN), why)
            narrowed.append(np.where(is_chosen, why, passes).astype(np.uint8))
        return narrowed


def choose_faces(
    paths: Sequence[Path], reasons: Sequence[Reasons], choice: FaceChoice
) -> Sequence[int]:
    """Which paths of a shot are dubbed where nobody chose."""
    weights = [_prominence(path, why) for path, why in zip(paths, reasons, strict=True)]
    if choice == "all" or not weights:
        return range(len(paths))
    return [max(range(len(paths)), key=lambda i: (weights[i], -paths[i].start))]


def prepare_boxes(path: FilePath, store: Store) -> str:
    """Read the boxes of a film's frames, and write them as an artifact; its key.

    Args:
        path: a JSON list with ``[x1, y1, x2, y2]`` or null for each frame, in pixels of the
            upright picture; or such a list under ``bounding_boxes``.
        store: where the artifact goes.

    Raises:
        FaceChoiceError: it is none.
    """
    key = artifact_key("boxes", BOXES_VERSION, boxes=sha256_of(path))
    if not store.holds(Read(key, (BOXES_FILE,))):
        boxes = read_boxes(path)
        with store.writing_folder(key) as folder:
            np.save(folder / BOXES_FILE, boxes)
    return key


def load_boxes(key: str, store: Store) -> NDArray[np.int32]:
    """Read the artifact back.

    Raises:
        MissingArtifactsError: it is not in the store.
    """
    store.require(Read(key, (BOXES_FILE,)))
    boxes: NDArray[np.int32] = np.load(store.path(key) / BOXES_FILE)
    return boxes


def read_boxes(path: FilePath) -> NDArray[np.int32]:
    """(frames, 4) of such a JSON file; raises FaceChoiceError where it is none."""
    try:
        listed = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise FaceChoiceError("the boxes of the face to dub are no JSON") from None
    if isinstance(listed, dict):
        listed = listed.get("bounding_boxes")
    if not isinstance(listed, list) or not any(listed):
        raise FaceChoiceError("the boxes of the face to dub are no list, or hold not one box")
    if len(listed) > _MOST_FRAMES:
        raise FaceChoiceError(f"there are boxes for more than {_MOST_FRAMES} frames")
    boxes = np.zeros((len(listed), 4), np.int32)
    for frame, box in enumerate(listed):
        if box is not None:
            boxes[frame] = _box(frame, box)
    return boxes


def _box(frame: int, box: Any) -> list[int]:
    numbers = isinstance(box, list) and all(
        isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < _FURTHEST for n in box
    )
    if not numbers or len(box) != 4 or box[0] >= box[2] or box[1] >= box[3]:
        raise FaceChoiceError(
            f"the box of frame {frame} is not [x1, y1, x2, y2] with x1 < x2 and y1 < y2, or null"
        )
    return [round(n) for n in box]


def _at_point(paths: Sequence[Path], point: FacePoint) -> int:
    """The path whose face the point lies on, the nearest where several do."""
    seen = {
        number: path.boxes[point.frame - path.start]
        for number, path in enumerate(paths)
        if 0 <= point.frame - path.start < len(path) and path.present[point.frame - path.start]
    }
    off = {number: _off_middle(box, point) for number, box in seen.items()}
    nearest = min(off, key=off.__getitem__, default=None)
    if nearest is None or off[nearest] > POINT_REACH:
        boxes = "; ".join(",".join(str(round(v)) for v in box.tolist()) for box in seen.values())
        there = f"its faces are at {boxes} (x1,y1,x2,y2)" if seen else "nor any other"
        raise FaceChoiceError(
            f"frame {point.frame} shows no face at {point.x},{point.y}: {there}", field="chosen"
        )
    return nearest


def _off_middle(box: NDArray[np.float32], point: FacePoint) -> float:
    """How far the point lies from the box's middle, in its widths or heights."""
    x1, y1, x2, y2 = box.tolist()
    across = abs(point.x - (x1 + x2) / 2) / max(x2 - x1, 1)
    down = abs(point.y - (y1 + y2) / 2) / max(y2 - y1, 1)
    return float(max(across, down))


def _in_boxes(path: Path, boxes: NDArray[np.int32], frame_rate: Fraction) -> NDArray[np.bool_]:
    """(n,) where the path's face is the one in the box of its frame."""
    given = np.zeros((len(path), 4), np.float32)
    part = boxes[path.start : path.start + len(path)]
    given[: len(part)] = part
    corner = np.maximum(path.boxes[:, :2], given[:, :2])
    size = np.minimum(path.boxes[:, 2:], given[:, 2:]) - corner
    shared = np.where((size > 0).all(axis=1), size.prod(axis=1), 0)
    union = _areas(path.boxes) + _areas(given) - shared
    overlaps = shared > SAME_FACE * np.maximum(union, 1)
    # Boxes that flicker from frame to frame must not make the dub flicker.
    return steadied(overlaps, max(1, round(frame_rate * MIN_REASON_SECONDS)))


def _areas(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), np.float32)


def _prominence(path: Path, reasons: Reasons) -> float:
    """Median area × frames in which it can be dubbed × mean score."""
    sides = path.boxes[:, 2:] - path.boxes[:, :2]
    dubbed = reasons < Reason.LOST
    return float(np.median(sides.prod(axis=1)) * dubbed.sum() * path.scores.mean())
