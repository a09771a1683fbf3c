"""Sound: any file's speech as a waveform for the networks, and as one encoded track for the mux.

Both start at the file's first sample of sound and count samples, not timestamps, so lips and sound
cannot drift apart. Sound is never held whole: a two-hour film passes in blocks.
"""

import math
import wave
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

import av
import ffmpeg
import numpy as np
import numpy.typing as npt
import soxr
from av.audio.stream import AudioStream

from pipeline.errors import UnusableMediaError
from pipeline.media.ffmpeg_program import ffmpeg_path
from pipeline.media.info import AudioInfo, MediaInfo
from pipeline.media.opening import FORMATS, one_line
from pipeline.media.probe import probe
from pipeline.output.publish import writing_errors
from pipeline.running.commands import PROTOCOLS, streaming

#: What mel and speech detection hear.
WAVEFORM_RATE = 16_000

#: Samples a channel that are held at once: 1.4 s at 48 kHz.
BLOCK_SAMPLES = 1 << 16

#: AAC is transparent for speech at this rate; the film's own tracks are usually no better.
BITRATE_PER_CHANNEL = 96_000

#: The rates AAC has (ISO/IEC 14496-3); another one becomes 48 kHz.
AAC_RATES = frozenset(
    (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
)
FALLBACK_RATE = 48_000

#: AAC's own channel configurations; another count becomes stereo.
AAC_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}

#: Seconds ffmpeg may take to decode: a floor, plus the sound's length, plus one for every MB.
_DECODE_FLOOR_SECONDS = 120.0
_BYTES_PER_SECOND = 1e6

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Waveform:
    """A decoded waveform on disk.

    Attributes:
        path: a ``.npy`` of ``(samples,)`` float32 at WAVEFORM_RATE, in [-1, 1] or little beyond.
        samples: its length.
        duration: of the sound as decoded, in seconds, exact.
        repaired: samples that were not numbers, or infinite, and were silenced.
    """

    path: Path
    samples: int
    duration: Fraction
    repaired: int


def choose_audio(info: MediaInfo) -> AudioInfo:
    """The track a player would choose: the first marked default, else the first.

    Raises UnusableMediaError where there is no sound.
    """
    if not info.audio:
        raise UnusableMediaError(f"{one_line(info.path)}: holds no sound")
    return next((audio for audio in info.audio if audio.is_default), info.audio[0])


def decode_waveform(path: Path, out: Path, *, timeout: float | None = None) -> Waveform:
    """Decode a file's default sound to 16 kHz mono float32, into a ``.npy`` that can be mapped.

    Args:
        path: any file with sound; channels are mixed down.
        out: the ``.npy`` to write.
        timeout: seconds; None takes one that grows with the sound's length.

    Raises:
        UnusableMediaError: no sound, or not one sample of it.
        ToolError, StorageFullError, OutputError.
    """
    decoder = Decoder(path, timeout=timeout)
    written = write_blocks(_resampled(decoder), out)
    return Waveform(out, written, decoder.duration, decoder.repaired)


def write_blocks(blocks: Iterable[Samples], out: Path) -> int:
    """Write ``(samples,)`` blocks into one ``.npy`` that can be mapped; returns its length.

    Raises:
        StorageFullError, OutputError: it cannot be written.
    """
    written = 0
    with writing_errors(out), out.open("wb") as file:
        _write_npy_header(file, 0)
        for block in blocks:
            file.write(block.tobytes())
            written += len(block)
        file.seek(0)
        _write_npy_header(file, written)
    return written


def decode_resampled(path: Path) -> Iterator[Samples]:
    """A file's default sound as :func:`decode_waveform` has it, block by block; errors too."""
    return _resampled(Decoder(path))


