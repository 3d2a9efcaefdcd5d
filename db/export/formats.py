"""The formats of exports: their names, and how rows of PostgreSQL become a file's bytes."""

import datetime
import importlib
from collections.abc import Sequence
from typing import Protocol

import msgspec

from db.export.columns import ExportColumn


class FormatEncoder(Protocol):
    """Turns blocks of whole rows into a file's bytes; one encoder for each file."""

    def encode(self, block: bytes) -> bytes:
        """Return the bytes that follow for a block; possibly none yet."""

    def finish(self) -> bytes:
        """Return the end of the file."""


class PassThrough:
    """Passes PostgreSQL's bytes through unchanged."""

    def encode(self, block: bytes) -> bytes:
        """Return the block."""
        return block

    def finish(self) -> bytes:
        """Return nothing."""
        return b""


class Format(msgspec.Struct, frozen=True):
    """A format; a block of about `block_bytes` is encoded and sent at once."""

    name: str
    media_type: str
    suffix: str
    block_bytes: int = 256 * 1024
    arrow: bool = False

    def file_name(self, now: datetime.datetime, *, is_demo: bool) -> str:
        """Return the default name of a file made at `now` (UTC); a demo's file contains `demo`."""
        return f"kasparro{'-demo' if is_demo else ''}-{now:%Y-%m-%dT%H%M%SZ}.{self.suffix}"

    def encoder(self, columns: Sequence[ExportColumn]) -> FormatEncoder:
        """Return an encoder of a new file.

        Raises ArrowMissingError if the format needs pyarrow and it is not installed.
        """
        if not self.arrow:
            return PassThrough()
        try:
            importlib.import_module("pyarrow")
        except ImportError:
            raise ArrowMissingError from None
        # A large import, which may be missing.
        from db.export.arrow import ArrowStream, Parquet  # noqa: PLC0415

        return (Parquet if self.name == "parquet" else ArrowStream)(columns)


class ArrowMissingError(Exception):
    """Parquet and Arrow need pyarrow, which is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "Parquet and Arrow need pyarrow, which is not installed: `.venv/bin/pip install "
            "pyarrow` in a checkout, `uv tool install --with pyarrow .` or `pipx inject kasparro "
            "pyarrow` for a tool"
        )


_FORMATS = (
    Format("csv", "text/csv; charset=utf-8; header=present", "csv"),
    Format("ndjson", "application/x-ndjson", "ndjson"),
    Format(
        "parquet", "application/vnd.apache.parquet", "parquet", block_bytes=1024 * 1024, arrow=True
    ),
    Format(
        "arrow",
        "application/vnd.apache.arrow.stream",
        "arrows",
        block_bytes=1024 * 1024,
        arrow=True,
    ),
)
FORMATS = {form.name: form for form in _FORMATS}
"""The formats by name.

Arrow is the streaming format (`pyarrow.ipc.open_stream` reads it), which needs no seekable file.
"""
