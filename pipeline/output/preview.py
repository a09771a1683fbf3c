"""Before and after in one small picture, for people who look at what became of a film.

The left half is the source, the right half the output, so both are always of the same moment. A
preview is made beside a range while it is rendered, and costs little; the ranges' previews are
joined by stream copy. Nothing of the output depends on it, and where one cannot be made there is
none.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from pipeline.errors import PipelineError
from pipeline.media.ffmpeg_program import ffmpeg_path
from pipeline.media.info import VideoInfo
from pipeline.media.opening import open_media
from pipeline.media.planes import plane_arrays
from pipeline.output.join import Timing
from pipeline.running.commands import run

#: Of each half, in pixels: a phone's width for both, and no more than a page shows of a job.
_MOST_WIDE, _MOST_HIGH = 400, 300

#: x264 as fast as it goes: about a millisecond a frame.
_ENCODER: Final = {"preset": "ultrafast", "crf": "28", "x264-params": "threads=1:open-gop=0"}
_KEYFRAME_SECONDS: Final = 2

_JPEG_QUALITY: Final = 85

#: As the tags of H.264 have them.
_BT709, _UNSPECIFIED, _BT470BG, _SMPTE170M = 1, 2, 5, 6

#: Pictures this high without tags are taken for BT.709, smaller ones for BT.601, as players do.
_HD_HEIGHT: Final = 720

_MUX_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class HalfSize:
    """Of one half, upright, in square pixels; both even."""

    width: int
    height: int

    @classmethod
    def of(cls, video: VideoInfo) -> "HalfSize":
        """The size a source's picture is shown at."""
        width, height = float(video.width * (video.sample_aspect_ratio or 1)), float(video.height)
        if video.rotation % 180:
            width, height = height, width
        scale = min(1.0, _MOST_WIDE / width, _MOST_HIGH / height)
        return cls(*(max(16, 2 * round(side * scale / 2)) for side in (width, height)))


@dataclass(frozen=True, slots=True)
class PreviewFiles:
    """A small H.264 film in MP4, and one of its pictures as JPEG."""

    film: Path
    still: Path


class Preview:
    """Writes the preview of one range. A context manager; what goes wrong ends it, quietly.

    Args:
        files: where it goes.
        video: the source's picture.
        still_at: the output frame that becomes the still.
    """

    def __init__(self, files: PreviewFiles, video: VideoInfo, still_at: int) -> None:
        self._files, self._video, self._still_at = files, video, still_at
        self._size = HalfSize.of(video)
        # Eight-bit pictures of a television's matrices are shown as they are: converting them takes
        # three times as long as shrinking them.
        matrices = (_BT709, _UNSPECIFIED, _BT470BG, _SMPTE170M)
        is_plain = video.bit_depth == 8 and video.color.range != ColorRange.JPEG
        self._converts = not is_plain or video.color.space not in matrices
        is_sd = video.color.space in (_BT470BG, _SMPTE170M) or (
            video.color.space == _UNSPECIFIED and video.height < _HD_HEIGHT
        )
        self._space = _SMPTE170M if is_sd and not self._converts else _BT709
        self._before: dict[int, av.VideoFrame] = {}
        self._scalers = threading.local()
        self._container: Any = None
        self._stream: Any = None
        self._first_pts: int | None = None
        self._failed = False

    def take_before(self, index: int, frame: av.VideoFrame) -> None:
        """An output frame as the source has it; called from threads, before it is written into."""
        if not self._failed:
            with self._failing_quietly():
                self._before[index] = self._shrink(frame)

    def add(self, index: int, frame: av.VideoFrame) -> None:
        """An output frame as it is encoded, in order of time; its pts are the output's."""
        before = self._before.pop(index, None)
        if not self._failed:
            with self._failing_quietly():
                after = self._shrink(frame)
                both = self._side_by_side(before or after, after)
                if index == self._still_at:
                    _write_still(both, self._files.still)
                self._encode(both, frame.pts or 0)

    def _encode(self, both: av.VideoFrame, pts: int) -> None:
        if self._container is None:
            self._open()
            self._first_pts = pts
        both.pts, both.time_base = pts - (self._first_pts or 0), self._video.time_base
        self._container.mux(self._stream.encode(both))

    def _open(self) -> None:
        video = self._video
        self._container = av.open(
            str(self._files.film.absolute()),
            "w",
            format="mp4",
            options={
                "fflags": "+bitexact",
                "video_track_timescale": str(video.time_base.denominator),
            },
        )
        stream = self._container.add_stream(
            "libx264", rate=video.frame_rate, options=dict(_ENCODER)
        )
        stream.width, stream.height = 2 * self._size.width, self._size.height
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = video.time_base
        context.gop_size = max(1, round(video.frame_rate * _KEYFRAME_SECONDS))
        context.color_range, context.colorspace = int(ColorRange.MPEG), self._space
        context.color_primaries = context.color_trc = self._space
        self._stream = stream

    def _shrink(self, frame: av.VideoFrame) -> av.VideoFrame:
        size = self._size
        is_turned = bool(self._video.rotation % 180)
        scaler = getattr(self._scalers, "own", None)
        if scaler is None:
            scaler = self._scalers.own = VideoReformatter()
        small: av.VideoFrame = scaler.reformat(
            frame,
            size.height if is_turned else size.width,
            size.width if is_turned else size.height,
            "yuv420p",
            dst_colorspace=Colorspace.ITU709 if self._converts else None,
            dst_color_range=ColorRange.MPEG if self._converts else None,
            interpolation=Interpolation.AREA,
            threads=1,
        )
        return small

    def _side_by_side(self, before: av.VideoFrame, after: av.VideoFrame) -> av.VideoFrame:
        both = av.VideoFrame(2 * self._size.width, self._size.height, "yuv420p")
        turns = self._video.rotation // 90
        halves = (plane_arrays(before), plane_arrays(after))
        for number, large in enumerate(plane_arrays(both)):
            middle = large.shape[1] // 2
            large[:, :middle] = np.rot90(halves[0][number], turns)
            large[:, middle:] = np.rot90(halves[1][number], turns)
        both.colorspace, both.color_range = self._space, int(ColorRange.MPEG)
        return both

    @contextlib.contextmanager
    def _failing_quietly(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, ValueError, OSError, cv2.error):
            self._failed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._container is not None:
            with self._failing_quietly():
                if kind is None and not self._failed:
                    self._container.mux(self._stream.encode(None))
            with self._failing_quietly():
                self._container.close()
        if kind is not None or self._failed:
            self._files.film.unlink(missing_ok=True)
            self._files.still.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class PreviewPart:
    """A range's preview: its file, which need not exist, and its output frames [start, end)."""

    path: Path
    start: int
    end: int


