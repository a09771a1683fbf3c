"""What comes encoded is decoded, a bounded piece at a time, whatever is sent."""

import gzip
import random
import tracemalloc
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.errors import FetchError, ServiceUnavailableError
from infra.settings import Settings
from infra.storage import fetching
from infra.storage.content_encoding import Decoder, EncodingError
from infra.storage.fetching import fetch_url
from infra.storage.objects import ObjectStore
from infra.storage.ranged import RangedFile
from infra.storage.s3_inputs import Location, fetch, verify
from tests.infra.mirror import Answer, Mirror, MirrorHandler
from tests.infra.storage.encodings import ENCODINGS

BODY = b"ftyp" + random.Random(1).randbytes(300_000) + b"\0" * 2_000_000
Encoding = tuple[str, Callable[[bytes], bytes]]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "pause", lambda *_: None)


@pytest.fixture(params=ENCODINGS.values(), ids=ENCODINGS)
def encoding(request: pytest.FixtureRequest) -> Encoding:
    found: Encoding = request.param
    return found


def encoded(encoding: Encoding, body: bytes = BODY, **headers: str) -> Answer:
    name, encode = encoding
    sent = encode(body)

    def answer(handler: MirrorHandler) -> None:
        handler.head(200, len(sent), Content_Encoding=name, **headers)
        handler.wfile.write(sent)

    return answer


def get(url: str, path: Path, max_bytes: int = 1 << 30) -> None:
    fetch_url(url, path, max_bytes=max_bytes, private_addresses=True)


@pytest.mark.parametrize("block", [1, 7, 65_536, 1 << 30])
def test_a_body_is_decoded_however_it_is_cut(encoding: Encoding, block: int) -> None:
    name, encode = encoding
    body = BODY[: 1000 if block < 100 else None]
    sent, decoder = encode(body), Decoder(name)
    came = b"".join(
        piece
        for at in range(0, len(sent), block)
        for piece in decoder.decode(sent[at : at + block])
    )
    assert came == body
    decoder.check_whole()


def test_a_url_whose_server_encodes_is_fetched_decoded(
    mirror: Mirror, tmp_path: Path, encoding: Encoding
) -> None:
    get(mirror.serve("film.mp4", encoded(encoding)), tmp_path / "film")
    assert (tmp_path / "film").read_bytes() == BODY
    assert mirror.headers[0]["accept-encoding"] == "identity"


