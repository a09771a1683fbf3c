"""Strangers' words in tables that people open with a spreadsheet, which runs what looks like code.

A cell that begins with ``=``, ``+``, ``-`` or ``@`` is a formula there, and one that begins with a
tab or a line break may become one. An apostrophe in front makes it a text. So says OWASP, *CSV
Injection*; it is also what a spreadsheet itself shows for a text of that sort.

Where the spreadsheet expects semicolons between cells, as it does in half of Europe, our commas are
text and a semicolon within a cell begins another. Hence the same at every such place.
"""

import re
from typing import Final

#: The second four are the same in full width; spreadsheets of East Asia take them as well.
_FORMULA: Final = "[=+\\-@\uff1d\uff0b\uff0d\uff20]"
#: White space is passed over by some.
_RISKY: Final = re.compile(rf"^(?=[\s']*{_FORMULA}|'*[\t\r\n])|(?<=[;\t\r\n])(?='*{_FORMULA})")
_MADE_HARMLESS: Final = re.compile(
    rf"^'(?=[\s']*{_FORMULA}|'*[\t\r\n])|(?<=[;\t\r\n])'(?='*{_FORMULA})"
)


def harmless(cell: object) -> object:
    """A value for a cell of a table; numbers, which are ours, stay numbers."""
    return _RISKY.sub("'", cell) if isinstance(cell, str) else cell


def as_meant(cell: str) -> str:
    """The text that :func:`harmless` was given; a text of another sort as it is."""
    return _MADE_HARMLESS.sub("", cell)
