"""Any file's sound as samples on a clock: sample n is what is heard n / rate seconds after zero.

Samples are placed by the times of their packets, not counted from the first one: a sound that
starts late is preceded by silence, a hole in it is silent, and what overlaps is dropped. ffmpeg
decodes, in a process of its own, and hands over samples with their times.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

import av
import ffmpeg
import numpy as np
import numpy.typing as npt

from pipeline.errors import UnusableMediaError
from pipeline.media.clock import is_chain, sound_zero, with_clock
from pipeline.media.ffmpeg_program import ffmpeg_path
from pipeline.media.info import AudioInfo, MediaInfo
from pipeline.media.opening import FORMATS, one_line
from pipeline.media.probe import probe, require_dialogue
from pipeline.media.straightening import straightened
from pipeline.running.commands import PROTOCOLS, streaming
from pipeline.sound.layouts import channel_count, heard_layout, naming_filter

#: Samples a channel that are held at once: 1.4 s at 48 kHz.
BLOCK_SAMPLES = 1 << 16

#: Seconds that a sound may suddenly be off before it is a hole or an overlap: less than one packet
#: of any codec, more than the steps in which containers count, and than FFmpeg's guess at times
#: within an Ogg page is wrong by (10 ms).
_SUDDEN = Fraction(15, 1000)

#: The same where times are exact to 11 µs.
_SUDDEN_IN_STREAMS = Fraction(3, 1000)
_STREAMS = ("mpegts", "mpeg")

#: Seconds that it may be off at all: a recorder's clock that runs a little fast or slow.
_DRIFT = Fraction(1, 10)

#: No film pauses for longer; a longer hole is a clock that jumped, and would fill the disk.
_LONGEST_HOLE = Fraction(6 * 3600)

#: Nor does what is heard overlap by more: the rest of the sound would be dropped.
_LONGEST_OVERLAP = Fraction(1)

#: Containers that count samples themselves, and whose times are no more than FFmpeg's guess.
_COUNTED = ("avi",)

#: Full scale is 1; what is louder by 120 dB is a broken number, and no encoder takes it.
_LOUDEST = 1e6

#: Seconds ffmpeg may take to decode: a floor, plus the sound's length, plus one for every MB.
_DECODE_FLOOR_SECONDS = 120.0
_BYTES_PER_SECOND = 1e6

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SoundFile:
    """One sound of a file, on a clock.

    Attributes:
        info: of the file, with its clock.
        audio: the sound.
        zero: the time of the file's clock that is sample 0; None: that of its first sample.
    """

    info: MediaInfo
    audio: AudioInfo
    zero: Fraction | None

    def __post_init__(self) -> None:
        reason = self.info.clock.broken.get(self.audio.index)
        if reason is not None:
            name = one_line(self.info.path)
            raise UnusableMediaError(f"{name}: sound stream {self.audio.index}: {reason}")


def open_sound(path: Path) -> SoundFile:
    """A file's default sound, on the file's own clock; see :func:`pipeline.media.clock.sound_zero`.

    Raises:
        UnreadableMediaError: it cannot be read.
        UnusableMediaError: it has no sound, or its clock jumps.
    """
    info = with_clock(probe(path))
    audio = require_dialogue(info)
    return SoundFile(info, audio, sound_zero(info, audio))


class Decoder:
    """A sound as blocks of interleaved float32, made finite, and counted.

    ``repaired`` and ``duration`` hold once the blocks are used up.

    Args:
        sound: what to decode.
        layout: FFmpeg's name of the channels; None: mono or stereo.
        rate: samples a second; None: the sound's own.
    """

    def __init__(
        self, sound: SoundFile, *, layout: str | None = None, rate: int | None = None
    ) -> None:
        self.rate = rate or sound.audio.sample_rate
        self.layout = layout or heard_layout(sound.audio)
        self.channels = channel_count(self.layout)
        self.repaired = 0
        self._sound, self._samples = sound, 0
        info = sound.info
        length = float(sound.audio.duration or info.duration or 0)
        self._timeout = _DECODE_FLOOR_SECONDS + length + info.size_bytes / _BYTES_PER_SECOND

    @property
    def duration(self) -> Fraction:
        """From zero to the last sample's end."""
        return Fraction(self._samples, self.rate)

    def blocks(self) -> Iterator[Samples]:
        is_heard = False
        for block in _gathered(self._placed(), BLOCK_SAMPLES * self.channels):
            is_heard = True
            self._samples += len(block) // self.channels
            yield self._finite(block)
        if not is_heard:
            raise UnusableMediaError(
                f"{one_line(self._sound.info.path)}: its sound has not one sample"
            )

    def _placed(self) -> Iterator[Samples]:
        """Pieces of any size, without gap or overlap, from sample 0 on."""
        place = Placing(self._sound, self.rate)
        with straightened(self._sound.info, self._sound.audio) as (path, index, lead):
            argv = self._argv(path, index)
            with streaming(argv, timeout=self._timeout) as stdout:
                for time, samples in _packets(stdout):
                    silent, dropped = place(time - lead, len(samples) // self.channels)
                    yield from _silence(silent, self.channels)
                    if dropped * self.channels < len(samples):
                        yield samples[dropped * self.channels :]

    def _finite(self, block: Samples) -> Samples:
        is_sound = np.abs(block) <= _LOUDEST  # neither is what is not a number
        wrong = len(block) - int(np.count_nonzero(is_sound))
        if not wrong:
            return block
        self.repaired += wrong
        return np.where(is_sound, block, np.float32(0))

    def _argv(self, path: Path, index: int) -> list[str]:
        # "file:" and an absolute path: no name can be an option, a protocol or a pattern.
        source = ffmpeg.input(
            f"file:{path.absolute()}", protocol_whitelist=PROTOCOLS, format_whitelist=FORMATS
        )
        wanted = f"aformat=sample_fmts=flt:sample_rates={self.rate}:channel_layouts={self.layout}"
        naming = naming_filter(self._sound.audio)
        output = ffmpeg.output(
            source[str(index)],
            "pipe:1",
            af=wanted if naming is None else f"{naming},{wanted}",
            acodec="pcm_f32le",
            format="nut",
        ).global_args("-nostdin", "-hide_banner", "-loglevel", "error")
        if not is_chain(self._sound.info):  # of which ffmpeg puts the parts in a row
            output = output.global_args("-copyts")
        argv: list[str] = ffmpeg.compile(output, cmd=ffmpeg_path())
        return argv


class Placing:
    """Where each piece of a sound goes: how much silence before it, how much of it is dropped."""

    def __init__(self, sound: SoundFile, rate: int) -> None:
        self._sound, self._rate, self._zero = sound, rate, sound.zero
        container = sound.info.container
        self._is_counted = container.startswith(_COUNTED)
        sudden = _SUDDEN_IN_STREAMS if container in _STREAMS else _SUDDEN
        self._sudden, self._drift = sudden * rate, _DRIFT * rate
        #: The sample that follows what was placed, and how far off the last piece was.
        self._end, self._off = 0, 0
        self._is_first = True

    def __call__(self, time: Fraction, count: int) -> tuple[int, int]:
        """Samples of silence, and samples to drop, for a piece of ``count`` at that time."""
        off = self._offset(time)
        if self._is_first:
            self._is_first = False
        elif self._is_counted or not self._is_hole(off):
            self._off, off = off, 0
        # What lies before zero is dropped, however much it is.
        is_overlap = self._end > 0 and off < -_LONGEST_OVERLAP * self._rate
        if is_overlap or off > _LONGEST_HOLE * self._rate:
            sound, at = self._sound, Fraction(self._end, self._rate)
            raise UnusableMediaError(
                f"{one_line(sound.info.path)}: the clock of sound stream {sound.audio.index} jumps"
                f" by {off / self._rate:+.3f} s {float(at):.3f} s in; write the file anew with one"
                " clock first"
            )
        if off:
            self._off = 0
        silent, dropped = max(off, 0), min(max(-off, 0), count)
        self._end += silent + count - dropped
        return silent, dropped

    def _offset(self, time: Fraction) -> int:
        """Samples from where the last piece ended to where this one belongs."""
        if self._zero is None:
            self._zero = time
        return round((time - self._zero) * self._rate) - self._end

    def _is_hole(self, off: int) -> bool:
        return abs(off - self._off) > self._sudden or abs(off) > self._drift


def _packets(stdout: IO[bytes]) -> Iterator[tuple[Fraction, Samples]]:
    """ffmpeg's samples, interleaved, with the time of the first of each packet in seconds."""
    try:
        with av.open(stdout, "r", format="nut") as container:
            stream = container.streams[0]
            for packet in container.demux(stream):
                if packet.size and packet.pts is not None:
                    yield packet.pts * packet.time_base, np.frombuffer(bytes(packet), "<f4")
    except (av.FFmpegError, IndexError):
        # No output at all, or one that broke off: ffmpeg says why with its exit status, on leaving.
        return


def _silence(samples: int, channels: int) -> Iterator[Samples]:
    for done in range(0, samples, BLOCK_SAMPLES):
        yield np.zeros(min(BLOCK_SAMPLES, samples - done) * channels, np.float32)


def _gathered(pieces: Iterator[Samples], size: int) -> Iterator[Samples]:
    """The same samples in blocks of one size; the last may be shorter."""
    waiting: list[Samples] = []
    length = 0
    for piece in pieces:
        waiting.append(piece)
        length += len(piece)
        while length >= size:
            joined = np.concatenate(waiting)
            yield joined[:size]
            waiting, length = [joined[size:]], length - size
    if length:
        yield np.concatenate(waiting)
