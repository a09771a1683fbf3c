"""Records of a batch's file, one after the other: lines of JSON, or of a table.

A record that cannot be read is told and passed over. Lines are numbered as an editor does it.
"""

import codecs
import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

from api.errors import RefusedError

#: Characters of a line; a longer one is refused and passed over.
_LONGEST: Final = 1 << 20
_TABLE: Final = "batch_invalid_csv"
_DELIMITERS: Final = ",;\t"


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
class Records:
    """The records of a file, from the first; a table's columns, as its first line names them."""

    columns: tuple[str, ...] | None
    records: Iterator[Record]


def read_records(file: IO[bytes], name: str) -> Records:
    """The records of a file, whatever it is.

    Args:
        file: read from its beginning; stays open.
        name: decides what a file is that does not begin like JSON.

    Raises:
        RefusedError: nothing is in it, or its first line names no columns.
    """
    lines = _Lines(file)
    first = next((line for line in lines if line.text.strip()), None)
    if first is None:
        raise RefusedError("batch_insufficient_records", "the file is empty")
    if first.text.lstrip().startswith("{") or not _is_table(first.text, name):
        return Records(None, _json_records(first, lines))
    table = _TableReader(first, lines)
    return Records(tuple(table.columns), table.records())


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    is_cut: bool = False


class _Lines:
    """Numbered lines, none longer than :data:`_LONGEST`."""

    def __init__(self, file: IO[bytes]) -> None:
        file.seek(0)
        start = file.read(2)
        file.seek(0)
        is_wide = start in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}  # as spreadsheets may save
        self._text = io.TextIOWrapper(
            _Unclosable(file),  # type: ignore[type-var]  # reads and says that it does
            encoding="utf-16" if is_wide else "utf-8-sig",
            errors="surrogateescape" if not is_wide else "replace",
            newline="",
        )
        self._number = 0

    def __iter__(self) -> Iterator[_Line]:
        return self

    def __next__(self) -> _Line:
        text = self._text.readline(_LONGEST)
        if not text:
            raise StopIteration
        self._number += 1
        is_cut = False
        while not text.endswith(("\n", "\r")) and (more := self._text.readline(_LONGEST)):
            is_cut = True
            if more.endswith(("\n", "\r")):
                break
        return _Line(self._number, text, is_cut)


class _Unclosable(io.RawIOBase):
    """Bytes of a file that somebody else closes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1) -> bytes:
        return self._file.read(size)


def _json_records(first: _Line, lines: _Lines) -> Iterator[Record]:
    line: _Line | None = first
    while line is not None:
        if line.text.strip():
            yield _json_record(line)
        line = next(lines, None)


def _json_record(line: _Line) -> Record:
    size = len(line.text)
    mistake = _unreadable(line)
    if mistake is None:
        try:
            values = json.loads(line.text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            mistake = "it is no JSON"
        else:
            if isinstance(values, dict):
                return Record(line.number, values, size)
            mistake = "it is no JSON object"
    return Record(line.number, {}, size, mistake)


def _unreadable(line: _Line) -> str | None:
    if line.is_cut:
        return f"the line is longer than {_LONGEST} characters"
    if "\0" in line.text or "\\u0000" in line.text:
        return "it holds NUL characters"
    return None if _is_unicode(line.text) else "it is not UTF-8"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(_name: str) -> Any:
    raise ValueError("NaN and Infinity are no JSON")


def _is_table(line: str, name: str) -> bool:
    named = name.lower().endswith((".csv", ".tsv", ".txt"))
    return named or {"video", "audio"} <= set(_columns(line))


def _delimiter_of(line: str) -> str:
    return max(_DELIMITERS, key=line.count)


def _columns(line: str) -> list[str]:
    try:
        cells = next(csv.reader([line], delimiter=_delimiter_of(line)), [])
    except csv.Error:
        return []
    return [cell.strip().lower() for cell in cells]


class _TableReader:
    """A table whose first line names its columns."""

    def __init__(self, header: _Line, lines: _Lines) -> None:
        self._lines = lines
        self.columns = _columns(header.text)
        self._delimiter = _delimiter_of(header.text)
        self._number = header.number
        self._size = 0
        self._mistake: str | None = None
        if (mistake := _unreadable(header)) is not None:
            raise RefusedError(_TABLE, f"line {header.number}: {mistake}")
        named = [column for column in self.columns if column]
        if len(named) != len(self.columns) or len(set(named)) != len(named):
            raise RefusedError(_TABLE, f"line {header.number}: it does not name the columns")

    def records(self) -> Iterator[Record]:
        reader = csv.reader(self._texts(), delimiter=self._delimiter, strict=True)
        while True:
            first, self._size, self._mistake = self._number + 1, 0, None
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield Record(first, {}, self._size, f"it cannot be read: {error}", _TABLE)
                continue
            if cells is None:
                return
            if any(cell.strip() for cell in cells):
                yield self._record(first, cells)

    def _texts(self) -> Iterator[str]:
        for line in self._lines:
            self._number = line.number
            self._size += len(line.text)
            self._mistake = self._mistake or _unreadable(line)
            yield line.text

    def _record(self, first: int, cells: list[str]) -> Record:
        mistake = self._mistake
        if mistake is None and len(cells) > len(self.columns):
            mistake = f"it has {len(cells)} cells for {len(self.columns)} columns"
        values = {
            column: cell.strip()
            for column, cell in zip(self.columns, cells, strict=False)
            if cell.strip()
        }
        return Record(first, {} if mistake else values, self._size, mistake, _TABLE)
