"""Sound: any file's speech as a waveform for the networks, and as one encoded track for the mux.

Both are the samples of one decoder, which has placed them on the file's clock, so lips and sound
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
import numpy as np
import soxr
from av.audio.stream import AudioStream

from pipeline.output.publish import writing_errors
from pipeline.sound.decoding import BLOCK_SAMPLES, Decoder, Samples, SoundFile, open_sound
from pipeline.sound.layouts import aac_layout, channel_count

#: What mel and speech detection hear.
WAVEFORM_RATE = 16_000

#: AAC is transparent for speech at this rate; the film's own tracks are usually no better.
BITRATE_PER_CHANNEL = 96_000

#: The rates AAC has (ISO/IEC 14496-3); another one becomes 48 kHz.
AAC_RATES = frozenset(
    (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
)
FALLBACK_RATE = 48_000


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


def decode_waveform(path: Path, out: Path) -> Waveform:
    """Decode a file's default sound to 16 kHz mono float32, into a ``.npy`` that can be mapped.

    Args:
        path: any file with sound; channels are mixed down.
        out: the ``.npy`` to write.

    Raises:
        UnusableMediaError: no sound, or not one sample of it.
        ToolError, StorageFullError, OutputError.
    """
    decoder = Decoder(open_sound(path))
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


def decode_resampled(sound: SoundFile) -> Iterator[Samples]:
    """A sound as :func:`decode_waveform` has it, block by block; errors too."""
    return _resampled(Decoder(sound))


def write_waveform(path: Path, out: Path) -> Fraction:
    """Write a file's default sound as a 16-bit, 16 kHz mono WAV; returns its length in seconds.

    Errors as in :func:`decode_waveform`.
    """
    decoder = Decoder(open_sound(path))
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
) -> int:
    """Encode a file's default sound, once and whole, as AAC of exactly a given length.

    Shorter sound is followed by silence, longer sound is cut. The rate is kept where AAC has it;
    :mod:`pipeline.sound.layouts` says where each channel goes.

    Args:
        path: any file with sound.
        out: the ``.m4a`` to write; the encoder's priming is declared in its edit list.
        duration: seconds, of the picture.
        bitrate_per_channel: bits a second.

    Returns:
        Samples a channel that a player hears.
    """
    sound = open_sound(path)
    layout = aac_layout(sound.audio)
    rate = sound.audio.sample_rate if sound.audio.sample_rate in AAC_RATES else FALLBACK_RATE
    decoder = Decoder(sound, layout=layout, rate=rate)
    return encode_blocks(
        decoder.blocks(),
        out,
        duration,
        rate=rate,
        layout=layout,
        bitrate_per_channel=bitrate_per_channel,
    )


def encode_blocks(
    blocks: Iterator[Samples],
    out: Path,
    duration: Fraction,
    *,
    rate: int,
    layout: str,
    bitrate_per_channel: int = BITRATE_PER_CHANNEL,
) -> int:
    """As :func:`encode_dialogue`, of interleaved samples, in what AAC has of rates and layouts."""
    samples, channels = round(duration * rate), channel_count(layout)
    with (
        writing_errors(out),
        av.open(str(out.absolute()), "w", format="mp4", options={"fflags": "+bitexact"}) as muxer,
    ):
        stream = muxer.add_stream("aac", rate=rate, layout=layout)
        stream.bit_rate = min(bitrate_per_channel, 5 * rate) * channels
        _encode(muxer, stream, _exactly(blocks, samples, channels), rate, layout)
    return samples


def _encode(
    muxer: "av.container.OutputContainer",
    stream: AudioStream,
    blocks: Iterator[Samples],
    rate: int,
    layout: str,
) -> None:
    position, channels = 0, channel_count(layout)
    for block in blocks:
        # Interleaved: PyAV cannot make a planar frame of eight channels.
        frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="flt", layout=layout)
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
