"""One clock for all streams of a file, without jumps: every demuxed time is placed on it here.

Times in a file are those of whatever wrote it. Transport streams, program streams and Ogg files
that were put together begin anew at each join; a 33-bit counter wraps after 26.5 hours. One pass
over the packets (:class:`ClockScan`) finds where the streams jump *together* and moves what follows
to where the film goes on, by the same amount in every stream, so that sound stays with its picture.

What is no jump stays as it is: a stream's own start, and a hole in one stream alone (packets that
are missing), in which a picture is held and a sound is silent. A stream that jumps back while the
others go on has no place on the film's clock: it is named in :attr:`Clock.broken`, and if it is the
picture, the film is refused.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition

from pipeline.errors import UnusableMediaError
from pipeline.media.info import AudioInfo, Clock, Jump, MediaInfo
from pipeline.media.opening import one_line, open_media, read_packets

#: A step back by more than this may be a jump; decoding times never go back. Presentation times do,
#: where pictures are stored in another order than shown.
_BACK = Fraction(1, 50)
_BACK_WITHOUT_DTS = Fraction(1)

#: A step of this or less that one stream takes alone is a slip of its writer's, and no jump.
_SLIP = Fraction(3, 20)

#: So is a step ahead by more than this, if all streams take it together.
_AHEAD = Fraction(10)

#: Streams jump together if their jumps differ by no more: a part's sound may end early.
_TOGETHER = Fraction(5)

#: A stream goes on past another's jump if it has more than this after it; less may lie there only
#: because the file's packets are interleaved.
_GOES_ON = Fraction(2)

#: The picture goes on without a gap even if some sound of the part before is longer by this much.
_OVERLAP = Fraction(1, 10)

#: A stream of a transport stream that starts earlier before the picture is of another programme.
_OTHER_PROGRAMME = Fraction(10)

#: Formats of which parts may be put together: FFmpeg's AVFMT_TS_DISCONT.
_JOINED_FORMATS = frozenset(("mpegts", "mpeg", "ogg"))

#: Formats whose times cannot jump: their writer counts from zero, or they have none. Where an edit
#: list shows a part twice, decoding times go back, and that is no jump.
_STEADY_FORMATS = ("mov", "avi", "mxf", "wav", "w64", "flac", "mp3", "aac", "aiff", "caf", "gif")

#: Formats whose clock begins at zero. The others start wherever their writer was.
_FROM_ZERO = ("mov", "matroska", "avi", "nut", "asf")


@dataclass
class _Run:
    """Packets of a stream in a row without a jump. Times in ticks of its time base.

    ``seen`` has, for every stream, how far it had come when the run began.
    """

    first_packet: int
    place: int
    start: int
    end: int
    seen: dict[int, int]


@dataclass
class _Stream:
    """What was seen of one stream. ``places`` is kept only of sparse ones."""

    index: int
    time_base: Fraction
    is_continuous: bool
    runs: list[_Run] = field(default_factory=list)
    packets: int = 0
    decoded: int | None = None
    places: "array[int]" = field(default_factory=lambda: array("q"))

    def jump(self, run: int) -> Fraction:
        """Seconds from the end of the run before to the start of this one."""
        return (self.runs[run].start - self.runs[run - 1].end) * self.time_base

    def goes_on(self, other: _Run) -> bool:
        """Whether it has more to come than interleaving explains when another's run begins."""
        since = other.seen.get(self.index)
        if since is None:
            return False
        following = next((r for r in self.runs if r.place > other.place), None)
        until = self.runs[-1].end if following is None else following.seen[self.index]
        return (until - since) * self.time_base > _GOES_ON


