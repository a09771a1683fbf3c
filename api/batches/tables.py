"""Tables as spreadsheets write them: with what stands above them, beside them and around a cell.

Excel writes a first line ``sep=;`` where it is asked to, and cells without a word in them up to the
last column that ever had one. People write a title above the table, and call a column
"Output name".
"""

import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from api.batches.lines import Line, Record, unreadable
from api.errors import RefusedError
from infra.spreadsheets import as_meant

#: The header is looked for in so many lines.
LINES_LOOKED_AT: Final = 20

_CODE: Final = "batch_invalid_csv"
_DELIMITERS: Final = ",;\t|"
#: The line that names another; a program that reads it as a row may have put cells behind it.
_SEP_LINE: Final = re.compile(r'\s*"?sep=(.)"?[,;\t|]*\s*', re.IGNORECASE)

#: Columns that a header is known by.
_TELLING: Final = frozenset({"video", "audio"})

#: White space, no-break spaces among it, and marks that have no width.
_BLANK: Final = r"[\s\u200b-\u200f\u2060\ufeff]+"
_AROUND: Final = re.compile(rf"^{_BLANK}|{_BLANK}$")
_WRAPPED: Final = re.compile(r"\s*[\r\n]\s*")
_BETWEEN_WORDS: Final = re.compile(rf"(?:{_BLANK}|-)+")


@dataclass(frozen=True, slots=True)
class Header:
    """The row that names the columns.

    Attributes:
        names: of the columns, in their order; empty where one has none.
        lines: that it stands in.
        end: how many lines of those looked at end with it.
    """

    names: tuple[str, ...]
    delimiter: str
    lines: tuple[Line, ...]
    end: int


def find_header(begin: Sequence[Line]) -> Header | None:
    """The first row that names a film and a dialogue; above it are titles and remarks."""
    found = (header for header in _possible_headers(begin) if set(header.names) >= _TELLING)
    return next(found, None)


def likely_header(begin: Sequence[Line]) -> Header:
    """The first row, which was meant as the header, to say what is wrong with it.

    Raises:
        RefusedError: there is none.
    """
    rows = [row for row in _possible_headers(begin) if not _SEP_LINE.fullmatch(row.lines[0].text)]
    if not rows:
        raise RefusedError(_CODE, f"line {begin[0].number}: it does not name the columns")
    first = [row for row in rows if row.lines[0] is rows[0].lines[0]]
    return max(first, key=lambda row: len(row.names))


class TableReader:
    """The rows under a header."""

    def __init__(self, header: Header, lines: Iterator[Line]) -> None:
        """Check the header.

        Args:
            header: one of this module's functions found it.
            lines: those behind it.

        Raises:
            RefusedError: it cannot be read, or two columns have the same name.
        """
        self._names, self._delimiter, self._lines = header.names, header.delimiter, lines
        self._number, self._size = header.lines[-1].number, 0
        self._mistake: str | None = None
        first = header.lines[0].number
        for mistake in filter(None, map(unreadable, header.lines)):
            raise RefusedError(_CODE, f"line {first}: {mistake}")
        for name in self.columns:
            if header.names.count(name) > 1:
                raise RefusedError(_CODE, f"line {first}: two columns are named {name[:80]!r}")

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that have a name."""
        return tuple(filter(None, self._names))

    def records(self) -> Iterator[Record]:
        """A record for each row that holds anything."""
        reader = csv.reader(self._texts(), delimiter=self._delimiter, strict=True)
        while True:
            first, self._size, self._mistake = self._number + 1, 0, None
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield Record(first, {}, self._size, self._unparsed(first, error), _CODE)
                continue
            if cells is None:
                return
            plain = [_plain(cell) for cell in cells]
            if any(plain):
                yield self._record(first, plain)

    def _texts(self) -> Iterator[str]:
        for line in self._lines:
            self._number = line.number
            self._size += len(line.text)
            self._mistake = self._mistake or unreadable(line)
            yield line.text

    def _unparsed(self, first: int, error: csv.Error) -> str:
        if self._mistake is not None:
            return self._mistake
        if self._number == first:
            return f"it cannot be read: {error}"
        return f"lines {first} to {self._number} are one row, for a quote is not closed: {error}"

    def _record(self, first: int, cells: Sequence[str]) -> Record:
        pairs = list(itertools.zip_longest(self._names, cells, fillvalue=""))
        stray = (at for at, (name, cell) in enumerate(pairs) if cell and not name)
        mistake = self._mistake
        if mistake is None and (at := next(stray, None)) is not None:
            mistake = f"cell {at + 1}, {cells[at][:80]!r}, is in no column that has a name"
        values = {} if mistake else {name: cell for name, cell in pairs if cell}
        return Record(first, values, self._size, mistake, _CODE)


def _possible_headers(begin: Sequence[Line]) -> Iterator[Header]:
    """Each line that begins a row, read with each delimiter."""
    named = _SEP_LINE.fullmatch(begin[0].text)
    delimiters = dict.fromkeys((named[1] if named else "") + _DELIMITERS)
    for at in range(len(begin)):
        for delimiter in delimiters:
            texts = (line.text for line in begin[at:])
            try:
                reader = csv.reader(texts, delimiter=delimiter, strict=True)
                names = tuple(map(_name, next(reader)))
            except (csv.Error, ValueError):  # no such delimiter, or no such row
                continue
            if any(names):
                end = at + reader.line_num
                yield Header(names, delimiter, tuple(begin[at:end]), end)


def _plain(cell: str) -> str:
    text = as_meant(_AROUND.sub("", cell))
    return _AROUND.sub("", _WRAPPED.sub(" ", text))


def _name(cell: str) -> str:
    return _BETWEEN_WORDS.sub("_", _plain(cell)).lower()
