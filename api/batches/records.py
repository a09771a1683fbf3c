"""Records of a batch's file, one after the other: lines of JSON, or of a table.

A record that cannot be read is told and passed over.
"""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

from api.batches.lines import Line, Lines, Record, unreadable
from api.batches.tables import LINES_LOOKED_AT, TableReader, find_header, likely_header
from api.errors import RefusedError

_TABLES: Final = (".csv", ".tsv", ".txt")


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a file, from the first; a table's columns, as its header names them."""

    columns: tuple[str, ...] | None
    records: Iterator[Record]


def read_records(file: IO[bytes], name: str) -> Records:
    """The records of a file, whatever it is.

    Args:
        file: read from its beginning; stays open.
        name: decides what a file is that does not begin like JSON.

    Raises:
        RefusedError: nothing is in it, or nothing in a table names its columns.
    """
    lines = Lines(file)
    first = next((line for line in lines if line.text.strip()), None)
    if first is None:
        raise RefusedError("batch_insufficient_records", "the file is empty")
    if first.text.lstrip().startswith("{"):
        return Records(None, _json_records(itertools.chain([first], lines)))
    begin = [first, *itertools.islice(lines, LINES_LOOKED_AT - 1)]
    header = find_header(begin)
    if header is None and not name.lower().endswith(_TABLES):
        return Records(None, _json_records(itertools.chain(begin, lines)))
    header = header or likely_header(begin)
    table = TableReader(header, itertools.chain(begin[header.end :], lines))
    return Records(table.columns, table.records())


def _json_records(lines: Iterator[Line]) -> Iterator[Record]:
    return (_json_record(line) for line in lines if line.text.strip())


def _json_record(line: Line) -> Record:
    size = len(line.text)
    mistake = unreadable(line)
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


def _refuse_constant(_name: str) -> Any:
    raise ValueError("NaN and Infinity are no JSON")
