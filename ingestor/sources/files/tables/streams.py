"""A file's bytes as UTF-8 lines: decompressed, recoded, or refused with the format's name."""

import bz2
import codecs
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

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["PACKED_ERRORS", "UTF_8_BOM", "FileStream", "broken", "open_stream"]

Form = Literal["csv", "json", "parquet"]
HEAD_BYTES = 65_536
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
"""Errors of decompression; zipfile raises RuntimeError for a password."""


class FileStream(msgspec.Struct, frozen=True):
    """An open file: its decompressed bytes in UTF-8, with a line feed at the end of each line.

    `packed` names the archive that was undone, `encoding` the one that was; both are "" where the
    bytes are the file's own.
    """

    file: io.BufferedIOBase
    raw: io.BufferedIOBase
    form: Form
    packed: str
    encoding: str = ""

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        self.raw.close()  # an unpacker leaves open what it was given


def open_stream(path: Path, encoding: str | None = None, real: Path | None = None) -> FileStream:
    """Open a file by its first bytes, not by its name; `encoding` is what a person says of it.

    `real` is the path without links, which it must not have become since it was found; errors name
    `path`.

    Raises SourceError: Refused where it may not be read, Malformed with its kind where it is
    something else.
    """
    try:
        raw = _open(real or path)
        magic = raw.peek(8)[:8]
    except OSError as error:
        raise SourceRefusedError(f"{path}: {error.strerror}; check CSV_PATH") from None
    try:
        return _open_decoded(path, raw, magic, encoding)
    except PACKED_ERRORS as error:
        raise broken(path, error) from None


def _open(path: Path) -> io.BufferedReader:
    """Open a file that was not a link when it was found, and must not be one now."""
    return io.BufferedReader(
        io.FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW))
    )


def broken(path: Path, error: Exception) -> SourceError:
    """Return the error of a source for one that reading or unpacking a file has raised."""
    if isinstance(error, SourceError):
        return error
    if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile) and error.strerror:
        return SourceUnavailableError(f"{path} could not be read: {error.strerror}")
    # What gzip says of a bad beginning quotes it.
    said = "" if isinstance(error, gzip.BadGzipFile) else f": {error}"
    return SourceMalformedError(f"{path} is not a whole {_packing(path)} file{said}")


def _packing(path: Path) -> str:
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
        encoding = encoding or _encoding(head)
        if encoding:
            file = io.BufferedReader(_Transcoder(file, encoding))
            head = file.read(HEAD_BYTES)
            file.seek(0)
        _refuse_no_table(path, head)
        if b"\r" in head and b"\n" not in head:
            file = io.BufferedReader(_NewLines(file))
        return FileStream(file, raw, _form(path, head), packed, encoding or "")
    except BaseException:
        file.close()
        raw.close()
        raise


def _encoding(head: bytes) -> str | None:
    """Return the encoding that a byte order mark or NUL bytes show, None for UTF-8."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    start = head[:64]
    if len(start) >= 8 and start.count(0) * 3 > len(start):  # noqa: PLR2004 - a few letters
        return "utf-16-le" if start[1] == 0 else "utf-16-be"
    return None


def _refuse_no_table(path: Path, head: bytes) -> None:
    """Raise SourceMalformedError for a file that is something else than a table, with its name."""
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
    """Open the one table in a zip archive."""
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


class _Transcoder(io.RawIOBase):
    """Bytes of another encoding as UTF-8; undecodable ones become a byte that is not UTF-8."""

    def __init__(self, file: io.BufferedIOBase, encoding: str) -> None:
        self._file = file
        self._encoding = encoding
        self._start()

    def _start(self) -> None:
        self._decoder = codecs.getincrementaldecoder(self._encoding)("kasparro-invalid")
        self._waiting = b""
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset of the recoded bytes, which only reading finds."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only offsets from the beginning")
        self._file.seek(0)
        self._start()
        while self._position < offset and self.read(min(offset - self._position, HEAD_BYTES)):
            pass
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the standard library's own type is wider
        while not self._waiting:
            read = self._file.read(HEAD_BYTES)
            self._waiting = self._decoder.decode(read, final=not read).encode(
                "utf-8", "surrogateescape"
            )
            if not read:
                break
        count = min(len(buffer), len(self._waiting))
        buffer[:count] = self._waiting[:count]
        self._waiting = self._waiting[count:]
        self._position += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _NewLines(io.RawIOBase):
    """Bytes with lines that end with a carriage return alone, as lines with a line feed."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the standard library's own type is wider
        read = self._file.read(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(read)] = read
        return len(read)

    def close(self) -> None:
        self._file.close()
        super().close()


def _invalid(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101 - decoders raise nothing else
    return "\udcff", error.end


codecs.register_error("kasparro-invalid", _invalid)
