"""Lines of a batch's file as text, in whichever of the usual ways it was written.

They are numbered as an editor does it. Programs write UTF-8; spreadsheets put a mark in front of
it, or write UTF-16 ("Unicode text"). What is neither is told line by line: nobody can say which of
the many older sets of characters it is in.
"""

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

#: Characters of a line; a longer one is refused and passed over.
_LONGEST: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """One record, or why it cannot be read.

    Attributes:
        number: the line it begins at, 1-based.
        size: characters, more or less.
        mistake: what is wrong with it; ``code`` is the error code for that.
    """

    number: int
    values: dict[str, Any]
    size: int
    mistake: str | None = None
    code: str = "batch_invalid_jsonl"


@dataclass(frozen=True, slots=True)
class Line:
    """A line with its end; ``is_cut`` where it was longer than a line may be."""

    number: int
    text: str
    is_cut: bool = False


class Lines:
    """Numbered lines, none longer than :data:`_LONGEST`."""

    def __init__(self, file: IO[bytes]) -> None:
        """Read a file from its beginning; it stays open."""
        file.seek(0)
        encoding = _encoding_of(file.read(4))
        file.seek(0)
        self._text = io.TextIOWrapper(
            _Unclosable(file),  # type: ignore[type-var]  # reads and says that it does
            encoding=encoding,
            errors="surrogateescape" if encoding == "utf-8-sig" else "replace",
            newline="",
        )
        self._number = 0

    def __iter__(self) -> Iterator[Line]:
        """Itself."""
        return self

    def __next__(self) -> Line:
        """The next line."""
        text = self._text.readline(_LONGEST)
        if not text:
            raise StopIteration
        self._number += 1
        is_cut = False
        while not text.endswith(("\n", "\r")) and (more := self._text.readline(_LONGEST)):
            is_cut = True
            if more.endswith(("\n", "\r")):
                break
        return Line(self._number, text, is_cut)


def unreadable(line: Line) -> str | None:
    """Why nothing can be read from a line; None if it can."""
    if line.is_cut:
        return f"the line is longer than {_LONGEST} characters"
    if "\0" in line.text or "\\u0000" in line.text:
        return "it holds NUL characters"
    if not _is_unicode(line.text):
        return "it is not UTF-8; save the file as CSV UTF-8"
    return None


def _encoding_of(start: bytes) -> str:
    if start[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        return "utf-16"
    # The first letters of a table, without the mark: every other byte is zero.
    zeros = [at for at, byte in enumerate(start) if byte == 0]
    if zeros == [1, 3]:
        return "utf-16-le"
    return "utf-16-be" if zeros == [0, 2] else "utf-8-sig"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Unclosable(io.RawIOBase):
    """Bytes of a file that somebody else closes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1) -> bytes:
        return self._file.read(size)
