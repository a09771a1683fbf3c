"""Forms are read as they arrive, in any pieces, and what is wrong with them is said."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from api.errors import RefusedError
from api.multipart import BLOCK_BYTES, Form, read_form

TYPE = "multipart/form-data; boundary=XX"
WHOLE = (
    b'--XX\r\nContent-Disposition: form-data; name="model"\r\n\r\nauto\r\n'
    b'--XX\r\nContent-Disposition: form-data; name="video"; filename="f\xc3\xa9.mp4"\r\n'
    b"Content-Type: video/mp4\r\n\r\nframes\r\n--X not yet\r\n"
    b'--XX\r\nContent-Disposition: form-data; name="model"\r\n\r\ndraft\r\n'
    b"--XX--\r\n"
)


class Kept:
    """Remembers what happened to one file."""

    def __init__(self) -> None:
        self.data, self.blocks, self.ended = b"", 0, ""

    def write(self, block: bytes) -> None:
        self.data += block
        self.blocks += 1

    def finish(self) -> bytes:
        self.ended = "finished"
        return self.data

    def abort(self) -> None:
        self.ended = "aborted"


class Sinks:
    """Opens sinks, and knows which."""

    def __init__(self) -> None:
        self.opened: dict[tuple[str, str], Kept] = {}

    def __call__(self, field: str, name: str) -> Kept:
        return self.opened.setdefault((field, name), Kept())


def read(pieces: Iterable[bytes], sinks: Sinks, content_type: str = TYPE) -> Form[bytes]:
    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return asyncio.run(read_form(content_type, body(), sinks))


@pytest.mark.parametrize("size", [1, 7, len(WHOLE)])
def test_fields_and_files_come_out_whatever_the_pieces(size):
    sinks = Sinks()
    form = read((WHOLE[i : i + size] for i in range(0, len(WHOLE), size)), sinks)
    assert form.fields == {"model": ["auto", "draft"]}
    assert form.files == {"video": b"frames\r\n--X not yet"}
    assert [name for _, name in sinks.opened] == ["fé.mp4"]


def test_a_file_is_handed_on_while_it_arrives():
    head, tail = WHOLE.split(b"frames")
    sinks = Sinks()
    form = read([head, *[b"x" * (1 << 16)] * 80, tail], sinks)
    (kept,) = sinks.opened.values()
    assert len(form.files["video"]) == (80 << 16) + len(b"\r\n--X not yet")
    assert kept.blocks == (80 << 16) // BLOCK_BYTES + 1


def test_a_body_that_breaks_off_is_refused_and_its_file_forgotten():
    sinks = Sinks()
    with pytest.raises(RefusedError, match="breaks off"):
        read([WHOLE[: WHOLE.index(b"frames") + 3]], sinks)
    assert [kept.ended for kept in sinks.opened.values()] == ["aborted"]


def test_a_client_that_goes_away_leaves_no_file():
    def pieces() -> Iterable[bytes]:
        yield WHOLE[: WHOLE.index(b"frames") + 3]
        raise ConnectionError

    sinks = Sinks()
    with pytest.raises(ConnectionError):
        read(pieces(), sinks)
    assert [kept.ended for kept in sinks.opened.values()] == ["aborted"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"no form at all", TYPE),
        (WHOLE, "multipart/form-data"),
        (b"--XX\r\nContent-Type: text/plain\r\n\r\nnameless\r\n--XX--\r\n", TYPE),
        (b"", TYPE),
    ],
)
def test_what_is_no_form_is_refused(body, content_type):
    with pytest.raises(RefusedError) as refused:
        read([body], Sinks(), content_type)
    assert refused.value.code == "request_invalid"


def test_fields_cannot_fill_the_memory():
    head = b'--XX\r\nContent-Disposition: form-data; name="options"\r\n\r\n'
    with pytest.raises(RefusedError) as refused:
        read([head, *[b"x" * (1 << 20)] * 20], Sinks())
    assert refused.value.code == "request_too_large"
