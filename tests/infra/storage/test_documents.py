"""An answer that is no media is told for what it is, by its first bytes, with what to do."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from infra.errors import FetchError
from infra.media_length import measure
from infra.settings import Settings
from infra.storage.documents import LOOKED_AT, Wanted, check_is_media, document_in
from infra.storage.fetching import fetch_url
from infra.storage.objects import ObjectStore
from infra.storage.s3_inputs import Location, fetch
from tests.infra.mirror import Answer, Mirror, MirrorHandler, redirect
from tests.infra.storage.encodings import ENCODINGS

PAGE = b"<!DOCTYPE html>\n<html><head><title>Film.mp4 &ndash; Google Drive</title></head>"
S3_ERROR = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
)
#: The beginning of an MP4, of a Matroska file, of WAV, MPEG-TS, MP3 with and without ID3, PNG.
MEDIA = {
    "mp4": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + b"\0" * 3000,
    "matroska": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1" + b"\0" * 3000,
    "wav": b"RIFF\x24\x7d\0\0WAVEfmt \x10\0\0\0" + b"\0" * 3000,
    "ts": b"\x47\x40\x11\x10" + b"\xff" * 184,
    "mp3": b"\xff\xfb\x90\x64\0\x0f" + b"\0" * 400,
    "mp3 with a name": b"ID3\4\0\0\0\0\0\x17TIT2\0\0\0\x0d\0\0\0<html>",
    "mpeg layer 1": b"\xff\xfe\x90\x64\0\x0f" + b"\0" * 400,
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0" * 300,
    "mxf": b"\x06\x0e\x2b\x34\x02\x05\x01\x01" + b"\0" * 300,
}


def packed(kind: str) -> bytes:
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("film.mp4", b"\0" * 3000)
    else:
        with tarfile.open(fileobj=file, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("film.mp4"))
    return file.getvalue()


DOCUMENTS = {
    "a page": (PAGE, "a web page 'Film.mp4 – Google Drive'"),
    "a page in capitals": (PAGE.upper(), "a web page"),
    "a page without a doctype": (b"<html lang=de>", "a web page"),
    "a page after white space and remarks": (b"\r\n \t<!-- made by x -->\n<HTML>", "a web page"),
    "a page with a mark": (b"\xef\xbb\xbf" + PAGE, "a web page"),
    "a page in UTF-16": (PAGE.decode().encode("utf-16"), "a web page"),
    "a page in XHTML": (b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x">', "a web page"),
    "a page that is a script": (b"<script>location.href='/sign-in'</script>", "a web page"),
    "a page in Latin-1": (b"<html><title>\xc9t\xe9</title>", "a web page"),
    "a long remark": (b"<!--" + b"x" * LOOKED_AT, "an XML document"),
    "an error of S3": (S3_ERROR, "an XML document 'AccessDenied: Request has expired'"),
    "an error of S3 without a prologue": (S3_ERROR.partition(b"\n")[2], "an XML document"),
    "a DASH manifest": (b'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">', "an XML document"),
    "JSON": (b'{"error": {"message": "File not found"}}', "a JSON document"),
    "JSON, spread out": (b'{\n  "error": 404\n}\n', "a JSON document"),
    "a list in JSON": (b'[{"id": 1}]', "a JSON document"),
    "a ZIP archive": (packed("zip"), "a ZIP archive"),
    "a tar archive": (packed("tar"), "a tar archive"),
    "a file packed with gzip": (b"\x1f\x8b\x08\0", "a file packed with gzip"),
    "a PDF": (b"%PDF-1.7\n", "a PDF document"),
    "a playlist": (b"#EXTM3U\n#EXTINF:10\nfilm.ts\n", "a playlist"),
}  # fmt: skip


def serve(body: bytes, content_type: str, status: int = 200) -> Answer:
    def answer(handler: MirrorHandler) -> None:
        handler.head(status, len(body), Content_Type=content_type)
        handler.wfile.write(body)

    return answer


def get(url: str, path: Path, wanted: Wanted = "film") -> None:
    fetch_url(url, path, max_bytes=1 << 30, wanted=wanted, private_addresses=True)


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/octet-stream"])
@pytest.mark.parametrize(("body", "told"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_document_is_told_whatever_it_is_called(
    mirror: Mirror, tmp_path: Path, body: bytes, told: str, content_type: str
) -> None:
    url = mirror.serve("film.mp4", serve(body, content_type))
    with pytest.raises(FetchError) as refused:
        get(url, tmp_path / "film")
    assert f"{told}" in str(refused.value)
    assert ", not a film" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FetchError, match="not a film"):
        measure(url, private_addresses=True)


@pytest.mark.parametrize("content_type", ["text/html", "text/plain", "application/json", ""])
@pytest.mark.parametrize("body", MEDIA.values(), ids=MEDIA)
def test_media_pass_whatever_they_are_called(
    mirror: Mirror, tmp_path: Path, body: bytes, content_type: str
) -> None:
    get(mirror.serve("film", serve(body, content_type)), tmp_path / "film")
    assert (tmp_path / "film").read_bytes() == body


def test_an_empty_answer_is_told(mirror: Mirror, tmp_path: Path) -> None:
    url = mirror.serve("film.mp4", serve(b"", "video/mp4"))
    with pytest.raises(FetchError, match="it is empty, not a film"):
        get(url, tmp_path / "film")
    with pytest.raises(FetchError, match="it is empty"):
        measure(url, private_addresses=True)


def test_a_text_is_told_where_its_server_calls_it_one() -> None:
    assert document_in(b"Link expired\n", "text/plain; charset=utf-8")
    assert document_in(b"Link expired\n", "application/octet-stream") is None


def test_a_page_that_never_ends_is_told_at_its_beginning(mirror: Mirror, tmp_path: Path) -> None:
    def endless(handler: MirrorHandler) -> None:
        handler.head(200, 1 << 29, Content_Type="text/html")
        while not handler.server.released.is_set():
            handler.wfile.write(PAGE * 1000)

    with pytest.raises(FetchError, match="a web page"):
        get(mirror.serve("film.mp4", endless), tmp_path / "film")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["gzip", "brotli"])
def test_a_page_that_comes_encoded_is_told(mirror: Mirror, tmp_path: Path, name: str) -> None:
    header, encode = ENCODINGS[name]

    def answer(handler: MirrorHandler) -> None:
        handler.head(200, len(encode(PAGE)), Content_Encoding=header)
        handler.wfile.write(encode(PAGE))

    with pytest.raises(FetchError, match="a web page"):
        get(mirror.serve("film.mp4", answer), tmp_path / "film")


def test_a_page_behind_a_redirect_says_where_it_led(mirror: Mirror, tmp_path: Path) -> None:
    page = mirror.serve("sign-in", serve(PAGE, "text/html")).replace("127.0.0.1", "localhost")
    url = mirror.serve("film.mp4", redirect(page))
    with pytest.raises(FetchError, match=r"a web page .*\(the address leads to localhost\): give"):
        get(url, tmp_path / "film")


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("https://www.dropbox.com/scl/fi/x/film.mp4?rlkey=y&dl=0", "dl=1"),
        ("https://drive.google.com/file/d/x/view", "export=download"),
        ("https://we.tl/t-x", "upload it"),
        ("https://studio.sharepoint.com/:v:/x", "download=1"),
        ("https://notdropbox.com/x", "give the address that downloads the file itself"),
        ("https://media.example/film.mp4", "or upload the file"),
    ],
)
def test_what_to_do_is_said_by_the_service(url: str, remedy: str) -> None:
    with pytest.raises(FetchError) as refused:
        check_is_media(url, url, "text/html", PAGE)
    assert str(refused.value).rpartition(", not a film: ")[2].find(remedy) >= 0
    assert "rlkey" not in str(refused.value)


def test_what_was_wanted_is_named(mirror: Mirror, tmp_path: Path) -> None:
    url = mirror.serve("dub.wav", serve(PAGE, "text/html"))
    with pytest.raises(FetchError, match="not a recording"):
        get(url, tmp_path / "dub", "recording")
    with pytest.raises(FetchError, match=r"a web page .*not a list of boxes"):
        get(url, tmp_path / "boxes", "list of boxes")
    boxes = b'{"boxes": []}'
    get(mirror.serve("boxes", serve(boxes, "application/json")), tmp_path / "b", "list of boxes")
    assert (tmp_path / "b").read_bytes() == boxes


def test_a_page_in_a_bucket_is_told(farm_settings: Settings, tmp_path: Path) -> None:
    store = ObjectStore(farm_settings)
    store.client.create_bucket(Bucket="pages")
    store.client.put_object(Bucket="pages", Key="film.mp4", Body=PAGE)
    with pytest.raises(FetchError, match=r"s3://pages/film.mp4: a web page .*not a film"):
        fetch(store, Location("pages", "film.mp4"), tmp_path / "film", max_bytes=1000)
    assert list(tmp_path.iterdir()) == []
