"""Names of outputs: made safe for every file system, with an extension the farm can write."""

import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

EXTENSIONS = (".mp4", ".mov", ".mkv")
DEFAULT_EXTENSION = ".mp4"

#: Of films and sound that the farm does not write. Other names may hold a dot that means nothing.
OTHER_EXTENSIONS = frozenset(
    f".{name}"
    for name in (
        *("avi", "mxf", "webm", "wmv", "asf", "flv", "ogv", "ogg", "3gp", "gif", "y4m", "nut"),
        *("ts", "m2ts", "mts", "mpg", "mpeg", "vob", "264", "h264", "265", "hevc", "ivf"),
        *("wav", "mp3", "m4a", "aac", "flac", "opus", "jpg", "jpeg", "png", "exr", "dpx"),
    )
)

#: File systems count bytes; most stop at 255, and people add to names.
MAX_STEM_BYTES = 180

#: What some file system forbids, control characters, and white space but the plain blank.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]|(?! )\s')


def safe_name(name: str, *, default: str = "file") -> str:
    """The last part of a path or name as a harmless file name, extension and all."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rstrip("/").rpartition("/")[2]
    path = PurePosixPath(_cleaned(last) or default)
    suffix = path.suffix if len(path.suffix) <= 10 else ""
    return _cut(path.name.removesuffix(suffix)) + suffix


def output_name(wanted: str | None, source_name: str, language: str | None) -> str:
    """The name of an output.

    Args:
        wanted: the client's ``outputFileName``; ``.mp4`` is added where it has no extension of
            :data:`EXTENSIONS`.
        source_name: the source's file name or URL, for a default.
        language: goes into a default name, so that two languages of a title differ.
    """
    if wanted is not None and (cleaned := safe_name(wanted, default="")):
        stem, extension = _split(cleaned)
        return f"{stem}{extension or DEFAULT_EXTENSION}"
    stem, extension = _split(safe_name(name_of(source_name), default="film.mp4"))
    if extension is None:
        stem = PurePosixPath(stem).stem
    tail = f".{_cleaned(language)}" if language else ""
    return f"{stem}{tail}{extension or DEFAULT_EXTENSION}"


def check_output_name(wanted: str) -> str:
    """The name, if an output can have it.

    Raises:
        ValueError: it asks for a container that the farm does not write.
    """
    extension = PurePosixPath(wanted).suffix.lower()
    if extension in OTHER_EXTENSIONS:
        known = ", ".join(EXTENSIONS)
        raise ValueError(f"a {extension} is not written here; the name ends in one of {known}")
    return wanted


def name_of(source: str) -> str:
    """The file's name in a path or a URL."""
    if "://" in source:
        source = unquote(urlsplit(source).path)
    return source


def _split(name: str) -> tuple[str, str | None]:
    path = PurePosixPath(name)
    if path.suffix.lower() in EXTENSIONS:
        return path.stem, path.suffix.lower()
    return name, None


def _cleaned(name: str) -> str:
    return _UNSAFE.sub("_", name).strip(" .")


def _cut(stem: str) -> str:
    return stem.encode()[:MAX_STEM_BYTES].decode(errors="ignore")
