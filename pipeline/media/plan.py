"""The frames of a source, and the segments it is worked on in."""

import json
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from pipeline.media.info import Clock, ColorTags, Crop

_CLOCK: TypeAdapter[Clock] = TypeAdapter(Clock)


@dataclass(frozen=True, slots=True)
class Segment:
    """Frames [start, end) of the source; reading them starts at ``anchor`` <= start."""

    index: int
    start: int
    end: int
    anchor: int

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class SourcePlan:
    """The frames of a source as its packets promise them. n frames, m packets.

    ``is_whole`` marks a source that cannot be cut (packets without times, say): it is one segment,
    and its times are what decoding gives. All times are on ``clock``, the file's. ``changing`` says
    of the file's other streams which cannot be copied as they are, and why.
    """

    pts: NDArray[np.int64]  # (n,) strictly ascending: presentation order
    packets: NDArray[np.int32]  # (n,) where each frame's packet lies in decoding order
    packet_pts: NDArray[np.int64]  # (m,) of every packet in decoding order, discarded ones too
    keyframes: NDArray[np.int32]  # frame numbers, ascending
    anchors: NDArray[np.int32]  # frame numbers, ascending, the first is 0
    end: int  # pts at which the last frame ends
    time_base: Fraction
    frame_rate: Fraction
    codec: str | None
    width: int
    height: int
    color: ColorTags
    is_whole: bool = False
    crop: Crop | None = None
    clock: Clock = field(default_factory=Clock)
    changing: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def start(self) -> Fraction:
        """When the first frame is shown, in seconds of the file's own clock."""
        return int(self.pts[0]) * self.time_base

    @property
    def duration(self) -> Fraction:
        """From the first frame's start to the last one's end, in seconds."""
        return (self.end - int(self.pts[0])) * self.time_base

    def frames_between(self, start: Fraction, end: Fraction) -> tuple[int, int]:
        """The frames [first, last) that start in a part of the film.

        Args:
            start, end: of the part, half-open, in seconds from the first frame.
        """
        ticks = [int(self.pts[0]) - int(-at // self.time_base) for at in (start, end)]
        first, last = np.searchsorted(self.pts, ticks).tolist()
        return first, last

    def number(self, pts: int) -> int:
        """The number of the frame that is shown at that time."""
        return max(0, int(np.searchsorted(self.pts, pts, side="right")) - 1)

    @property
    def frame_duration(self) -> int:
        """One frame at the nominal rate, in ticks of the time base; at least 1."""
        return max(1, round(1 / (self.frame_rate * self.time_base)))

    @property
    def durations(self) -> NDArray[np.int64]:
        """(n,) how long each frame is shown, in ticks of the time base."""
        return np.diff(self.pts, append=self.end)

    @property
    def discarded(self) -> NDArray[np.int64]:
        """(m - n,) times of packets to decode but not to show: those an edit list cuts away."""
        if self.is_whole:
            return np.empty(0, np.int64)
        shown = np.zeros(len(self.packet_pts), bool)
        shown[self.packets] = True
        return np.sort(self.packet_pts[~shown])

    @property
    def packet_dts(self) -> NDArray[np.int64]:
        """(m,) times to decode at, strictly ascending and never after the packet's pts.

        Made anew from the pts: not every container stores them, and not all that do are right.
        """
        in_order: NDArray[np.int64] = np.sort(self.packet_pts)
        delay = int((in_order - self.packet_pts).max(initial=0))
        return in_order - delay

    def over(self, pts: NDArray[np.int64]) -> "SourcePlan":
        """The same source with only these frames, numbered anew."""
        if np.array_equal(pts, self.pts):
            return self
        nearest = np.minimum(np.searchsorted(self.pts, pts), max(len(self) - 1, 0))

        def renumber(frames: NDArray[np.int32]) -> NDArray[np.int32]:
            moved = np.searchsorted(pts, self.pts[frames])
            return np.unique(moved[moved < len(pts)]).astype(np.int32)

        end = max(self.end, int(pts[-1]) + 1) if len(pts) else self.end
        return replace(
            self,
            pts=pts,
            packets=self.packets[nearest],
            keyframes=renumber(self.keyframes),
            anchors=np.union1d(renumber(self.anchors), [0]).astype(np.int32),
            end=end,
        )

    def save(self, path: Path) -> None:
        """Write it as .npz; :meth:`load` reads it."""
        arrays = {k: v for k, v in self.__dict__.items() if isinstance(v, np.ndarray)}
        rest = {k: v for k, v in self.__dict__.items() if k not in arrays}
        rest["clock"] = _CLOCK.dump_python(self.clock, mode="json")
        text = json.dumps(rest, default=lambda v: str(v) if isinstance(v, Fraction) else asdict(v))
        arrays["json"] = np.frombuffer(text.encode(), np.uint8)
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> "SourcePlan":
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        rest = json.loads(arrays.pop("json").tobytes())
        rest["time_base"] = Fraction(rest["time_base"])
        rest["frame_rate"] = Fraction(rest["frame_rate"])
        rest["color"] = ColorTags(**rest["color"])
        rest["crop"] = None if rest["crop"] is None else Crop(**rest["crop"])
        rest["clock"] = _CLOCK.validate_python(rest["clock"])
        rest["changing"] = {int(index): why for index, why in rest["changing"].items()}
        return cls(**arrays, **rest)
