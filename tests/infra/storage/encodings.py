"""Bodies as servers encode them."""

import gzip
import zlib
from collections.abc import Callable

import brotli
import zstandard


def raw_deflate(body: bytes) -> bytes:
    """Without zlib's frame, as some servers understand "deflate"."""
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(body) + deflate.flush()


def in_frames(body: bytes) -> bytes:
    half = len(body) // 2
    packer = zstandard.ZstdCompressor()
    return packer.compress(body[:half]) + packer.compress(body[half:])


#: What is done to a body, by a name for tests: the header, and the doing.
ENCODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip in capitals, of old name": ("X-GZIP", gzip.compress),
    "gzip of two members": ("gzip", lambda b: gzip.compress(b[:9]) + gzip.compress(b[9:])),
    "gzip with padding": ("gzip", lambda b: gzip.compress(b) + b"\0" * 512),
    "deflate": ("deflate", zlib.compress),
    "deflate without its frame": ("deflate", raw_deflate),
    "brotli": ("br", brotli.compress),
    "zstandard": ("zstd", zstandard.ZstdCompressor().compress),
    "zstandard of two frames": ("zstd", in_frames),
    "gzip of deflate": ("deflate, gzip", lambda b: gzip.compress(zlib.compress(b))),
    "gzip twice": ("gzip, gzip", lambda b: gzip.compress(gzip.compress(b))),
    "gzip as it was sent to S3": ("gzip,aws-chunked", gzip.compress),
    "nothing": ("identity", bytes),
    "nothing, as it was sent to S3": ("aws-chunked", bytes),
}