def write_waveform(path: Path, out: Path, *, timeout: float | None = None) -> Fraction:
    """Write a file's default sound as a 16-bit, 16 kHz mono WAV; returns its length in seconds.

    Errors as in :func:`decode_waveform`.
    """
    decoder = Decoder(path, timeout=timeout)
    with writing_errors(out), out.open("wb") as raw, wave.open(raw, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(WAVEFORM_RATE)
        for block in _resampled(decoder):
            file.writeframesraw(np.rint(np.clip(block, -1, 1) * 32767).astype("<i2").tobytes())
    return decoder.duration


def encode_dialogue(
    path: Path,
    out: Path,
    duration: Fraction,
    *,
    bitrate_per_channel: int = BITRATE_PER_CHANNEL,
    timeout: float | None = None,
) -> int:
    """Encode a file's default sound, once and whole, as AAC of exactly a given length.

    Shorter sound is followed by silence, longer sound is cut. Channel count and rate are kept
    where AAC has them.

    Args:
        path: any file with sound.
        out: the ``.m4a`` to write; the encoder's priming is declared in its edit list.
        duration: seconds, of the picture.
        bitrate_per_channel: bits a second.
        timeout: as in :func:`decode_waveform`.

    Returns:
        Samples a channel that a player hears.
    """
    source = choose_audio(probe(path))
    rate = source.sample_rate if source.sample_rate in AAC_RATES else FALLBACK_RATE
    channels = source.channels if source.channels in AAC_LAYOUTS else 2
    decoder = Decoder(path, channels=channels, rate=rate, timeout=timeout)
    return encode_blocks(
        decoder.blocks(),
        out,
        duration,
        rate=rate,
        channels=channels,
        bitrate_per_channel=bitrate_per_channel,
    )


def encode_blocks(
    blocks: Iterator[Samples],
    out: Path,
    duration: Fraction,
    *,
    rate: int,
    channels: int,
    bitrate_per_channel: int = BITRATE_PER_CHANNEL,
) -> int:
    """As :func:`encode_dialogue`, of interleaved samples at one of AAC_RATES and AAC_LAYOUTS."""
    samples = round(duration * rate)
    with (
        writing_errors(out),
        av.open(str(out.absolute()), "w", format="mp4", options={"fflags": "+bitexact"}) as muxer,
    ):
        stream = muxer.add_stream("aac", rate=rate, layout=AAC_LAYOUTS[channels])
        stream.bit_rate = min(bitrate_per_channel, 5 * rate) * channels
        _encode(muxer, stream, _exactly(blocks, samples, channels), rate, channels)
    return samples


def _encode(
    muxer: "av.container.OutputContainer",
    stream: AudioStream,
    blocks: Iterator[Samples],
    rate: int,
    channels: int,
) -> None:
    position = 0
    for block in blocks:
        planar = np.ascontiguousarray(block.reshape(-1, channels).T)
        frame = av.AudioFrame.from_ndarray(planar, format="fltp", layout=AAC_LAYOUTS[channels])
        frame.sample_rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
        position += len(block) // channels
        muxer.mux(stream.encode(frame))
    muxer.mux(stream.encode(None))


def _exactly(blocks: Iterator[Samples], samples: int, channels: int) -> Iterator[Samples]:
    """The blocks cut, or followed by silence, to a number of samples a channel."""
    missing = samples * channels
    for block in blocks:
        if missing <= 0:
            break
        yield block[:missing]
        missing -= len(block)
    while missing > 0:
        yield np.zeros(min(missing, BLOCK_SAMPLES * channels), np.float32)
        missing -= BLOCK_SAMPLES * channels


class Decoder:
    """ffmpeg's decoder as blocks of interleaved float32, made finite, and counted.

    Channels are the source's, two at most, unless asked otherwise. ``repaired`` and ``duration``
    hold once the blocks are used up.
    """

    def __init__(
        self,
        path: Path,
        *,
        channels: int | None = None,
        rate: int | None = None,
        timeout: float | None = None,
    ) -> None:
        info = probe(path)
        self.audio = choose_audio(info)
        self.rate = rate or self.audio.sample_rate
        # More than two are mixed down by ffmpeg, which knows where the dialogue is in 5.1.
        self.channels = channels or min(self.audio.channels, 2)
        self.repaired = 0
        self._path, self._samples = path, 0
        length = float(self.audio.duration or info.duration or 0)
        self._timeout = timeout or (
            _DECODE_FLOOR_SECONDS + length + info.size_bytes / _BYTES_PER_SECOND
        )

    @property
    def duration(self) -> Fraction:
        return Fraction(self._samples, self.rate)

    def blocks(self) -> Iterator[Samples]:
        with streaming(self._argv(), timeout=self._timeout) as stdout:
            while raw := stdout.read(BLOCK_SAMPLES * self.channels * 4):
                block = np.frombuffer(raw, "<f4")
                self._samples += len(block) // self.channels
                yield self._finite(block)
        if not self._samples:
            raise UnusableMediaError(f"{one_line(self._path)}: its sound has not one sample")

    def _finite(self, block: Samples) -> Samples:
        wrong = int(np.count_nonzero(~np.isfinite(block)))
        if not wrong:
            return block
        self.repaired += wrong
        return np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)

    def _argv(self) -> list[str]:
        # "file:" and an absolute path: no name can be an option, a protocol or a pattern.
        source = ffmpeg.input(
            f"file:{self._path.absolute()}",
            protocol_whitelist=PROTOCOLS,
            format_whitelist=FORMATS,
        )
        output = ffmpeg.output(
            source[str(self.audio.index)],
            "pipe:1",
            format="f32le",
            acodec="pcm_f32le",
            ac=self.channels,
            ar=self.rate,
        ).global_args("-nostdin", "-hide_banner", "-loglevel", "error")
        argv: list[str] = ffmpeg.compile(output, cmd=ffmpeg_path())
        return argv


def _resampled(decoder: Decoder) -> Iterator[Samples]:
    """Mono blocks at WAVEFORM_RATE; ceil(duration × WAVEFORM_RATE) samples in all.

    soxr in process, not ffmpeg's resampler: not every ffmpeg has soxr built in, and what the
    networks hear must not depend on that. Sound that is not finite is silenced before, as a filter
    would spread it.
    """
    resampler = soxr.ResampleStream(decoder.rate, WAVEFORM_RATE, 1, dtype="float32", quality="HQ")
    written = 0
    for block in decoder.blocks():
        # The mean, as librosa has it; ffmpeg's own mono is 3 dB louder.
        mono = block.reshape(-1, decoder.channels).mean(axis=1)
        out = resampler.resample_chunk(mono)
        written += len(out)
        yield out
    wanted = math.ceil(decoder.duration * WAVEFORM_RATE)
    rest = resampler.resample_chunk(np.zeros(0, np.float32), last=True)[: wanted - written]
    yield np.pad(rest, (0, max(0, wanted - written - len(rest))))


def _write_npy_header(file: IO[bytes], samples: int) -> None:
    # NumPy leaves room for a longer length, so the true header fits over the first one.
    header = {"descr": "<f4", "fortran_order": False, "shape": (samples,)}
    np.lib.format.write_array_header_1_0(file, header)
