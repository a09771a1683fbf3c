"""Is the output what was ordered? Read from the finished file, before it gets its name."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.stream import Disposition

from pipeline.errors import InternalError, UnreadableMediaError
from pipeline.media.info import StreamInfo
from pipeline.media.opening import open_media
from pipeline.output.containers import QUICKTIME_LANGUAGES, Container, LeftOut, OutputPlan
from pipeline.output.join import Timing

#: Samples in one AAC frame, the grain of the encoded dialogue's length.
AAC_FRAME = 1024

#: Matroska keeps times in steps of a millisecond, so a sound's end is known to one of them.
_TICK_SLACK = Fraction(1, 1000)

#: Nobody hears that a sound starts by so many seconds late or early; one tick of the container's
#: comes on top.
_START_SLACK = Fraction(1, 1000)


@dataclass(frozen=True)
class Expected:
    """What the output must be.

    Attributes:
        timing: of its frames.
        plan: its other streams.
        language: of the dubbed track.
        priming: seconds of the dubbed track's packets that come before its sound.
    """

    timing: Timing
    plan: OutputPlan
    language: str | None
    priming: Fraction


@dataclass(frozen=True)
class _Spans:
    """Times read from the packets: every frame's, and where the dubbed sound lies, in seconds."""

    pts: npt.NDArray[np.int64]
    time_base: Fraction
    picture: tuple[Fraction, Fraction]
    sound: tuple[Fraction, Fraction]


def verify_output(path: Path, expected: Expected) -> dict[str, Any]:
    """Check a finished file from its packets, and decode its first and last frame.

    Checked are the number of frames, each frame's time relative to the first, that the dubbed sound
    starts with the picture and is as long to one AAC frame, every stream that was to be kept, the
    dubbed track being the default one, and that both ends of the picture decode.

    Returns:
        Facts for the report: ``frames``, ``picture_seconds``, ``sound_seconds``, ``av_offset_ms``
        (positive: the sound starts after the picture), ``streams`` (kept) and ``left_out``.

    Raises:
        InternalError: the first thing that is not as it should be.
    """
    try:
        with open_media(path) as container:
            _check_streams(container, expected)
            spans = _read_spans(container, expected)
        _check_times(spans, expected.timing)
        offset = spans.sound[0] - spans.picture[0]
        _check_lengths(spans, offset, path)
        _check_ends_decode(path, int(spans.pts[-1]))
    except UnreadableMediaError as error:
        raise InternalError(f"the finished output cannot be read back: {error}") from error
    return {
        "frames": len(spans.pts),
        "picture_seconds": float(spans.picture[1] - spans.picture[0]),
        "sound_seconds": float(spans.sound[1] - spans.sound[0]),
        "av_offset_ms": round(float(offset * 1000), 3),
        "streams": _describe_streams(expected),
        "left_out": [_describe_left_out(left) for left in expected.plan.left_out],
    }


def _check_streams(container: InputContainer, expected: Expected) -> None:
    for kind in ("video", "audio", "subtitle", "attachment"):
        wanted = sum(kept.stream.kind == kind for kept in expected.plan.kept)
        wanted += kind in ("video", "audio")
        there = sum(stream.type == kind for stream in container.streams)
        if there != wanted:
            raise InternalError(f"the output has {there} {kind} streams, not {wanted}")
    sounds = container.streams.audio
    defaults = [bool(sound.disposition & Disposition.default) for sound in sounds]
    if defaults != [True] + [False] * (len(sounds) - 1):
        raise InternalError("the dubbed track is not the default sound of the output")
    found, language = sounds[0].language, expected.language
    if language is not None and not _same_language(found, language, expected.plan.container):
        raise InternalError(f"the dubbed track is tagged {found}, not {language}")


def _same_language(found: str | None, wanted: str, container: Container) -> bool:
    if container == "mov":
        return found in (None, QUICKTIME_LANGUAGES.get(wanted, wanted))
    # MP4 has room for ISO 639-2's three lower-case letters only, and "und" is not always written.
    is_kept_everywhere = len(wanted) == 3 and wanted.isascii() and wanted.islower()
    return found == wanted or not is_kept_everywhere or wanted == "und"


