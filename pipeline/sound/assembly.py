"""One dialogue from several sounds: the film's own, and parts of others where it is dubbed.

Each sound is decoded once from its zero, in blocks, as a whole dialogue is; so positions are
counted in samples and nothing is held whole. One that is used out of order waits on disk. Where two
meet, the one fades out and the other fades in, as a cut within a wave clicks.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.options import Clip
from pipeline.sound.decoding import BLOCK_SAMPLES, Decoder, Samples, SoundFile
from pipeline.sound.dialogue import (
    AAC_RATES,
    FALLBACK_RATE,
    WAVEFORM_RATE,
    decode_resampled,
    encode_blocks,
    write_blocks,
)
from pipeline.sound.layouts import aac_layout, channel_count, largest

#: Stands for the film's own sound among the files of pieces, and for silence.
FILM: Final = -1
SILENCE: Final = -2

#: Of each side of a join: together ten milliseconds, too short to be heard as a pause.
FADE_SECONDS: Final = Fraction(1, 200)

#: Makes a sound's blocks anew, each (samples, channels).
_Blocks = Callable[[], Iterator[Samples]]


@dataclass(frozen=True, slots=True)
class Piece:
    """What is heard in a part of the film. All times are seconds.

    Attributes:
        file: FILM, SILENCE or the number of a dialogue.
        start, end: the part of the film, half-open.
        offset: where in the file's sound it begins, from its zero; the film's is its first frame.
    """

    file: int
    start: Fraction
    end: Fraction
    offset: Fraction = Fraction(0)


def lay_out(clips: Sequence[Clip], seconds: Fraction, *, has_sound: bool) -> tuple[Piece, ...]:
    """The pieces of a whole film, without gap or overlap.

    Args:
        clips: in order, within the film.
        seconds: length of the film.
        has_sound: whether the film has sound of its own.
    """
    pieces: list[Piece] = []
    position = Fraction(0)
    for clip in clips:
        pieces.append(_own(position, clip.start, has_sound=has_sound))
        pieces += _dubbed(clip, min(clip.end, seconds))
        position = clip.end
    pieces.append(_own(position, seconds, has_sound=has_sound))
    return _joined(piece for piece in pieces if piece.start < piece.end)


def _own(start: Fraction, end: Fraction, *, has_sound: bool) -> Piece:
    return Piece(FILM, start, end, start) if has_sound else Piece(SILENCE, start, end)


def _dubbed(clip: Clip, end: Fraction) -> Iterator[Piece]:
    until = end
    if clip.dialogue_end is not None:
        until = min(end, clip.start + clip.dialogue_end - clip.dialogue_start)
    yield Piece(clip.dialogue, clip.start, until, clip.dialogue_start)
    yield Piece(SILENCE, until, end)


def _joined(pieces: Iterator[Piece]) -> tuple[Piece, ...]:
    """Neighbours that go on in the same file are one: there is no join to be heard."""
    joined: list[Piece] = []
    for piece in pieces:
        before = joined[-1] if joined else None
        if (
            before
            and before.file == piece.file
            and before.offset - before.start == (piece.offset - piece.start)
        ):
            joined[-1] = replace(before, end=piece.end)
        else:
            joined.append(piece)
    return tuple(joined)


def write_assembled(pieces: Sequence[Piece], files: Mapping[int, SoundFile], out: Path) -> None:
    """What the networks hear, as :func:`pipeline.sound.dialogue.decode_waveform` writes it.

    Args:
        pieces: of the whole film.
        files: by the numbers in the pieces.
        out: the ``.npy`` to write.

    Raises:
        UnusableMediaError: a file has no sound.
        ToolError, StorageFullError, OutputError.
    """
    sounds = {number: _mono(sound) for number, sound in _used(pieces, files)}
    write_blocks((b.ravel() for b in _assemble(pieces, sounds, WAVEFORM_RATE, 1)), out)


def encode_assembled(
    pieces: Sequence[Piece], files: Mapping[int, SoundFile], out: Path, duration: Fraction
) -> int:
    """The track people hear; as :func:`pipeline.sound.dialogue.encode_dialogue` in all else.

    Rate and channels are the greatest of all sounds, so that the film's own loses nothing.
    """
    used = dict(_used(pieces, files))
    heard = [sound.audio for sound in used.values()]
    rate = max((a.sample_rate for a in heard if a.sample_rate in AAC_RATES), default=FALLBACK_RATE)
    layout = largest([aac_layout(audio) for audio in heard])
    sounds = {number: _interleaved(sound, layout, rate) for number, sound in used.items()}
    assembled = _assemble(pieces, sounds, rate, channel_count(layout))
    return encode_blocks((b.ravel() for b in assembled), out, duration, rate=rate, layout=layout)


def _used(pieces: Sequence[Piece], files: Mapping[int, SoundFile]) -> list[tuple[int, SoundFile]]:
    return [(n, files[n]) for n in sorted({p.file for p in pieces}) if n != SILENCE]


def _mono(sound: SoundFile) -> _Blocks:
    def blocks() -> Iterator[Samples]:
        for block in decode_resampled(sound):
            yield block.reshape(-1, 1)

    return blocks


def _interleaved(sound: SoundFile, layout: str, rate: int) -> _Blocks:
    def blocks() -> Iterator[Samples]:
        for block in Decoder(sound, layout=layout, rate=rate).blocks():
            yield block.reshape(-1, channel_count(layout))

    return blocks


def _assemble(
    pieces: Sequence[Piece], sounds: Mapping[int, _Blocks], rate: int, channels: int
) -> Iterator[Samples]:
    """Blocks (samples, channels) of the whole film."""
    with contextlib.ExitStack() as stack:
        readers: dict[int, _Reader | _SpooledReader] = {}
        for number, blocks in sounds.items():
            if _goes_back(pieces, number):
                readers[number] = stack.enter_context(_SpooledReader(blocks, channels))
            else:
                readers[number] = stack.enter_context(_Reader(blocks))
        for number, piece in enumerate(pieces):
            first, last = round(piece.start * rate), round(piece.end * rate)
            at, count = round(piece.offset * rate), last - first
            fade = min(round(FADE_SECONDS * rate), count // 2)
            rises, falls = fade if number else 0, fade if number < len(pieces) - 1 else 0
            for done in range(0, count, BLOCK_SAMPLES):
                block = np.zeros((min(BLOCK_SAMPLES, count - done), channels), np.float32)
                if piece.file != SILENCE:
                    readers[piece.file].read(at + done, block)
                yield block * _gain(done, len(block), count, rises, falls)


def _gain(done: int, size: int, count: int, rises: int, falls: int) -> Samples:
    """(size, 1): of the samples from ``done`` on of a piece of ``count``."""
    places = np.arange(done, done + size) + 0.5
    gain = np.ones(size)
    if rises:
        gain = np.minimum(gain, places / rises)
    if falls:
        gain = np.minimum(gain, (count - places) / falls)
    return np.asarray(gain[:, None], np.float32)


class _Reader:
    """Samples of a sound by their numbers, which only grow from call to call."""

    def __init__(self, blocks: _Blocks) -> None:
        self._blocks = blocks()
        #: The block in hand, and the number of its first sample.
        self._block, self._at = np.zeros((0, 1), np.float32), 0

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *_: object) -> None:
        if isinstance(self._blocks, Generator):
            self._blocks.close()

    def read(self, first: int, into: Samples) -> None:
        """Fill ``into`` with the samples from ``first`` on; what the sound lacks stays as it is."""
        while True:
            self._copy(first, into)
            if self._at + len(self._block) >= first + len(into):
                return
            self._at += len(self._block)
            block = next(self._blocks, None)
            if block is None:
                self._block = self._block[:0]
                return
            self._block = block

    def _copy(self, first: int, into: Samples) -> None:
        start, end = max(first, self._at), min(first + len(into), self._at + len(self._block))
        if start < end:
            into[start - first : end - first] = self._block[start - self._at : end - self._at]


class _SpooledReader:
    """The same in any order: what was decoded stays in a temporary file."""

    def __init__(self, blocks: _Blocks, channels: int) -> None:
        self._blocks = blocks()
        self._channels, self._decoded = channels, 0
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115 -- closed on leaving

    def __enter__(self) -> "_SpooledReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()
        if isinstance(self._blocks, Generator):
            self._blocks.close()

    def read(self, first: int, into: Samples) -> None:
        """Fill ``into`` with the samples from ``first`` on; what the sound lacks stays as it is."""
        end = first + len(into)
        self._spool.seek(0, os.SEEK_END)
        while self._decoded < end and (block := next(self._blocks, None)) is not None:
            self._spool.write(np.ascontiguousarray(block, np.float32).tobytes())
            self._decoded += len(block)
        start, end = max(first, 0), min(end, self._decoded)
        if start < end:
            self._spool.seek(start * self._channels * 4)
            raw = self._spool.read((end - start) * self._channels * 4)
            into[start - first : end - first] = np.frombuffer(raw, np.float32).reshape(
                -1, self._channels
            )


def _goes_back(pieces: Sequence[Piece], number: int) -> bool:
    """Whether a later piece takes an earlier part of that file."""
    spans = [(p.offset, p.offset + p.end - p.start) for p in pieces if p.file == number]
    return any(after[0] < before[1] for before, after in pairwise(spans))
