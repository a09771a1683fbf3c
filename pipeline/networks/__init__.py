"""Lip-sync networks behind one small interface: face crops and sound in, mouths out.

A network is used in two moments. Once a job it *hears* the whole dialogue and gives one feature
per output frame; features are cheap slices, so a job may hold them all. Then, segment by segment
and in any order, it *speaks*: crops and their features become mouths. What it returns for a frame
must depend on that frame's crop, landmarks and feature alone, never on its neighbours in the call:
films are cut into segments, and a cut must not show.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.sound.features import Sound

__all__ = ["Network", "Sound"]


class Network(Protocol):
    """A lip-sync network, ready to run on its device."""

    @property
    def name(self) -> str:
        """As in ``--network`` and in the report: ``wav2lip``, ``draft``."""

    @property
    def digest(self) -> str:
        """Hex digest of all that determines its output: weights, precision in use, settings."""

    @property
    def precision_note(self) -> str:
        """One line for the report: the precision in use, and why."""

    @property
    def batch_size(self) -> int:
        """How many crops a call of :meth:`speak` handles best. Any number is accepted."""

    @property
    def lanes(self) -> int:
        """How many threads may, and should, call :meth:`speak` at once."""

    @property
    def returns_native(self) -> bool:
        """Whether mouths are the crop's own pixels, moved: no colours to fit."""

    def hear(
        self,
        sound: Sound,
        times: npt.NDArray[np.float64],
        frame_rate: float | None = None,
    ) -> Sequence[Any]:
        """Features of the whole dialogue, one per output frame; ``features[i]`` is cheap.

        Args:
            sound: the whole track.
            times: ``(frames,)`` seconds from the start of the sound, of every output frame.
            frame_rate: frames a second when the rate is constant and ``times[i]`` is
                ``i / frame_rate``; networks with a published rule for constant rates follow it
                to the letter. None for variable rates.
        """

    def speak(
        self,
        crops: Sequence[npt.NDArray[np.uint8]],
        landmarks: Sequence[npt.NDArray[np.float32]],
        features: Sequence[Any],
    ) -> list[npt.NDArray[np.uint8]]:
        """Mouths for a run of frames.

        Args:
            crops: ``(h, w, 3)`` BGR each, the box's pixels at their native size; sizes may differ.
            landmarks: ``(5, 2)`` float32 each, x and y in the crop's pixels: right eye, left eye,
                nose, right and left mouth corner (the person's right, the picture's left, first).
            features: one each, from :meth:`hear`.

        Returns:
            One ``(H, W, 3)`` BGR uint8 mouth per crop, covering the crop's whole field at the
            network's own size (wav2lip: 96×96; draft: the crop's size).

        Raises:
            MemoryExhaustedError: the device's memory ran out; a smaller batch may pass.
        """
