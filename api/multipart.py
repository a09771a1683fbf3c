"""Reading ``multipart/form-data`` as it arrives: files go on at once, however large they are.

At most a few blocks are in memory, and nothing on disk. Whatever takes a file works in threads, so
a slow bucket slows its own upload and no other request.
"""

from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from anyio import CancelScope
from fastapi.concurrency import run_in_threadpool
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.errors import RefusedError

#: All fields that are not files, together: a face's box for each frame of a film fits in.
MAX_FIELDS_BYTES = 16 << 20
MAX_FIELDS = 100

#: Files are handed on in blocks of this size, to change threads less often.
BLOCK_BYTES = 1 << 20

Stored = TypeVar("Stored")
Stored_co = TypeVar("Stored_co", covariant=True)


class Sink(Protocol[Stored_co]):
    """Takes one file."""

    def write(self, block: bytes) -> object:
        """Take a block; may wait."""

    def finish(self) -> Stored_co:
        """The file is whole: keep it, and say where."""

    def abort(self) -> object:
        """Forget it; never raises."""


#: Makes a sink for (field, file name), or refuses the file.
OpenSink = Callable[[str, str], Sink[Stored]]


@dataclass
class Form(Generic[Stored]):
    """What came in: fields by name, in order, and files by the name of their field."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, Stored] = field(default_factory=dict)


@dataclass
class _Part:
    headers: dict[bytes, bytes] = field(default_factory=dict)
    name: str = ""
    file_name: str | None = None
    data: bytearray = field(default_factory=bytearray)


async def read_form(
    content_type: str, body: AsyncIterable[bytes], open_sink: OpenSink[Stored]
) -> Form[Stored]:
    """Read a body to its end.

    Args:
        content_type: of the request, with the boundary.
        body: in whatever pieces it comes.
        open_sink: called in a thread for each file.

    Raises:
        RefusedError: it is no multipart form, breaks off, or has too many fields.
    """
    _, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary")
    if not boundary:
        raise RefusedError("request_invalid", "the multipart body has no boundary")
    return await _Reader(boundary, open_sink).read(body)


class _Reader(Generic[Stored]):
    """One form on its way in.

    The parser calls back as it goes; what needs waiting is put in a list and done after each piece.
    """

    def __init__(self, boundary: bytes, open_sink: OpenSink[Stored]) -> None:
        self._open_sink = open_sink
        self._form: Form[Stored] = Form()
        self._part = _Part()
        self._header = b""
        self._value = b""
        self._ended = False
        self._fields = self._fields_bytes = 0
        self._sink: Sink[Stored] | None = None
        self._todo: list[Callable[[], Awaitable[None]]] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_to_header,
                "on_header_value": self._add_to_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._add_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    async def read(self, body: AsyncIterable[bytes]) -> Form[Stored]:
        try:
            async for piece in body:
                self._parse(piece)
                for do in self._take_todo():
                    await do()
        except BaseException:
            await self._abort()
            raise
        if not self._ended:
            await self._abort()
            raise RefusedError("request_invalid", "the multipart body breaks off")
        return self._form

    def _parse(self, piece: bytes) -> None:
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise RefusedError(
                "request_invalid", f"the multipart body is malformed: {error}"
            ) from None

    def _take_todo(self) -> Iterator[Callable[[], Awaitable[None]]]:
        todo, self._todo = self._todo, []
        return iter(todo)

    async def _abort(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            with CancelScope(shield=True):
                await run_in_threadpool(sink.abort)

    # --- called by the parser ---

    def _begin_part(self) -> None:
        self._part = _Part()

    def _add_to_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._part.headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _end_headers(self) -> None:
        part = self._part
        _, options = parse_options_header(part.headers.get(b"content-disposition"))
        part.name = options.get(b"name", b"").decode(errors="replace")
        if b"filename" in options:
            part.file_name = options[b"filename"].decode(errors="replace")
            self._todo.append(lambda: self._open(part))
        else:
            self._fields += 1
        if not part.name or self._fields > MAX_FIELDS:
            raise RefusedError(
                "request_invalid", "the multipart body has nameless or too many fields"
            )

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        part.data += data[start:end]
        if part.file_name is None:
            self._fields_bytes += end - start
            if self._fields_bytes > MAX_FIELDS_BYTES:
                raise RefusedError("request_too_large", f"the field {part.name} is too large")
        elif len(part.data) >= BLOCK_BYTES:
            self._hand_on(part)

    def _end_part(self) -> None:
        part = self._part
        if part.file_name is None:
            value = part.data.decode(errors="replace")
            self._form.fields.setdefault(part.name, []).append(value)
            return
        self._hand_on(part)
        self._todo.append(lambda: self._finish(part))

    def _end(self) -> None:
        self._ended = True

    def _hand_on(self, part: _Part) -> None:
        block, part.data = bytes(part.data), bytearray()
        if block:
            self._todo.append(lambda: self._write(block))

    # --- what waits ---

    async def _open(self, part: _Part) -> None:
        self._sink = await run_in_threadpool(self._open_sink, part.name, part.file_name or "")

    async def _write(self, block: bytes) -> None:
        assert self._sink is not None  # noqa: S101 -- for mypy; a file was opened before
        await run_in_threadpool(self._sink.write, block)

    async def _finish(self, part: _Part) -> None:
        sink, self._sink = self._sink, None
        assert sink is not None  # noqa: S101 -- for mypy; likewise
        self._form.files[part.name] = await run_in_threadpool(sink.finish)
