"""The shape of a mouth in a few numbers: what sound can tell of a face.

The grey mouth region is shrunk, each clip's mean is taken away, so that what remains is not who
speaks but how the mouth stands, and the first principal components of that are the shape.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.networks.wav2lip import FACE_SIZE
from pipeline.training import BOX_SHARE, CROP
from pipeline.training.clips import Clip

#: Principal components kept. The first opens the mouth; the last still see lips round and spread.
COMPONENTS: Final = 24

#: Where the mouth is in a box, as parts of its height and width: from under the nose to the chin.
TOP, BOTTOM, LEFT, RIGHT = 0.58, 0.98, 0.20, 0.80

#: Rows and columns the region is shrunk to.
_ROWS, _COLUMNS = 14, 20

_GREY = (0.114, 0.587, 0.299)  # of BGR

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MouthShapes:
    """The components, from the clips a network trains on.

    Attributes:
        basis: ``(280, 24)`` directions.
        spread: ``(24,)`` standard deviation along each.
    """

    basis: Floats
    spread: Floats

    @classmethod
    def of(cls, clips: Sequence[Clip]) -> "MouthShapes":
        """Learn the components of these clips."""
        looks = np.concatenate([relative_looks(clip) for clip in clips])
        _, _, directions = np.linalg.svd(looks - looks.mean(0), full_matrices=False)
        basis = np.ascontiguousarray(directions[:COMPONENTS].T, dtype=np.float32)
        return cls(basis, (looks @ basis).std(0))

    def of_clip(self, clip: Clip) -> Floats:
        """``(n, 24)``: each frame's shape, in standard deviations."""
        shapes: Floats = (relative_looks(clip) @ self.basis) / self.spread
        return shapes

    def difference(self, drawn: Tensor, wanted: Tensor) -> Tensor:
        """``(B, 24)``: how far two batches of faces are apart in shape, in standard deviations."""
        return self._project(_looks_of(drawn) - _looks_of(wanted))

    def of_faces(self, faces: Tensor) -> Tensor:
        """``(B, 24)``: the shapes of ``(B, 3, 96, 96)`` faces, before any mean is taken away."""
        return self._project(_looks_of(faces))

    def _project(self, looks: Tensor) -> Tensor:
        basis, spread = torch.from_numpy(self.basis), torch.from_numpy(self.spread)
        return looks @ basis.to(looks.device) / spread.to(looks.device)


def relative_looks(clip: Clip) -> Floats:
    """``(n, 280)``: the mouth region of each crop, grey, small, the clip's mean taken away."""
    edge = (1 - BOX_SHARE) / 2 * CROP
    rows = slice(int(edge + TOP * BOX_SHARE * CROP), int(edge + BOTTOM * BOX_SHARE * CROP))
    columns = slice(int(edge + LEFT * BOX_SHARE * CROP), int(edge + RIGHT * BOX_SHARE * CROP))
    looks = np.empty((len(clip), _ROWS * _COLUMNS), np.float32)
    for look, crop in zip(looks, clip.crops, strict=True):
        grey = cv2.cvtColor(np.ascontiguousarray(crop[rows, columns]), cv2.COLOR_BGR2GRAY)
        small = cv2.resize(grey, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)
        look[:] = small.ravel() / 255.0
    looks -= looks.mean(0)
    return looks


def correlation(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> float:
    """Of two series of one length; 0 where one of them stands still."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0


def mouth_region(faces: Tensor) -> Tensor:
    """The mouth's part of ``(B, C, 96, 96)`` faces: ``(B, C, 39, 57)``."""
    rows = slice(int(TOP * FACE_SIZE), int(BOTTOM * FACE_SIZE))
    return faces[:, :, rows, int(LEFT * FACE_SIZE) : int(RIGHT * FACE_SIZE)]


def _looks_of(faces: Tensor) -> Tensor:
    grey = (faces * faces.new_tensor(_GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return functional.adaptive_avg_pool2d(mouth_region(grey), (_ROWS, _COLUMNS)).flatten(1)