def priming(dialogue: Path) -> Fraction:
    """Seconds an encoder's first packets hold before the sound begins.

    The file of ``encode_dialogue`` places that part before its time zero.
    """
    with open_media(dialogue) as container:
        packet = next(container.demux(container.streams.audio[0]))
        return -(packet.pts or 0) * packet.time_base


def _read_spans(container: InputContainer, expected: Expected) -> _Spans:
    """From the packets: edit lists and codec delays are told differently by each container."""
    picture, sound = container.streams.video[0], container.streams.audio[0]
    shown: list[int] = []
    starts: dict[int, Fraction] = {}
    ends: dict[int, Fraction] = {}
    for packet in container.demux(picture, sound):
        if packet.pts is None or not packet.size:
            continue
        index, start = packet.stream_index, packet.pts * packet.time_base
        starts[index] = min(starts.get(index, start), start)
        end = start + (packet.duration or 0) * packet.time_base
        ends[index] = max(ends.get(index, end), end)
        if index == picture.index:
            shown.append(packet.pts)
    if len(starts) < 2:
        raise InternalError("the output holds no picture or no sound")
    # How long the last frame is shown, Matroska does not say.
    picture_end = starts[picture.index] + expected.timing.duration_seconds
    return _Spans(
        np.sort(np.array(shown, np.int64)),
        picture.time_base or Fraction(1, av.time_base),
        (starts[picture.index], picture_end),
        (starts[sound.index] + expected.priming, ends[sound.index]),
    )


def _check_times(spans: _Spans, timing: Timing) -> None:
    if len(spans.pts) != len(timing.pts):
        raise InternalError(f"the output has {len(spans.pts)} frames, not {len(timing.pts)}")
    # In the largest tick that both time bases are whole numbers of.
    per_second = lcm(spans.time_base.denominator, timing.time_base.denominator)
    tick = int(spans.time_base * per_second)
    found = (spans.pts - spans.pts[0]) * tick
    wanted = (timing.pts - timing.pts[0]) * int(timing.time_base * per_second)
    exact = (timing.time_base / spans.time_base).denominator == 1
    wrong = np.flatnonzero(np.abs(found - wanted) > (0 if exact else tick))
    if len(wrong):
        raise InternalError(f"frame {wrong[0]} of the output is not shown when it should be")


def _check_lengths(spans: _Spans, offset: Fraction, path: Path) -> None:
    with open_media(path) as container:
        sound = container.streams.audio[0]
        end_slack = Fraction(AAC_FRAME, sound.rate) + _TICK_SLACK
        start_slack = _START_SLACK + (sound.time_base or 0)
    late = spans.sound[1] - spans.picture[1]
    if abs(late) > end_slack or abs(offset) > start_slack:
        raise InternalError(
            f"picture and dubbed sound differ: {float(offset):+.3f} s at the start,"
            f" {float(late):+.3f} s at the end"
        )


def _check_ends_decode(path: Path, last_pts: int) -> None:
    with open_media(path) as container:
        stream = container.streams.video[0]
        if _last(container.decode(stream), most=1) is None:
            raise InternalError("the output's first frame does not decode")
    with open_media(path) as container:
        stream = container.streams.video[0]
        container.seek(last_pts, stream=stream)
        last = _last(container.decode(stream))
        if last is None or last.pts != last_pts:
            raise InternalError("the output's last frame does not decode")


def _last(frames: Iterable[Any], most: int | None = None) -> Any:
    last = None
    for count, frame in enumerate(frames, start=1):
        last = frame
        if count == most:
            break
    return last


def _describe_streams(expected: Expected) -> list[dict[str, Any]]:
    dubbed: list[dict[str, Any]] = [
        {"kind": "video", "codec": "dubbed"},
        {"kind": "audio", "codec": "aac", "language": expected.language},
    ]
    kept = [
        _describe_stream(kept.stream) | ({} if kept.codec == "copy" else {"codec": kept.codec})
        for kept in expected.plan.kept
    ]
    return dubbed + kept


def _describe_left_out(left: LeftOut) -> dict[str, Any]:
    return {
        **_describe_stream(left.stream),
        "reason": left.reason,
        "way_out": left.way_out or None,
        "note": str(left) if left.is_missed else None,
    }


def _describe_stream(stream: StreamInfo) -> dict[str, Any]:
    return {
        "kind": stream.kind,
        "index": stream.index,
        "codec": stream.codec,
        "language": stream.language,
        "title": stream.title,
    }
