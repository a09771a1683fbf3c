"""Faces side by side: what was filmed, what the network was shown, what it drew."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor

#: Of the picture's file.
SHEET_SUFFIX: Final = ".png"

#: A face of 96 pixels is hard to judge.
_ENLARGED: Final = 2


def write_sheet(rows: Sequence[Tensor], path: Path) -> None:
    """Write ``(n, 3, 96, 96)`` faces, a row each, as a PNG.

    Args:
        rows: in [0, 1], BGR, all of one n.
        path: of the picture.
    """
    picture = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
    levels = (picture.permute(1, 2, 0).clamp(0, 1) * 255).to(torch.uint8).numpy()
    large = cv2.resize(levels, None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_CUBIC)
    _, png = cv2.imencode(".png", np.asarray(large))
    path.write_bytes(png.tobytes())
