"""Bodies that come encoded although none was asked for: objects stored so, servers that insist.

A few bytes may unfold into gigabytes. So they are unfolded a piece at a time, and whoever takes the
pieces counts them, not the bytes that came.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

import brotli
import zstandard

#: Of what is unfolded at once; other pieces are a few megabytes at most.
_PIECE: Final = 256 << 10
#: Of Zstandard, whose library has no limit of its own: so little becomes 32 MB at worst.
_ZSTD_BLOCK: Final = 1 << 10
#: What a decoder may hold, in bytes; RFC 9659 has senders stay far below.
_ZSTD_WINDOW: Final = 128 << 20

#: Several are allowed, one around the other; nobody needs more.
_MOST_CODINGS: Final = 3
#: ``aws-chunked`` is how an object was sent; some programs store it with the object.
_PLAIN: Final = frozenset({"", "identity", "aws-chunked"})


class EncodingError(ValueError):
    """The body is not what its ``Content-Encoding`` says, or that is unknown here."""


class _Stream(Protocol):
    """One run of a coding's decoder, from its first byte to its last."""

    eof: bool
    #: What came after its last byte.
    unused_data: bytes

    def unfold(self, block: bytes) -> Iterator[bytes]: ...


class Decoder:
    """What a body is, piece by piece."""

    def __init__(self, content_encoding: str) -> None:
        """Begin a body.

        Args:
            content_encoding: the header's value; empty where there is none.

        Raises:
            EncodingError: nobody here knows it.
        """
        names = [name.strip().lower() for name in content_encoding.split(",")]
        names = [name for name in names if name not in _PLAIN]
        if len(names) > _MOST_CODINGS or not set(names) <= set(_CODINGS):
            known = ", ".join(_CODINGS)
            raise EncodingError(f"it comes encoded as {content_encoding[:80]!r}; known are {known}")
        # The last one named is the outermost.
        self._codings = [_Coding(name) for name in reversed(names)]

    @property
    def is_plain(self) -> bool:
        """Whether the body is what comes."""
        return not self._codings

    def decode(self, block: bytes) -> Iterator[bytes]:
        """What a block of the body unfolds to.

        Raises:
            EncodingError: the body is not encoded as was said.
        """
        pieces: Iterable[bytes] = (block,)
        for coding in self._codings:
            pieces = coding.unfold(pieces)
        yield from pieces

    @property
    def is_whole(self) -> bool:
        """Whether every encoding is at its end."""
        return all(coding.is_whole for coding in self._codings)

    def check_whole(self) -> None:
        """See that the body, which is over, ended where its encoding does.

        Raises:
            EncodingError: it did not.
        """
        if not self.is_whole:
            raise EncodingError("what it is encoded as ends too early")


class _Coding:
    """Unfolds one coding; some may come in several runs, one after the other."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._start, self._is_repeated = _CODINGS[name]
        self._stream = self._start()
        self._is_begun = False

    def unfold(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        for block in blocks:
            try:
                yield from self._unfold(block)
            except (zlib.error, brotli.error, zstandard.ZstdError) as error:
                raise EncodingError(f"it is not {self._name}, as was said: {error}") from None

    def _unfold(self, block: bytes) -> Iterator[bytes]:
        while block:
            if self._stream.eof:
                # Padding, as tapes have it, is no other run.
                if not self._is_repeated or not block.strip(b"\0"):
                    return
                self._stream = self._start()
            self._is_begun = True
            yield from self._stream.unfold(block)
            block = self._stream.unused_data if self._stream.eof else b""

    @property
    def is_whole(self) -> bool:
        return self._stream.eof or not self._is_begun


class _Zlib:
    """Gzip, or what HTTP calls deflate: in zlib's frame, or, from some servers, without."""

    def __init__(self, window_bits: int | None) -> None:
        self._inflate = None if window_bits is None else zlib.decompressobj(window_bits)
        self._first = b""
        self.eof, self.unused_data = False, b""

    def unfold(self, block: bytes) -> Iterator[bytes]:
        block = self._first + block
        if self._inflate is None:
            if len(block) < 2:
                self._first = block
                return
            has_frame = block[0] & 0x0F == 8 and int.from_bytes(block[:2], "big") % 31 == 0
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS if has_frame else -zlib.MAX_WBITS)
        self._first = b""
        while True:
            piece = self._inflate.decompress(block, _PIECE)
            if piece:
                yield piece
            block = self._inflate.unconsumed_tail
            if self._inflate.eof or (not block and len(piece) < _PIECE):
                break
        self.eof, self.unused_data = self._inflate.eof, self._inflate.unused_data


class _Brotli:
    def __init__(self) -> None:
        self._inflate = brotli.Decompressor()
        self.eof, self.unused_data = False, b""

    def unfold(self, block: bytes) -> Iterator[bytes]:
        piece = self._inflate.process(block, output_buffer_limit=_PIECE)
        while piece or not self._inflate.can_accept_more_data():
            yield piece
            piece = self._inflate.process(b"", output_buffer_limit=_PIECE)
        self.eof = self._inflate.is_finished()


class _Zstandard:
    def __init__(self) -> None:
        made = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._inflate = made.decompressobj()
        self.eof, self.unused_data = False, b""

    def unfold(self, block: bytes) -> Iterator[bytes]:
        for at in range(0, len(block), _ZSTD_BLOCK):
            yield self._inflate.decompress(block[at : at + _ZSTD_BLOCK])
            if self._inflate.eof:
                self.eof = True
                self.unused_data = self._inflate.unused_data + block[at + _ZSTD_BLOCK :]
                return


def _gzip() -> _Stream:
    return _Zlib(zlib.MAX_WBITS | 16)


#: What begins a run, and whether another may follow it.
_CODINGS: Final[dict[str, tuple[Callable[[], _Stream], bool]]] = {
    "gzip": (_gzip, True),
    "x-gzip": (_gzip, True),
    "deflate": (lambda: _Zlib(None), False),
    "br": (_Brotli, False),
    "zstd": (_Zstandard, True),
}
