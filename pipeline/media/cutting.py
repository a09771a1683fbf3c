"""Cutting a source into segment objects by stream copy, in one pass and bounded memory.

Each object holds every packet that decoding its frames needs. With open GOPs that is more than the
packets between two keyframes: pictures that are shown just before a keyframe may come after it in
the file and refer to it, so an object runs on through the next keyframe and its leading pictures.
Segments that lie in one long GOP share an object.
"""

import contextlib
import errno
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.stream import VideoStream

from pipeline.errors import OutputError, StorageFullError, UnreadableMediaError
from pipeline.media.opening import (
    VIDEO_DEMUXERS,
    one_line,
    open_media,
    picture_stream,
    read_packets,
)
from pipeline.media.plan import Segment, SourcePlan

#: Object formats by suffix. NUT keeps any time base exactly and needs no index at its end, but has
#: no name for the codecs that only ever lived in QuickTime and MXF.
NUT, MOV = ".nut", ".mov"
OBJECT_FORMATS = {NUT: "nut", MOV: "mov"}
MOV_CODECS = frozenset({"prores", "dnxhd"})

#: The tag of an object that says how far its times were moved, in ticks of the source's time base.
ORIGIN_TAG = "comment"


@dataclass
class _Span:
    """Packets [first, last] of the source, in decoding order, that make up one object."""

    path: Path
    first: int
    last: int


def cut_segments(
    path: Path | str, plan: SourcePlan, segments: Iterable[Segment], directory: Path
) -> tuple[Path, ...]:
    """Write the segment objects of a source.

    Args:
        path: the source, unchanged since it was scanned.
        plan: of the source.
        segments: of the plan; any subset of them will do.
        directory: existing; objects appear in it only when complete.

    Returns:
        For each segment the object that holds it; segments with one anchor share one.

    Raises:
        StorageFullError: no space is left.
        OutputError: the directory cannot be written.
        UnreadableMediaError: the source changed or cannot be read.
    """
    segments = tuple(segments)
    with storage_errors(directory):
        if plan.is_whole:
            return (_keep_whole(Path(path), directory),) * len(segments)
        objects = _plan_objects(plan, segments, directory)
        _copy_packets(path, plan, sorted(objects.values(), key=lambda o: o.first))
    return tuple(objects[s.anchor].path for s in segments)


def _plan_objects(
    plan: SourcePlan, segments: tuple[Segment, ...], directory: Path
) -> dict[int, _Span]:
    """By anchor: from the anchor's packet to the last one that any of its frames needs."""
    suffix = MOV if plan.codec in MOV_CODECS else NUT
    objects: dict[int, _Span] = {}
    for segment in segments:
        # Nothing says that what comes before the first keyframe is of no use: take it along.
        first = int(plan.packets[segment.anchor]) if segment.anchor else 0
        last = int(plan.packets[segment.anchor : segment.end].max())
        if segment.end == len(plan):
            last = len(plan.packet_pts) - 1
        shared = objects.setdefault(
            segment.anchor,
            _Span(directory / f"anchor-{segment.anchor:08d}{suffix}", first, last),
        )
        shared.last = max(shared.last, last)
    return objects


def _keep_whole(path: Path, directory: Path) -> Path:
    """The source itself under another name; a copy where the file system cannot link."""
    kept = directory / f"source{path.suffix}"
    kept.unlink(missing_ok=True)
    try:
        kept.hardlink_to(path)
    except OSError:
        unfinished = kept.with_name(f".{kept.name}.unfinished")
        shutil.copyfile(path, unfinished)
        unfinished.replace(kept)
    return kept


def _copy_packets(path: Path | str, plan: SourcePlan, spans: list[_Span]) -> None:
    """One pass over the source; every packet goes to each object whose span it lies in."""
    waiting, writing = spans[::-1], list[_Writer]()
    dts = plan.packet_dts
    with open_media(path, VIDEO_DEMUXERS) as container:
        stream = picture_stream(container)
        assert stream is not None  # noqa: S101 -- the plan was made from it
        try:
            for position, packet in enumerate(read_packets(path, container, [stream])):
                while waiting and waiting[-1].first == position:
                    writing.append(_Writer(waiting.pop(), stream, int(dts[position])))
                for writer in writing:
                    writer.write(packet, int(plan.packet_pts[position]), int(dts[position]))
                for finished in [w for w in writing if w.span.last == position]:
                    finished.finish()
                    writing.remove(finished)
                if not (waiting or writing):
                    return
            raise UnreadableMediaError(f"{one_line(path)}: changed while it was read")
        finally:
            for writer in writing:
                writer.abandon()


class _Writer:
    """One object being written, under a name of its own until it is complete."""

    def __init__(self, span: _Span, template: VideoStream, origin: int) -> None:
        self.span = span
        self._origin = origin
        self._time_base = template.time_base or Fraction(1, av.time_base)
        self._unfinished = span.path.with_name(f".{span.path.name}.unfinished")
        object_format = OBJECT_FORMATS[span.path.suffix]
        options = {}
        if span.path.suffix == MOV:
            options["video_track_timescale"] = str(self._time_base.denominator)
        self._container = av.open(
            str(self._unfinished), "w", format=object_format, container_options=options
        )
        self._container.metadata[ORIGIN_TAG] = str(origin)
        # opaque: the decoder's codec serves as template, an encoder need not exist.
        self._stream = self._container.add_stream_from_template(template, opaque=True)
        if span.path.suffix == MOV and template.codec_tag.strip("\0"):
            # ProRes tells its depth by the tag.
            self._stream.codec_context.codec_tag = template.codec_tag

    def write(self, packet: "av.Packet[VideoStream]", pts: int, dts: int) -> None:
        packet.stream = self._stream
        # Muxing rescales the packet in place, and another object may have had it before.
        packet.pts, packet.dts = pts - self._origin, dts - self._origin
        packet.time_base = self._time_base
        self._container.mux_one(packet)

    def finish(self) -> None:
        self._container.close()
        self._unfinished.replace(self.span.path)

    def abandon(self) -> None:
        with contextlib.suppress(av.FFmpegError, OSError):
            self._container.close()
        self._unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def storage_errors(directory: Path) -> Iterator[None]:
    """What the file system says, in our own words."""
    try:
        yield
    except OSError as error:  # av's errors that carry an errno are OSErrors too
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError(f"{one_line(directory)}: no space left") from None
        reason = error.strerror or str(error)
        raise OutputError(f"{one_line(directory)}: cannot be written: {reason}") from None