def join_previews(
    parts: Sequence[PreviewPart], timing: Timing, dialogue: Path, preview: Path, work_dir: Path
) -> bool:
    """Put the ranges' previews and the dialogue into one file that a browser plays at once.

    A range without one, or with one of another size, is a gap: the last picture stays.

    Args:
        parts: in order.
        timing: of the output.
        dialogue: the track of ``encode_dialogue``.
        preview: the MP4 to write.
        work_dir: a folder with room for it.

    Returns:
        Whether there is one.
    """
    pictures = work_dir / "preview-pictures.mp4"
    try:
        if not _join_pictures(parts, timing, pictures):
            return False
        run(_mux_argv(pictures, dialogue, preview), timeout=_MUX_SECONDS)
    except (av.FFmpegError, PipelineError, OSError):
        preview.unlink(missing_ok=True)
        return False
    finally:
        pictures.unlink(missing_ok=True)
    return True


def _join_pictures(parts: Sequence[PreviewPart], timing: Timing, pictures: Path) -> bool:
    scale = str(timing.time_base.denominator)
    options = {"fflags": "+bitexact", "video_track_timescale": scale, "movie_timescale": scale}
    with av.open(str(pictures.absolute()), "w", format="mp4", options=options) as muxer:
        out: Any = None
        header = None
        for part in parts:
            if not part.path.exists():
                continue
            with open_media(part.path, ("mov",)) as container:
                stream = container.streams.video[0]
                packets = [p for p in container.demux(stream) if p.size]
                if len(packets) != part.end - part.start:
                    continue
                if out is None:
                    out = muxer.add_stream_from_template(stream)
                    out.time_base = Fraction(1, timing.time_base.denominator)
                    header = bytes(stream.codec_context.extradata or b"")
                if bytes(stream.codec_context.extradata or b"") != header:
                    continue
                for number, packet in enumerate(packets, part.start):
                    _place(packet, number, timing)
                    packet.stream = out
                    muxer.mux_one(packet)
    return out is not None


def _place(packet: Any, number: int, timing: Timing) -> None:
    """Give it the time of an output frame. No frame waits for a later one, so it is both times."""
    pts = timing.pts
    following = int(pts[number + 1]) if number + 1 < len(pts) else timing.end
    packet.time_base = timing.time_base
    packet.pts = packet.dts = int(pts[number] - pts[0])
    packet.duration = following - int(pts[number])


def _mux_argv(pictures: Path, dialogue: Path, preview: Path) -> list[str]:
    argv = [ffmpeg_path(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y"]
    for source in (pictures, dialogue):
        argv += ["-protocol_whitelist", "file", "-f", "mov", "-i", f"file:{source.absolute()}"]
    argv += ["-map", "0:v:0", "-map", "1:a:0", "-c", "copy", "-fflags", "+bitexact"]
    argv += ["-movflags", "+faststart", "-f", "mp4", f"file:{preview.absolute()}"]
    return argv


def _write_still(both: av.VideoFrame, path: Path) -> None:
    bgr = both.to_ndarray(format="bgr24", dst_color_range=ColorRange.JPEG)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    path.write_bytes(jpeg.tobytes())