class ClockScan:
    """Sees every packet of a file once, in the file's order, and makes its :class:`Clock`."""

    def __init__(self, container: InputContainer) -> None:
        self._streams = {
            s.index: _Stream(s.index, s.time_base or Fraction(1, av.time_base), _is_continuous(s))
            for s in container.streams
        }
        self._place = 0
        self._is_steady = container.format.name.startswith(_STEADY_FORMATS)
        #: Elsewhere a step ahead is time in which nothing was recorded.
        self._may_jump_ahead = container.format.name in _JOINED_FORMATS

    def add(self, packet: "av.Packet[Any]") -> None:
        if self._is_steady:
            return
        stream = self._streams[packet.stream_index]
        number, self._place = stream.packets, self._place + 1
        stream.packets += 1
        if not stream.is_continuous:
            stream.places.append(self._place)
        shown = packet.dts if packet.pts is None else packet.pts
        if shown is None:
            return
        end = shown + (packet.duration or 0)
        if not stream.runs or self._jumps(stream, packet.dts, shown):
            seen = {s.index: s.runs[-1].end for s in self._streams.values() if s.runs}
            stream.runs.append(_Run(number, self._place, shown, end, seen))
        run, stream.decoded = stream.runs[-1], packet.dts
        run.start, run.end = min(run.start, shown), max(run.end, end)

    def _jumps(self, stream: _Stream, decoded: int | None, shown: int) -> bool:
        if not stream.is_continuous:
            return False
        if decoded is None or stream.decoded is None:
            step, back = shown - stream.runs[-1].end, _BACK_WITHOUT_DTS
        else:
            step, back = decoded - stream.decoded, _BACK
        seconds = step * stream.time_base
        return seconds < -back or (seconds > _AHEAD and self._may_jump_ahead)

    def clock(self, path: Path | str, picture: int | None) -> Clock:
        """The clock of the file.

        Args:
            path: of the file, for messages.
            picture: the index of its picture stream; None where it has none.

        Raises:
            UnusableMediaError: its picture jumps, and its sound does not.
        """
        foreign = self._foreign(picture)
        streams = [s for s in self._streams.values() if s.runs and s.index not in foreign]
        continuous = [s for s in streams if s.is_continuous]
        if all(len(s.runs) == 1 for s in continuous):
            return Clock(broken=foreign)
        leader = next((s for s in continuous if s.index == picture), continuous[0])
        others = [s for s in continuous if s is not leader]
        clock = _Resolution(leader, others, path).clock([s for s in streams if not s.is_continuous])
        return replace(clock, broken=foreign | clock.broken)

    def _foreign(self, picture: int | None) -> dict[int, str]:
        """Streams of other programmes than the picture's, which have clocks of their own."""
        if picture is None or not self._streams[picture].runs or not self._may_jump_ahead:
            return {}
        leader = self._streams[picture]
        start = leader.runs[0].start * leader.time_base
        early = {
            s.index: start - s.runs[0].start * s.time_base for s in self._streams.values() if s.runs
        }
        return {
            index: f"it starts {float(seconds):.3f} s before the picture, as another programme does"
            for index, seconds in early.items()
            if seconds > _OTHER_PROGRAMME
        }


class _Resolution:
    """Which runs of the streams belong together, and by how much each is moved."""

    def __init__(self, leader: _Stream, others: list[_Stream], path: Path | str) -> None:
        self._leader, self._others, self._path = leader, others, path
        self._matches = {s.index: _match(leader, s) for s in others}
        self._broken: dict[int, str] = {}
        #: By the leader's run: seconds that it is moved by.
        self._shifts = [Fraction(0)]
        #: The leader's runs that begin with a true jump.
        self._joins: list[int] = []
        for run in range(1, len(leader.runs)):
            self._resolve(run)

    def _resolve(self, run: int) -> None:
        leader, begins = self._leader, self._leader.runs[run]
        step = leader.jump(run)
        matched = [s for s in self._others if run in self._matches[s.index]]
        stay = [s for s in self._others if s not in matched and s.goes_on(begins)]
        is_slip = abs(step) <= _SLIP and bool(self._others)
        if not matched and (is_slip or (step > 0 and (stay or self._is_hole(run)))):
            self._shifts.append(self._shifts[-1])
            return
        if stay and not matched:
            raise UnusableMediaError(
                f"{one_line(self._path)}: {self._describe(run)}, and its other streams go on;"
                " write it anew with one clock first, or dub the part before and the part after it"
                " alone"
            )
        for stream in stay:
            self._broken.setdefault(stream.index, f"its clock goes on where {self._describe(run)}")
        self._joins.append(run)
        self._shifts.append(self._shift(run, matched))

    def _is_hole(self, run: int) -> bool:
        """Whether another stream's time went on while the leader's next packet was waited for."""
        leader = self._leader
        end = leader.runs[run - 1].end * leader.time_base
        seen = leader.runs[run].seen
        return any(seen.get(s.index, 0) * s.time_base - end > _GOES_ON for s in self._others)

    def _shift(self, run: int, matched: list[_Stream]) -> Fraction:
        """So that the picture goes on at once; later where a sound of the part before is longer."""
        leader, before = self._leader, self._shifts[-1]
        at_once = before - leader.jump(run)
        needed = [before - s.jump(self._matches[s.index][run]) for s in matched]
        latest = max(needed, default=at_once)
        if latest <= at_once + _OVERLAP:
            return at_once
        return round(latest / leader.time_base) * leader.time_base

    def _describe(self, run: int) -> str:
        leader = self._leader
        where = (leader.runs[run - 1].end - leader.runs[0].start) * leader.time_base
        where += self._shifts[run - 1]
        step = float(leader.jump(run))
        return f"the clock of stream {leader.index} jumps by {step:+.3f} s {float(where):.3f} s in"

    def clock(self, sparse: Iterable[_Stream]) -> Clock:
        leader = self._leader
        jumps = {leader.index: self._own(leader.runs[i].first_packet for i in self._joins)}
        for stream in self._others:
            jumps[stream.index] = self._of_other(stream)
        for stream in sparse:
            places = [leader.runs[i].place for i in self._joins]
            jumps[stream.index] = self._own(bisect_left(stream.places, p) for p in places)
        end = leader.runs[-1].end * leader.time_base + self._shifts[-1]
        moved = {index: each for index, each in jumps.items() if each}
        return Clock(jumps=moved, broken=self._broken, end=end if moved else None)

    def _own(self, packets: Iterable[int]) -> tuple[Jump, ...]:
        pairs = zip(packets, self._joins, strict=True)
        return tuple(Jump(packet, self._shifts[run]) for packet, run in pairs)

    def _of_other(self, stream: _Stream) -> tuple[Jump, ...]:
        matches, begins = self._matches[stream.index], stream.runs[0].place
        jumps = []
        for run in self._joins:
            if self._leader.runs[run].place <= begins:
                jumps = [Jump(0, self._shifts[run])]  # it begins after that join
            elif run in matches:
                first = stream.runs[matches[run]].first_packet
                jumps.append(Jump(first, self._shifts[run]))
        self._check(stream)
        return tuple(jumps)

    def _check(self, stream: _Stream) -> None:
        known = set(self._matches[stream.index].values())
        for run in range(1, len(stream.runs)):
            if run not in known and stream.jump(run) < -_SLIP:
                reason = f"its clock jumps by {float(stream.jump(run)):+.3f} s, unlike the others"
                self._broken.setdefault(stream.index, reason)


