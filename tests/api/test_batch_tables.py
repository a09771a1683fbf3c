"""Tables as spreadsheets and people write them are taken; what is out of place is named."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest

from api.batches.records import read_records
from api.batches.rows import check_columns
from api.errors import RefusedError
from infra.spreadsheets import as_meant, harmless
from tests.api.manifests import accepted, catalogue, results, send, title

HEADER = "title,language,video,audio"
FILM, DUB = "https://media.example/a.mp4", "https://media.example/a.wav"
ROW = f"A,fra,{FILM},{DUB}"
READ = {"title": "A", "language": "fra", "video": FILM, "audio": DUB}


def read(content: bytes | str, name: str = "films.csv") -> list[tuple[int, Any]]:
    """Each record's line, and its values or what is wrong with it."""
    raw = content.encode() if isinstance(content, str) else content
    found = read_records(io.BytesIO(raw), name)
    assert found.columns is not None
    check_columns(found.columns)
    return [(each.number, each.mistake or each.values) for each in found.records]


def with_delimiter(delimiter: str) -> str:
    return f"{HEADER}\r\n{ROW}\r\n".replace(",", delimiter)


TAKEN = {
    "sep line of Excel": f"sep=;\r\n{with_delimiter(';')}",
    "sep line in quotes, in capitals": f'"SEP=;"\r\n{with_delimiter(";")}',
    "sep line that another program saved as a row": f"sep=;,,,\r\n{HEADER}\r\n{ROW}\r\n",
    "sep line of a delimiter nobody else has": f"sep=^\n{with_delimiter('^')}",
    "sep line of tabs": f"sep=\t\r\n{with_delimiter(chr(9))}",
    "sep line and a mark": f"\ufeffsep=;\r\n{with_delimiter(';')}",
    "columns without a name at the end": f"{HEADER},,\r\n{ROW},,\r\n",
    "columns without a name, of which rows say nothing": f"{HEADER},,\r\n{ROW}\r\n",
    "a column without a name in the middle": f"title,,{HEADER[6:]}\r\nA,,{ROW[2:]}\r\n",
    "empty cells beyond the columns": f"{HEADER}\r\n{ROW},,\r\n",
    "cells of white space beyond the columns": f"{HEADER}\r\n{ROW}, ,\u00a0\r\n",
    "rows of commas": f"{HEADER}\r\n,,,\r\n{ROW}\r\n,,,\r\n",
    "empty lines": f"\r\n\r\n{HEADER}\r\n\r\n{ROW}\r\n\r\n",
    "semicolons": with_delimiter(";"),
    "tabs": with_delimiter("\t"),
    "bars": with_delimiter("|"),
    "line ends of old Macs": f"{HEADER}\r{ROW}\r",
    "no line end at the end": f"{HEADER}\n{ROW}",
    "a mark of UTF-8": f"\ufeff{HEADER}\n{ROW}\n",
    "Unicode text of Excel": with_delimiter("\t").encode("utf-16"),
    "UTF-16 the other way round": b"\xfe\xff" + with_delimiter(";").encode("utf-16-be"),
    "UTF-16 without a mark": with_delimiter(",").encode("utf-16-le"),
    "all cells in quotes": '"' + f"{HEADER}\n{ROW}".replace(",", '","').replace("\n", '"\n"') + '"',
    "names in capitals, with spaces": f"Title , LANGUAGE,\u00a0Video,Audio\u200b\n{ROW}\n",
    "no-break spaces around cells": f"{HEADER}\n{ROW}\n".replace("fra", "\u00a0fra\u202f"),
    "a title above": f"Titles of the autumn,,,\r\n\r\n{HEADER}\r\n{ROW}\r\n",
    "a remark above": f"# as agreed, on the phone\n{HEADER}\n{ROW}\n",
    "a remark in quotes, of two lines": f'"of, \n today",,,\n{HEADER}\n{ROW}\n',
    "a line break in a name": f'title,language,"video\n",audio\n{ROW}\n',
    "a line break that wraps a cell": f'{HEADER}\n"A\n",{ROW[2:]}\n',
}  # fmt: skip


