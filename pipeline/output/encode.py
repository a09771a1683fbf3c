"""One segment of frames into one file that joins its neighbours by stream copy.

Every segment of a job is a closed group of pictures behind an IDR frame, made with the same
parameter sets, so the packets of all segments in a row are one valid stream. A segment's file knows
nothing of its place in the film: its time starts at zero, and the stitch puts it where it belongs.
The same frames therefore give the same bytes, wherever they stand and on whatever machine.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import av
import numpy as np
from av.video.stream import VideoStream

from pipeline.media.extras import CAPTIONS, Seen, see
from pipeline.media.info import HdrMetadata, VideoInfo
from pipeline.media.planes import filtered, plane_arrays
from pipeline.media.sidedata import side_data
from pipeline.output.publish import writing_errors

Encoder = Literal["libx264", "libx265"]

#: A viewer sees no difference at these: luma PSNR against the rendered frames is 47 dB on a
#: 576×768 talking head (x264) and 51 dB on 720p HDR (x265), at twice the size of a slow preset.
DEFAULT_CRF: dict[Encoder, float] = {"libx264": 18.0, "libx265": 18.0}

#: The network is to be the slowest part. On one core of two: x264 superfast 150 frames/s at
#: 576×768, veryfast 104 (a third smaller), faster 64; x265 at 720p ultrafast 26, superfast 16.
DEFAULT_PRESET: dict[Encoder, str] = {"libx264": "superfast", "libx265": "ultrafast"}

#: One: with two or four, the same 120 frames of 720p gave other bits in one encode of twenty (40 of
#: 40 equal with one). Segments are what runs side by side, so little speed is lost.
X264_THREADS = 1

#: Fixed, not "as many as there are cores": x265's bits depend on the number.
X265_THREADS = 4

#: How often a player finds a place to start from, in seconds of film.
KEYFRAME_SECONDS = 2

#: Pictures above this many pixels are encoded without looking ahead and without B-frames: each
#: frame that waits in the encoder costs its size several times over (8192×4320: 53 MB in 8 bits).
LARGE_PICTURE = 4096 * 2304

#: AVChromaLocation: unspecified, and left, which is what both codecs take for silence.
_PLAIN_LOCATIONS = (0, 1)

#: x265 wants at least one whole coding tree in a picture; its presets use up to 64×64.
_SMALL_SIDE = 64


def choose_encoder(video: VideoInfo) -> Encoder:
    """libx265 for HEVC sources and for more than 8 bits; libx264 for the rest."""
    return "libx265" if video.codec == "hevc" or video.bit_depth > 8 else "libx264"


def choose_pix_fmt(video: VideoInfo) -> str:
    """The format of the source's frames; 9 bits, which neither encoder takes, become 10."""
    return video.planar_format.replace("9le", "10le")