def _match(leader: _Stream, other: _Stream) -> dict[int, int]:
    """By the leader's runs, those of another stream that begin with the same jump, in order."""
    matches: dict[int, int] = {}
    following = 1
    for run in range(1, len(other.runs)):
        alike = [
            candidate
            for candidate in range(following, len(leader.runs))
            if abs(leader.jump(candidate) - other.jump(run)) <= _TOGETHER
        ]
        if alike:
            # Parts of one length jump alike; the streams lie side by side in the file.
            place = other.runs[run].place
            nearest = min(alike, key=lambda candidate: abs(leader.runs[candidate].place - place))
            matches[nearest] = run
            following = nearest + 1
    return matches


def _is_continuous(stream: Any) -> bool:
    is_cover = bool(stream.disposition & Disposition.attached_pic)
    return stream.type in ("video", "audio") and not is_cover


def with_clock(info: MediaInfo) -> MediaInfo:
    """A probed file with its clock; reads it through where parts of its format can be joined.

    Raises:
        UnreadableMediaError: it cannot be read.
        UnusableMediaError: its picture jumps, and its sound does not.
    """
    if info.container not in _JOINED_FORMATS or is_chain(info):
        return info
    with open_media(info.path) as container:
        scan = ClockScan(container)
        for packet in read_packets(info.path, container, list(container.streams)):
            scan.add(packet)
    return on_clock(info, scan.clock(info.path, info.video.index if info.video else None))


def is_chain(info: MediaInfo) -> bool:
    """Whether its parts, if it has several, follow each other without asking any clock.

    An Ogg file of sound alone may be a chain of files, each with headers of its own, which a copy
    would lose; with no picture to stay with, each part begins where the one before it ends.
    """
    return info.container == "ogg" and info.video is None


def on_clock(info: MediaInfo, clock: Clock) -> MediaInfo:
    """The same file with that clock, and its true start and length."""
    streams = [s for s in (info.video, *info.audio) if s and s.index not in clock.broken]
    starts = [s.start for s in streams if s.start is not None]
    start = min(starts, default=info.start) if clock.broken else info.start
    duration = info.duration if clock.end is None else clock.end - start
    return replace(info, clock=clock, start=start, duration=duration)


def move(packets: Iterable["av.Packet[Any]"], clock: Clock) -> Iterator["av.Packet[Any]"]:
    """A file's packets from its first on, with their times on the clock.

    Args:
        packets: of whole streams: they are told by their numbers.
        clock: of the file.
    """
    if not clock.jumps:
        yield from packets
        return
    counts: dict[int, int] = {}
    for packet in packets:
        if packet.size:
            index = packet.stream_index
            number = counts.get(index, 0)
            counts[index] = number + 1
            shift = round(clock.shift(index, number) / packet.time_base)
            if packet.pts is not None:
                packet.pts += shift
            if packet.dts is not None:
                packet.dts += shift
        yield packet


def sound_zero(info: MediaInfo, audio: AudioInfo) -> Fraction | None:
    """When the clock of a file with sound shows 0 to its user, in seconds of its own times.

    A clock that begins at zero shows itself, so that a sound that starts late is late; beside a
    picture, the earliest stream is the start, as in players. None: the first sample is.
    """
    if info.container.startswith(_FROM_ZERO):
        if info.video is None:
            return Fraction(0)
        starts = [s.start for s in (info.video, audio) if s.start is not None]
        return max(Fraction(0), min(starts, default=Fraction(0)))
    return None if info.video is None else info.start