def test_what_broke_off_encoded_goes_on_where_it_was(
    mirror: Mirror, tmp_path: Path, encoding: Encoding
) -> None:
    name, encode = encoding
    sent = encode(BODY)
    starts = []

    def answer(handler: MirrorHandler) -> None:
        wanted = handler.headers.get("Range", "bytes=0-")
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        starts.append(start)
        span = {"Content_Range": f"bytes {start}-{len(sent) - 1}/{len(sent)}"} if start else {}
        handler.head(
            206 if start else 200, len(sent) - start, ETag='"a"', Content_Encoding=name, **span
        )
        rest = sent[start:]
        handler.wfile.write(rest if len(starts) > 3 else rest[: len(rest) // 2])

    get(mirror.serve("film.mp4", answer), tmp_path / "film")
    assert (tmp_path / "film").read_bytes() == BODY
    assert len(starts) == 4
    assert starts == sorted(set(starts))


@pytest.mark.parametrize("name", ["gzip", "deflate", "brotli", "zstandard", "gzip twice"])
def test_a_bomb_costs_no_more_than_is_allowed(mirror: Mirror, tmp_path: Path, name: str) -> None:
    bomb = encoded(ENCODINGS[name], b"\0" * (96 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(FetchError, match="larger than 1000000 bytes"):
            get(mirror.serve("film.mp4", bomb), tmp_path / "film", max_bytes=1_000_000)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 64 << 20
    assert list(tmp_path.iterdir()) == []


WRONG = {
    "not what it says": ("gzip", b"ftyp" + b"\0" * 3000, "it is not gzip, as was said"),
    "not brotli": ("br", b"\xff" * 3000, "it is not br, as was said"),
    "not zstandard": ("zstd", b"ftyp" * 1000, "it is not zstd, as was said"),
    "not deflate": ("deflate", b"\xff" * 3000, "it is not deflate, as was said"),
    "unknown": ("compress", b"\x1f\x9d", "it comes encoded as 'compress'; known are gzip"),
    "too many": ("gzip, gzip, gzip, gzip", b"", "it comes encoded as"),
    "cut where it was stored": ("gzip", gzip.compress(BODY)[:-9], "ends too early"),
}


@pytest.mark.parametrize(("name", "sent", "told"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_decoded_is_told_at_once(
    mirror: Mirror, tmp_path: Path, name: str, sent: bytes, told: str
) -> None:
    url = mirror.serve("film.mp4", encoded((name, bytes), sent))
    with pytest.raises(FetchError, match=told):
        get(url, tmp_path / "film")
    assert len(mirror.requests) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_encoded_body_of_unknown_length_that_ends_early_is_tried_again(
    mirror: Mirror, tmp_path: Path
) -> None:
    sent = gzip.compress(BODY)

    def cut(handler: MirrorHandler) -> None:
        handler.head(200, None, Content_Encoding="gzip")
        handler.wfile.write(sent[:-100])

    url = mirror.serve("film.mp4", cut)
    with pytest.raises(ServiceUnavailableError, match="broke off"):
        get(url, tmp_path / "film")
    get(mirror.serve("film.mp4", cut, encoded(("gzip", gzip.compress))), tmp_path / "film")
    assert (tmp_path / "film").read_bytes() == BODY


def test_an_error_is_told_whatever_it_is_encoded_as(mirror: Mirror, tmp_path: Path) -> None:
    url = mirror.serve("film", lambda h: h.head(403, 0, Content_Encoding="compress"))
    with pytest.raises(FetchError, match="answered 403"):
        get(url, tmp_path / "film")


def test_an_encoded_file_is_read_where_it_is_looked_at(mirror: Mirror, encoding: Encoding) -> None:
    name, encode = encoding
    sent = encode(BODY)

    def answer(handler: MirrorHandler) -> None:
        """Encodes parts of what it has stored so, as S3 does."""
        wanted = handler.headers.get("Range")
        if wanted is None:
            handler.head(200, len(sent), Content_Encoding=name)
            handler.wfile.write(sent)
            return
        first, last = map(int, wanted.removeprefix("bytes=").split("-"))
        part = sent[first : last + 1]
        span = f"bytes {first}-{first + len(part) - 1}/{len(sent)}"
        handler.head(206, len(part), Content_Encoding=name, Content_Range=span)
        handler.wfile.write(part)

    url = mirror.serve("film.mp4", answer)
    with RangedFile(url, private_addresses=True, max_bytes=48 << 20, seconds=60) as file:
        assert file.size == len(BODY)
        file.seek(1_000_000)
        assert file.read(10) == BODY[1_000_000:1_000_010]
        file.seek(0)
        assert file.read(100) == BODY[:100]


def test_a_server_that_sends_nothing_but_encoded_parts_is_refused(mirror: Mirror) -> None:
    def answer(handler: MirrorHandler) -> None:
        span = {"Content_Encoding": "gzip", "Content_Range": "bytes 0-9/1000"}
        handler.head(206, 10, **span)
        handler.wfile.write(bytes(10))

    url = mirror.serve("film.mp4", answer)
    with pytest.raises(FetchError, match="a part where all was asked for"):
        RangedFile(url, private_addresses=True, max_bytes=1 << 20, seconds=60)


def test_a_bomb_that_is_looked_at_ends_where_the_budget_does(mirror: Mirror) -> None:
    url = mirror.serve("film.mp4", encoded(ENCODINGS["brotli"], b"\0" * (96 << 20)))
    with RangedFile(url, private_addresses=True, max_bytes=1 << 20, seconds=60) as file:
        assert file.size == 1 << 20


@pytest.fixture
def stored(farm_settings: Settings, encoding: Encoding) -> tuple[ObjectStore, Location]:
    """An object that is kept encoded."""
    name, encode = encoding
    store, bucket = ObjectStore(farm_settings), f"in-{uuid.uuid4().hex[:12]}"
    store.client.create_bucket(Bucket=bucket)
    store.client.put_object(Bucket=bucket, Key="film.mov", Body=encode(BODY), ContentEncoding=name)
    return store, Location(bucket, "film.mov")


def test_an_object_that_is_stored_encoded_is_fetched_decoded(
    stored: tuple[ObjectStore, Location], tmp_path: Path
) -> None:
    store, location = stored
    verify(store, location)
    fetch(store, location, tmp_path / "film", max_bytes=1 << 30)
    assert (tmp_path / "film").read_bytes() == BODY
    # As it was hashed when it was ordered.
    fetch(store, location, tmp_path / "again", max_bytes=1 << 30, size=len(BODY))
    assert {path.name for path in tmp_path.iterdir()} == {"film", "again"}
    with pytest.raises(FetchError, match="not what it was"):
        fetch(store, location, tmp_path / "other", max_bytes=1 << 30, sha256="0" * 64)
    with pytest.raises(FetchError, match="larger"):
        fetch(store, location, tmp_path / "other", max_bytes=2_000_000)
    presigned = store.address_inside(location.key, bucket=location.bucket)
    get(presigned, tmp_path / "presigned")
    assert (tmp_path / "presigned").read_bytes() == BODY


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(EncodingError):
        Decoder("gzip, nonsense")
