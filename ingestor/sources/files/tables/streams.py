"""Opens a file as UTF-8 lines: it decompresses and converts, or names the wrong format."""

import bz2
import contextlib
import gzip
import io
import os
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

import msgspec

from ingestor.sources.errors import (
    SourceError,
    SourceMalformedError,
    SourceRefusedError,
    SourceUnavailableError,
)
from ingestor.sources.files.tables.encodings import (
    HEAD_BYTES,
    NewLines,
    Transcoder,
    detect_encoding,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["PACKED_ERRORS", "UTF_8_BOM", "FileStream", "open_stream", "translate_error"]

Form = Literal["csv", "json", "parquet"]
UTF_8_BOM = b"\xef\xbb\xbf"
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_NOT_TABLES = {
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"SQLite format 3\0": "an SQLite database",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save it as CSV",
    b"7z\xbc\xaf": "a 7z archive; unpack it, or pack it as .zip or .gz",
    b"Rar!": "a RAR archive; unpack it, or pack it as .zip or .gz",
    b"\xfd7zXZ\0": "an xz file; unpack it, or pack it as .zst or .gz",
    b"ARROW1": "an Arrow file; write it as Parquet or CSV",
}
PACKED_ERRORS = (
    OSError,
    EOFError,
    zlib.error,
    zipfile.BadZipFile,
    zstd.ZstdError,
    RuntimeError,
    NotImplementedError,
)
"""Errors of reading and decompressing; zipfile raises RuntimeError for a password."""


class FileStream(msgspec.Struct, frozen=True):
    """An open file: its decompressed bytes in UTF-8, with a line feed at the end of each line.

    `packed` is the compression and `encoding` the encoding of the file, "" for none and for UTF-8.
    """

    file: io.BufferedIOBase
    raw: io.BufferedIOBase
    form: Form
    packed: str
    encoding: str = ""

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        self.raw.close()  # a decompressor does not close its input


def open_stream(path: Path, encoding: str | None = None, real: Path | None = None) -> FileStream:
    """Open a file by its first bytes, not by its name; `encoding` overrides the detection.

    `real` is the path without links: if it has become a link, it is refused. Errors name `path`.
    Raises SourceRefusedError if the file may not be read, and SourceMalformedError with its kind if
    it is not a table.
    """
    try:
        raw = _open(real or path)
        magic = raw.peek(8)[:8]
    except OSError as error:
        raise SourceRefusedError(f"{path}: {error.strerror}; check CSV_PATH") from None
    try:
        return _open_decoded(path, raw, magic, encoding)
    except PACKED_ERRORS as error:
        raise translate_error(path, error) from None


def _open(path: Path) -> io.BufferedReader:
    """Open a file that must not have become a link since it was found."""
    return io.BufferedReader(
        io.FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW))
    )


def translate_error(path: Path, error: Exception) -> SourceError:
    """Return the SourceError for an error of reading or decompressing a file."""
    if isinstance(error, SourceError):
        return error
    if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile) and error.strerror:
        return SourceUnavailableError(f"{path} could not be read: {error.strerror}")
    # The message of BadGzipFile quotes the file.
    detail = "" if isinstance(error, gzip.BadGzipFile) else f": {error}"
    return SourceMalformedError(f"{path} is not a whole {_compression_name(path)} file{detail}")


def _compression_name(path: Path) -> str:
    with contextlib.suppress(OSError), path.open("rb") as file:
        magic = file.read(8)
        return next(
            (name for begin, (name, _) in _UNPACKERS.items() if magic.startswith(begin)), "packed"
        )
    return "packed"


_UNPACKERS: dict[bytes, tuple[str, Callable[[Path, io.BufferedReader], io.BufferedIOBase]]] = {
    b"\x1f\x8b": ("gzip", lambda _, raw: gzip.GzipFile(fileobj=raw)),
    b"BZh": ("bzip2", lambda _, raw: bz2.BZ2File(raw)),
    b"\x28\xb5\x2f\xfd": ("zstd", lambda _, raw: cast("io.BufferedIOBase", zstd.ZstdFile(raw))),
    b"PK": ("zip", lambda path, raw: _open_zip(path, raw)),  # noqa: PLW0108 - defined below
}


def _open_decoded(
    path: Path, raw: io.BufferedReader, magic: bytes, encoding: str | None
) -> FileStream:
    packed, unpack = next(
        (found for begin, found in _UNPACKERS.items() if magic.startswith(begin)), ("", None)
    )
    file: io.BufferedIOBase = raw
    try:
        file = unpack(path, raw) if unpack else raw
        head = file.read(HEAD_BYTES)
        file.seek(0)
        if head.startswith(b"PAR1"):
            return FileStream(file, raw, "parquet", packed)
        encoding = encoding or detect_encoding(head)
        if encoding:
            file = io.BufferedReader(Transcoder(file, encoding))
            head = file.read(HEAD_BYTES)
            file.seek(0)
        _check_is_table(path, head)
        if b"\r" in head and b"\n" not in head:
            file = io.BufferedReader(NewLines(file))
        return FileStream(file, raw, _form(path, head), packed, encoding or "")
    except BaseException:
        file.close()
        raw.close()
        raise


def _check_is_table(path: Path, head: bytes) -> None:
    """Raise SourceMalformedError with the kind of file if it is not a table."""
    kind = next((kind for begin, kind in _NOT_TABLES.items() if head.startswith(begin)), None)
    text = head.removeprefix(UTF_8_BOM).lstrip()[:512].lower()
    if head.startswith(_LFS_POINTER):
        kind = "a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"
    elif text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        kind = "an HTML page; was a login or an error page downloaded?"
    elif text.startswith(b"<?xml"):
        kind = "XML"
    if kind:
        raise SourceMalformedError(f"{path} is {kind}")


def _form(path: Path, head: bytes) -> Form:
    text = head.removeprefix(UTF_8_BOM).lstrip()
    is_json = text.startswith((b"[{", b"[[", b"{")) or (
        text.startswith(b"[") and text[1:].lstrip()[:1] in (b"{", b"]")
    )
    named = {part.lower() for part in path.suffixes} & {".json", ".ndjson", ".jsonl"}
    return "json" if is_json or named else "csv"


def _open_zip(path: Path, raw: io.BufferedReader) -> io.BufferedIOBase:
    """Open the only file in a zip archive."""
    archive = zipfile.ZipFile(raw)
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    names = [
        name
        for name in names
        if not (name.startswith("__MACOSX/") or Path(name).name.startswith("."))
    ]
    if any(name.startswith(("xl/", "word/")) for name in names):
        archive.close()
        raise SourceMalformedError(f"{path} is an Office document; save the table as CSV")
    if len(names) != 1:
        archive.close()
        raise SourceMalformedError(
            f"{path} holds {len(names)} files; an archive must hold one table"
        )
    return cast("io.BufferedIOBase", archive.open(names[0]))