@pytest.mark.parametrize("table", TAKEN.values(), ids=TAKEN)
def test_tables_as_they_are_written_are_taken(table: bytes | str) -> None:
    ((_, values),) = read(table)
    assert values == READ


@pytest.mark.parametrize("name", ["b30_sep_line", "b30_empty_columns", "b30_empty_cells"])
def test_the_tables_that_were_refused_are_taken(faults, name: str) -> None:
    ((_, values),) = read((faults / f"{name}.csv").read_bytes())
    assert values == READ


def test_a_table_need_not_be_named_csv() -> None:
    assert read(f"Titles of the autumn\nsep=;\n{with_delimiter(';')}", "films") == [(4, READ)]


def test_lines_are_counted_as_an_editor_does_it_under_whatever_stands_above() -> None:
    table = f'\nsep=;\n"two\nlines"\n{HEADER}\n\n"A\nB"{ROW[1:]}\n{ROW}\n'.replace(",", ";")
    assert read(table) == [(7, READ | {"title": "A B"}), (9, READ)]


def test_names_of_two_words_are_columns() -> None:
    table = f"{HEADER},Output Name,Request-ID,Sync  mode\n{ROW},a.mkv,one,loop\n"
    more = {"output_name": "a.mkv", "request_id": "one", "sync_mode": "loop"}
    assert read(table) == [(2, READ | more)]


MISPLACED = {
    "a word in no column": (f"{HEADER},,\n{ROW},,stray\n", "cell 6, 'stray', is in no column"),
    "a word beyond": (f"{HEADER}\n{ROW},,stray\n", "cell 6, 'stray', is in no column"),
    "NUL": (f"{HEADER}\n{ROW}\0\n", "NUL"),
    "Windows-1252": (f"{HEADER}\n{ROW}\n".replace("A,", "É,").encode("cp1252"), "CSV UTF-8"),
    "a long cell": (f"{HEADER}\n{ROW},{'x' * 200_000}\n", "larger than field limit"),
    "a long line": (f"{HEADER}\n{ROW}{'x' * (1 << 20)}\n", "longer than"),
}


@pytest.mark.parametrize(("table", "told"), MISPLACED.values(), ids=MISPLACED)
def test_a_row_that_cannot_be_read_is_told_and_costs_no_other(table: Any, told: str) -> None:
    whole = table.encode() if isinstance(table, str) else table
    bad, good = read(whole + ROW.encode() + b"\n")
    assert bad[0] == 2
    assert told in str(bad[1])
    assert good == (3, READ)


def test_a_word_in_a_column_without_a_name_is_named() -> None:
    ((_, told),) = read(f"title,,{HEADER[6:]}\nA,stray,{ROW[2:]}\n")
    assert told == "cell 2, 'stray', is in no column that has a name"


def test_a_quote_that_is_not_closed_says_which_lines_it_cost() -> None:
    ((number, told),) = read(f'{HEADER}\n"{ROW}\n{ROW}\n')
    assert number == 2
    assert told.startswith("lines 2 to 3 are one row, for a quote is not closed")


UNUSABLE = {
    "a name twice": (f"{HEADER},Video\n{ROW},x\n", "line 1: two columns are named 'video'"),
    "no header": (f"{ROW}\n", "there is no column"),
    "a column nobody knows": (f"# of today\n{HEADER},subtitel\n{ROW},x\n", "no column subtitel"),
    "a column too few": (f"sep=;\n{with_delimiter(';')}".replace("audio", "sound"), "no column"),
    "NUL": (f"{HEADER}\0\n{ROW}\n", "line 1: it holds NUL characters"),
    "only a line that names the delimiter": ("sep=;\n", "line 1: it does not name the columns"),
    "UTF-32": (f"{HEADER}\n{ROW}\n".encode("utf-32"), "NUL"),
    "an open quote": (f'"{HEADER}\n{ROW}\n', "there is no column"),
}