def coded_size(video: VideoInfo) -> tuple[int, int]:
    """Width and height as encoded.

    Neither codec can express an odd size where chroma is subsampled, not even by cropping; such
    pictures get one more column or row, a copy of their last.
    """
    format_ = av.VideoFormat(choose_pix_fmt(video), 64, 64)
    if len(format_.components) == 1:
        return video.width, video.height
    step_x, step_y = 64 // format_.components[1].width, 64 // format_.components[1].height
    return -(-video.width // step_x) * step_x, -(-video.height // step_y) * step_y


@dataclass(frozen=True, slots=True)
class _Settings:
    encoder: Encoder
    pix_fmt: str
    size: tuple[int, int]
    options: dict[str, str]


class SegmentEncoder:
    """Encodes frames, in order of time, into one segment file. A context manager.

    Leaving the block well finishes the file; leaving it by an exception removes it.

    Args:
        path: the file to write (NUT: it keeps any time base exactly).
        video: the source's picture; its size, pixel format, time base, colour tags, HDR metadata
            and sample aspect ratio are those of the segment.
        crf: quality, one of CRF_RANGE; None takes DEFAULT_CRF.
        preset: speed, one of PRESETS; None takes DEFAULT_PRESET.

    Raises:
        StorageFullError, OutputError: the file cannot be written.
    """

    def __init__(
        self, path: Path, video: VideoInfo, *, crf: float | None = None, preset: str | None = None
    ) -> None:
        self.path = path
        self.frames = 0
        self.seen = Seen()
        self._video = video
        self._settings = _choose_settings(video, crf, preset)
        self._first_pts: int | None = None
        self._last_pts = 0
        with writing_errors(path):
            # disabled: no shift for the encoder's delay, so that times in the file are ours.
            self._container = av.open(
                str(path.absolute()),
                "w",
                format="nut",
                options={"fflags": "+bitexact", "avoid_negative_ts": "disabled"},
            )
            self._stream = self._add_stream()

    def _add_stream(self) -> VideoStream:
        settings, video = self._settings, self._video
        stream: VideoStream = self._container.add_stream(
            settings.encoder, rate=video.frame_rate, options=settings.options
        )
        stream.width, stream.height = settings.size
        stream.pix_fmt = settings.pix_fmt
        context = stream.codec_context
        context.time_base = video.time_base
        context.gop_size = max(1, min(250, round(video.frame_rate * KEYFRAME_SECONDS)))
        if video.sample_aspect_ratio is not None:
            context.sample_aspect_ratio = video.sample_aspect_ratio
        context.color_range = video.color.range
        context.colorspace = video.color.space
        context.color_primaries = video.color.primaries
        context.color_trc = video.color.transfer
        return stream

    def encode(self, frame: av.VideoFrame, *, follows: bool = True) -> None:
        """Take the next frame; its pts, in the source's time base, must grow.

        Args:
            frame: with captions and whatever else it carries as the decoder gave it.
            follows: it is shown where it follows the frame before it in the film. Captions are a
                stream of characters: of a frame that is held, or shown again or backwards, they
                would be a stammer, and are dropped.
        """
        if frame.pts is None or (self._first_pts is not None and frame.pts <= self._last_pts):
            raise ValueError(
                f"frames must come in order of time: {frame.pts} after {self._last_pts}"
            )
        if self._first_pts is None:
            self._first_pts = frame.pts
        self._last_pts = frame.pts
        drops = not follows and side_data(frame, CAPTIONS) is not None
        self.seen = self.seen.followed_by(see(frame, self._video.color, captions_dropped=drops))
        fitted = _fit(frame, self._settings)
        if drops:
            fitted = filtered(fitted, "sidedata", f"mode=delete:type={CAPTIONS}")
        fitted.pts = frame.pts - self._first_pts
        fitted.time_base = self._video.time_base
        # The decoder leaves the source's picture types; kept, they would dictate ours.
        fitted.pict_type = 0
        with writing_errors(self.path):
            self._container.mux(self._stream.encode(fitted))
        if fitted is frame:
            frame.pts = self._last_pts
        self.frames += 1

    def close(self) -> None:
        """Write what the encoder still holds and finish the file."""
        with writing_errors(self.path):
            if self.frames:
                self._container.mux(self._stream.encode(None))
            self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.close()
        except BaseException:
            self._abandon()
            raise
        if kind is not None:
            self._abandon()

    def _abandon(self) -> None:
        with contextlib.suppress(av.FFmpegError, OSError):
            self._container.close()
        self.path.unlink(missing_ok=True)


def _choose_settings(video: VideoInfo, crf: float | None, preset: str | None) -> _Settings:
    encoder = choose_encoder(video)
    crf = DEFAULT_CRF[encoder] if crf is None else crf
    size = coded_size(video)
    # a53cc: closed captions (CEA-608, 708) go where they came from, beside each picture.
    options = {"preset": preset or DEFAULT_PRESET[encoder], "a53cc": "1"}
    if (
        choose_pix_fmt(video).startswith("yuv420p")
        and video.chroma_location not in _PLAIN_LOCATIONS
    ):
        options["chroma_sample_location"] = str(video.chroma_location)
    if encoder == "libx264":
        options |= {"qp": "0"} if crf == 0 else {"crf": f"{crf:g}"}
        parameters = _x264_parameters(video, size)
    else:
        options["crf"] = f"{crf:g}"
        parameters = _x265_parameters(video, size, lossless=crf == 0)
    options[f"{encoder[3:]}-params"] = ":".join(f"{k}={v}" for k, v in parameters.items())
    return _Settings(encoder, choose_pix_fmt(video), size, options)


def _x264_parameters(video: VideoInfo, size: tuple[int, int]) -> dict[str, str]:
    parameters = {"threads": str(X264_THREADS), "open-gop": "0"}
    if size[0] * size[1] > LARGE_PICTURE:
        parameters |= {"bframes": "0", "rc-lookahead": "0", "sync-lookahead": "0"}
        parameters |= {"ref": "1", "mbtree": "0"}
    if video.hdr is not None:
        parameters |= _light(video.hdr, "mastering-display", "cll")
    return parameters


def _x265_parameters(video: VideoInfo, size: tuple[int, int], *, lossless: bool) -> dict[str, str]:
    # info=0: x265 otherwise writes the machine's cpu features into the stream.
    parameters = {"pools": str(X265_THREADS), "frame-threads": "2", "open-gop": "0"}
    parameters |= {"info": "0", "log-level": "none", "repeat-headers": "0"}
    if size[0] * size[1] > LARGE_PICTURE:
        parameters |= {"frame-threads": "1", "bframes": "0", "rc-lookahead": "0", "ref": "1"}
        parameters |= {"b-adapt": "0", "cutree": "0", "scenecut": "0"}
    if min(size) < _SMALL_SIDE:
        parameters |= {"ctu": "16", "min-cu-size": "8"}
    if lossless:
        parameters["lossless"] = "1"
    if video.hdr is not None:
        parameters |= _light(video.hdr, "master-display", "max-cll")
    return parameters


def _light(hdr: HdrMetadata, display: str, level: str) -> dict[str, str]:
    """Static HDR metadata under the encoder's own option names."""
    light = {}
    if hdr.mastering is not None:
        light[display] = hdr.mastering.x265_string()
    if hdr.max_cll is not None or hdr.max_fall is not None:
        light[level] = f"{hdr.max_cll or 0},{hdr.max_fall or 0}"
    return light


def _fit(frame: av.VideoFrame, settings: _Settings) -> av.VideoFrame:
    """The frame in the encoder's pixel format and size; the frame itself where it fits."""
    if frame.format.name != settings.pix_fmt:
        frame = frame.reformat(format=settings.pix_fmt)
    if (frame.width, frame.height) == settings.size:
        return frame
    # A filter, for the sake of what the frame carries.
    padded = filtered(frame, "pad", f"{settings.size[0]}:{settings.size[1]}")
    for small, large in zip(plane_arrays(frame), plane_arrays(padded), strict=True):
        down, across = large.shape[0] - small.shape[0], large.shape[1] - small.shape[1]
        large[:] = np.pad(small, ((0, down), (0, across)), mode="edge")
    return padded
