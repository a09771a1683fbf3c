"""Answers that are no media: the page of a share link, a sign-in, an error in XML, an archive.

They come with status 200 and any ``Content-Type``. What is in them decides; a film that is called
``text/html`` is a film.
"""

import html
import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from infra.errors import FetchError
from infra.storage.web_addresses import shown

#: Bytes of the beginning that are looked at.
LOOKED_AT: Final = 2048

#: What may be asked for at an address.
Wanted = Literal["film", "recording", "picture", "list of boxes"]

#: By an input's kind.
WANTED: Final[dict[str, Wanted]] = {"video": "film", "audio": "recording", "image": "picture"}

#: A byte order mark, white space, comments and declarations: what may stand before a first element.
_PROLOGUE: Final = re.compile(r"(?:[\ufeff\s]+|<!--.*?(?:-->|$)|<\?.*?(?:\?>|$))*", re.DOTALL)
_HTML: Final = re.compile(
    r"<(?:!doctype\s+html|html|head|body|script|noscript|title|meta|link|style|base|div|span|p|a|b|h1"
    r"|br|center|font|form|iframe|table)\b",
    re.IGNORECASE,
)
_XML: Final = re.compile(r"<[a-z_!]", re.IGNORECASE)
_JSON: Final = re.compile(r"(?:\{\s*[\"}]|\[\s*[\[{\"\]\d])")
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title", re.DOTALL | re.IGNORECASE)
#: As S3 and others word it.
_XML_ERROR: Final = re.compile(r"<(?:Code|Message)>(.*?)</", re.DOTALL | re.IGNORECASE)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_TEXTUAL: Final = re.compile(r"text/|application/(?:.*\+)?(?:json|xml|javascript|x-yaml)\b")

#: First bytes of files that hold something else, or nothing to see.
_MAGIC: Final[dict[bytes, str]] = {
    b"PK\x03\x04": "a ZIP archive",
    b"PK\x05\x06": "an empty ZIP archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x1f\x8b": "a file packed with gzip",
    b"BZh": "a file packed with bzip2",
    b"\xfd7zXZ\0": "a file packed with xz",
    b"\x28\xb5\x2f\xfd": "a file packed with zstd",
    b"%PDF-": "a PDF document",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an Office document",
    b"bplist00": "a bookmark",
    b"[InternetShortcut]": "a bookmark",
    b"d8:announce": "a torrent",
    b"#EXTM3U": "a playlist",
}
_TAR: Final = slice(257, 262)

_DOWNLOAD: Final = "give the address that downloads the file itself, or upload the file"
_UNPACK: Final = "unpack it, and give the address of the file that is in it"
#: What helps with addresses of a service, by the end of its host's name.
_REMEDIES: Final[dict[str, str]] = {
    "drive.google.com": "share it with anyone who has the link, and give "
    "https://drive.usercontent.google.com/download?id=ID&export=download&confirm=t with its ID, or "
    "upload the file",
    "dropbox.com": "end the link with dl=1 instead of dl=0, or upload the file",
    "wetransfer.com": "WeTransfer gives no address of the file itself: download and upload it",
    "we.tl": "WeTransfer gives no address of the file itself: download and upload it",
    "1drv.ms": "add download=1 to the link, or upload the file",
    "onedrive.live.com": "add download=1 to the link, or upload the file",
    "sharepoint.com": "add download=1 to the link, or upload the file",
}


@dataclass(frozen=True, slots=True)
class Document:
    """Something that is no media.

    Attributes:
        kind: in words, with its article.
        says: what it says of itself; may be empty.
    """

    kind: str
    says: str = ""


def check_is_media(
    asked: str, at: str, content_type: str, start: bytes, wanted: Wanted = "film"
) -> None:
    """Refuse an answer that is no media.

    Args:
        asked: the address that was given.
        at: the one that answered, behind redirects.
        content_type: as it said.
        start: the first :data:`LOOKED_AT` bytes, or all.
        wanted: what is wanted of the address.

    Raises:
        FetchError: it is something else; says what, and what to do.
    """
    if not start:
        raise FetchError(f"{shown(asked)}: it is empty, not a {wanted}: 0 bytes came")
    found = document_in(start, content_type)
    if found is None or (wanted == "list of boxes" and found.kind != "a web page"):
        return
    says = f" {found.says!r}" if found.says else ""
    host, end = urlsplit(asked).hostname or "", urlsplit(at).hostname or ""
    led = "" if end == host else f" (the address leads to {end})"
    raise FetchError(
        f"{shown(asked)}: {found.kind}{says}, not a {wanted}{led}: {_remedy(host, found)}"
    )


def document_in(start: bytes, content_type: str = "") -> Document | None:
    """What a file is that begins so; None if it may be media."""
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            return Document(kind)
    if start[_TAR] == b"ustar":
        return Document("a tar archive")
    text = _text_of(start)
    return None if text is None else _document_of(text, content_type.lower())


def _document_of(text: str, content_type: str) -> Document | None:
    before = _PROLOGUE.match(text)
    rest = text[before.end() :] if before else text
    if _HTML.match(rest):
        return Document("a web page", _first(_TITLE, text))
    if _XML.match(rest) or (not rest and "<" in text):
        return Document("an XML document", _first(_XML_ERROR, text))
    if _JSON.match(rest):
        return Document("a JSON document")
    return Document("a text") if _TEXTUAL.match(content_type) else None


def _text_of(start: bytes) -> str | None:
    """As text; None where it is none."""
    if start[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        text = start[: len(start) & ~1].decode("utf-16", errors="replace")
        return None if _CONTROL.search(text) else text
    # Of whichever set of characters; what matters here is ASCII in all of them.
    if _CONTROL.search(start.decode("latin-1")):
        return None
    return start.decode(errors="ignore")


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = " ".join(html.unescape(": ".join(pattern.findall(text)[:2])).split())
    return "".join(c for c in found if c.isprintable())[:100]


def _remedy(host: str, found: Document) -> str:
    if "archive" in found.kind or "packed" in found.kind:
        return _UNPACK
    for end, remedy in _REMEDIES.items():
        if host == end or host.endswith(f".{end}"):
            return remedy
    return _DOWNLOAD
