"""Encodings of text files: detect them, and convert to UTF-8 lines."""

import codecs
import io

__all__ = ["HEAD_BYTES", "NewLines", "Transcoder", "detect_encoding"]

HEAD_BYTES = 65_536
_FEW_LETTERS = 8
"""Bytes that are enough to recognise UTF-16 without a byte order mark."""


def detect_encoding(head: bytes) -> str | None:
    """Return the encoding that a byte order mark or NUL bytes indicate, None for UTF-8."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    start = head[:64]
    if len(start) < _FEW_LETTERS:
        return None
    # Letters of the Latin script have their NUL on one side; NUL bytes on both sides are damage.
    high, low = start[::2].count(0), start[1::2].count(0)
    if min(high, low) or max(high, low) * 3 <= len(start):
        return None
    return "utf-16-le" if low else "utf-16-be"


class Transcoder(io.RawIOBase):
    """Converts another encoding to UTF-8; undecodable bytes become a byte that is not UTF-8."""

    def __init__(self, file: io.BufferedIOBase, encoding: str) -> None:
        self._file = file
        self._encoding = encoding
        self._start()

    def _start(self) -> None:
        self._decoder = codecs.getincrementaldecoder(self._encoding)("kasparro-invalid")
        self._waiting = b""
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Seek an offset of the converted bytes, by reading from the beginning."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only offsets from the beginning")
        self._file.seek(0)
        self._start()
        while self._position < offset and self.read(min(offset - self._position, HEAD_BYTES)):
            pass
        return self._position

    def tell(self) -> int:
        """Return the offset of the next byte."""
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the standard library's own type is wider
        """Read some bytes into `buffer`; return how many, 0 at the end."""
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
        """Close the file too."""
        self._file.close()
        super().close()


class NewLines(io.RawIOBase):
    """Converts line ends of a carriage return alone to line feeds."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Seek an offset of the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the offset of the next byte."""
        return self._file.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the standard library's own type is wider
        """Read some bytes into `buffer`; return how many, 0 at the end."""
        read = self._file.read(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(read)] = read
        return len(read)

    def close(self) -> None:
        """Close the file too."""
        self._file.close()
        super().close()


def _invalid(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101 - decoders raise nothing else
    return "\udcff", error.end


codecs.register_error("kasparro-invalid", _invalid)