@pytest.mark.parametrize(("table", "told"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_table_that_cannot_be_used_is_refused_whole(table: bytes | str, told: str) -> None:
    with pytest.raises(RefusedError, match=told):
        read(table)


def test_numbers_written_as_text_are_numbers_and_titles_keep_their_apostrophe(client) -> None:
    rows = [title("'71", "fra", priority="'5", crf="'20"), title("'Allo 'Allo!", "fra")]
    batch = accepted(send(client, catalogue(*rows), "films.csv"))
    first, second = results(client, batch)
    made = client.get(f"/v2/generate/{first['id']}").json()
    assert (made["name"], made["priority"], made["options"]["crf"]) == ("'71", 5, 20)
    assert second["title"] == "'Allo 'Allo!"


def words() -> Iterator[str]:
    """What a title may be: formulas of every sort, and what looks like one that was defused."""
    for sign in "=+-@\uff1d\uff0b\uff0d\uff20":
        yield from (f"{sign}1+1", f"'{sign}1", f"''{sign}1", f"a;{sign}1", f"a;'{sign}1", sign)
    yield from ("'71", "a=b", "A - B", "a; -b", "x'", "", "plain")


FORMULAS = [
    '=HYPERLINK("http://x.example","open")', "+1+1", "-1+1", "@SUM(1)",
    "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20x",
    " =1+1", "\u00a0=1+1", "\t=1", "\tx", "\r=1", "\nx", "'=1", "=cmd|' /C calc'!A0",
]  # fmt: skip


@pytest.mark.parametrize("formula", FORMULAS)
def test_what_a_spreadsheet_would_run_is_a_text(formula: str) -> None:
    defused = str(harmless(formula))
    assert defused.startswith("'")
    assert as_meant(defused) == formula


def test_a_formula_that_semicolons_would_set_free_is_a_text() -> None:
    assert harmless('a;=HYPERLINK("x")') == 'a;\'=HYPERLINK("x")'
    assert harmless("two\n=lines") == "two\n'=lines"


@pytest.mark.parametrize("ours", [-5, -0.25, 3, None])
def test_our_own_numbers_stay_numbers(ours: object) -> None:
    assert harmless(ours) is ours


@pytest.mark.parametrize("plain", ["'71", "A - B", "a=b", "AC-12", "https://a.example/?x=-1"])
def test_texts_that_no_spreadsheet_runs_are_left_alone(plain: str) -> None:
    assert harmless(plain) == plain == as_meant(plain)


@pytest.mark.parametrize("word", [*words(), *FORMULAS])
def test_a_harmless_cell_is_read_as_it_was_meant(word: str) -> None:
    assert as_meant(str(harmless(word))) == word


def test_a_result_is_harmless_and_its_titles_can_be_sent_again(client) -> None:
    formula = '=HYPERLINK("http://x.example","open")'
    rows = [title("x", "fra", title=formula), title("y", "fra", title="=y", priority="-3")]
    batch = accepted(send(client, catalogue(*rows), "films.csv"))
    table = client.get(f"/v2/batch/{batch['id']}/result", params={"format": "csv"}).text
    cells = [cell for row in csv.reader(io.StringIO(table)) for cell in row]
    assert [cell for cell in cells if cell[:1] in {*"=+-@"}] == []
    told = [row["title"] for row in csv.DictReader(io.StringIO(table))]
    assert told == [f"'{formula}", "'=y"]
    again = [title(str(n), "fra", title=name) for n, name in enumerate(told)]
    repeated = accepted(send(client, catalogue(*again), "films.csv"))
    assert [row["title"] for row in results(client, repeated)] == [formula, "=y"]
    (made,) = [row for row in results(client, batch) if row["title"] == "=y"]
    assert client.get(f"/v2/generate/{made['id']}").json()["priority"] == -3
